/**
 * A tree of XML that can be changed and written again: for documents that go on almost as they came.
 *
 * Raw text (references, CDATA, white space) stays as it was read; comments, processing instructions and the
 * declaration are dropped. Names keep their prefixes, which nobody resolves here. Reading alone: xml-tree.ts.
 */
import { XMLParser } from 'fast-xml-parser';
import { faultInXml } from './xml-check.js';
import { decoded, escapeXml } from './xml-tree.js';

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  processEntities: false,
  trimValues: false,
  ignoreDeclaration: true,
  ignorePiTags: true,
  cdataPropName: '#cdata',
});

type RawNode = Readonly<Record<string, unknown>>;
/** An element, or character data as it stands in the document. */
export type XmlNode = XmlNodeElement | string;

export class XmlNodeElement {
  /** @param attributes decoded values */
  constructor(
    public name: string,
    readonly attributes: Map<string, string> = new Map<string, string>(),
    public nodes: XmlNode[] = [],
  ) {}

  get localName(): string {
    return this.name.slice(this.name.indexOf(':') + 1);
  }

  attribute(name: string): string | undefined {
    return this.attributes.get(name);
  }

  /** Child elements, or those of a name (prefix included). */
  children(name?: string): XmlNodeElement[] {
    return this.nodes.filter(
      (node): node is XmlNodeElement =>
        typeof node !== 'string' && (name === undefined || node.name === name),
    );
  }

  child(name: string): XmlNodeElement | undefined {
    return this.children(name)[0];
  }

  /** The first child of the name, made (last) where there is none. */
  ensure(name: string): XmlNodeElement {
    const found = this.child(name);
    if (found) return found;
    const made = new XmlNodeElement(name);
    this.nodes.push(made);
    return made;
  }

  append(...nodes: readonly XmlNodeElement[]): void {
    this.nodes.push(...nodes);
  }

  remove(node: XmlNodeElement): void {
    this.nodes = this.nodes.filter((each) => each !== node);
  }

  /** Own text, decoded. */
  get text(): string {
    return decoded(this.nodes.filter((node) => typeof node === 'string').join(''));
  }

  /** Replaces all content. */
  set text(text: string) {
    this.nodes = [escapeXml(text)];
  }

  toString(): string {
    const attributes = [...this.attributes].map(([name, value]) => ` ${name}="${escapeXml(value)}"`).join('');
    if (this.nodes.length === 0) return `<${this.name}${attributes}/>`;
    return `<${this.name}${attributes}>${this.nodes.map(String).join('')}</${this.name}>`;
  }
}

/** A new element with decoded attribute values, and text or children. */
export function xmlElement(
  name: string,
  attributes: Readonly<Record<string, string>> = {},
  content: string | readonly XmlNodeElement[] = [],
): XmlNodeElement {
  const nodes = typeof content === 'string' ? [escapeXml(content)] : [...content];
  return new XmlNodeElement(name, new Map(Object.entries(attributes)), nodes);
}

/** @throws Error whose message is one sentence */
export function parseXmlForEdit(xml: string): XmlNodeElement {
  const fault = faultInXml(xml);
  if (fault !== undefined) throw new Error(`The XML is not well-formed: ${fault}.`);
  let raw: readonly RawNode[];
  try {
    raw = parser.parse(xml) as readonly RawNode[];
  } catch (error) {
    const reason = error instanceof Error ? error.message.split(/\n| Context:/, 1)[0] : String(error);
    throw new Error(`The XML is not well-formed: ${reason}`, { cause: error });
  }
  const roots = raw.map(nodeOf).filter((node) => typeof node !== 'string');
  const [root] = roots;
  if (!root || roots.length !== 1)
    throw new Error(`The XML has ${roots.length} root elements instead of one.`);
  return root;
}

function nodeOf(raw: RawNode): XmlNode {
  const tag = Object.keys(raw).find((key) => key !== ':@') ?? '#text';
  if (tag === '#text') return String(raw[tag]);
  const content = raw[tag] as readonly RawNode[];
  if (tag === '#cdata') return escapeXml(content.map((part) => String(part['#text'])).join(''));
  const attributes = Object.entries((raw[':@'] ?? {}) as Record<string, string>);
  return new XmlNodeElement(
    tag,
    new Map(attributes.map(([name, value]) => [name, decoded(value)])),
    content.map(nodeOf),
  );
}
