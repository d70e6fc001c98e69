/**
 * A read-only tree over fast-xml-parser's ordered output, where one child and many look the same.
 *
 * Entities are decoded here, when a value is read, and only the five of XML and character references: what a
 * DOCTYPE declares is never expanded, so entity bombs stay the text they are. Values are text, never numbers:
 * a domain may be named `007`. Does not check well-formedness beyond what the parser needs.
 */
import { XMLParser } from 'fast-xml-parser';

const TEXT = '#text';
const CDATA = '#cdata';
const ATTRIBUTES = ':@';

const options = {
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  textNodeName: TEXT,
  cdataPropName: CDATA,
  parseTagValue: false,
  parseAttributeValue: false,
  processEntities: false,
  trimValues: false,
  ignoreDeclaration: true,
  ignorePiTags: true,
  // Nobody looks at paths; printing one per element takes a sixth of the time.
  jPath: false,
};

/** fast-xml-parser's node: one key is the tag with its children, `:@` holds the attributes. */
type RawNode = Readonly<Record<string, unknown>>;

export class XmlElement {
  constructor(
    readonly name: string,
    private readonly content: readonly RawNode[],
    private readonly attributes: Readonly<Record<string, string>>,
  ) {}

  /** Name without its prefix. */
  get localName(): string {
    return this.name.slice(this.name.indexOf(':') + 1);
  }

  /** All child elements, or those of a name, prefix included. */
  children(name?: string): XmlElement[] {
    const found: XmlElement[] = [];
    for (const node of this.content) {
      const tag = tagOf(node);
      if (tag !== TEXT && tag !== CDATA && (name === undefined || tag === name))
        found.push(element(node, tag));
    }
    return found;
  }

  /** The first child element of a name. */
  child(name: string): XmlElement | undefined {
    const node = this.content.find((each) => tagOf(each) === name);
    return node && element(node, name);
  }

  /** The element at the end of a path of first children. */
  at(...path: readonly string[]): XmlElement | undefined {
    let found: XmlElement | undefined = this.child(path[0]!);
    for (const name of path.slice(1)) found = found?.child(name);
    return found;
  }

  attribute(name: string): string | undefined {
    return Object.hasOwn(this.attributes, name) ? decoded(this.attributes[name]!) : undefined;
  }

  /** Every attribute's name. */
  attributeNames(): string[] {
    return Object.keys(this.attributes);
  }

  /** The element's own text and CDATA, without that of its children. */
  text(): string {
    let text = '';
    for (const node of this.content) {
      const tag = tagOf(node);
      if (tag === TEXT) text += decoded(String(node[TEXT]));
      else if (tag === CDATA) text += (node[CDATA] as RawNode[]).map((part) => String(part[TEXT])).join('');
    }
    return text;
  }
}

/** @throws Error whose message is one sentence without the text */
export type ParseXml = (xml: string) => XmlElement;

/**
 * @param unread paths of elements ('domain.cpu') that the caller never looks into: they are skipped as plain text,
 * unchecked, which saves most of their cost
 */
export function xmlTreeParser(unread: readonly string[] = []): ParseXml {
  const parser = new XMLParser({ ...options, stopNodes: [...unread] });
  return (xml) => {
    let nodes: readonly RawNode[];
    try {
      nodes = parser.parse(xml) as readonly RawNode[];
    } catch (error) {
      const reason = error instanceof Error ? error.message.split(/\n| Context:/, 1)[0]! : String(error);
      throw new Error(`The XML is not well-formed: ${reason.trim()}`, { cause: error });
    }
    const roots = nodes.filter((node) => tagOf(node) !== TEXT);
    if (roots.length !== 1) throw new Error(`The XML has ${roots.length} root elements instead of one.`);
    return element(roots[0]!, tagOf(roots[0]!));
  };
}

export const parseXmlTree = xmlTreeParser();

function element(node: RawNode, tag: string): XmlElement {
  return new XmlElement(
    tag,
    node[tag] as readonly RawNode[],
    (node[ATTRIBUTES] ?? {}) as Record<string, string>,
  );
}

function tagOf(node: RawNode): string {
  for (const key in node) if (key !== ATTRIBUTES) return key;
  return TEXT;
}

/** Character data and attribute values as XML has to have them. */
export function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => escapes[char] ?? char);
}

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};
const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
const REFERENCE = /&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(amp|lt|gt|quot|apos));/g;

/** Text without references; what a DOCTYPE declares stays as it is. */
export function decoded(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(REFERENCE, (whole, decimal?: string, hex?: string, name?: string) => {
    if (name !== undefined) return named[name]!;
    const code = decimal !== undefined ? Number(decimal) : parseInt(hex!, 16);
    return code <= 0x10_ffff ? String.fromCodePoint(code) : whole;
  });
}
