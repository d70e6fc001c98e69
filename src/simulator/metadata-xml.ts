/**
 * Elements of `<metadata>`: stored as virDomainGetMetadata returns them, without the prefix of their namespace;
 * printed with it. Elements hold either text or elements here, never both.
 */
import { xmlElement } from '../util/xml-edit.js';
import type { XmlNodeElement } from '../util/xml-edit.js';
import { escapeXml } from '../util/xml-tree.js';
import type { MetadataElement } from './domain-config.js';
import { readXml } from './xml-text.js';

/** One element as a client hands it to virDomainSetMetadata. */
export function parseMetadataElement(xml: string, key: string): MetadataElement {
  return { key, xml: printPlain(readXml(xml), key, '') };
}

export function readMetadata(metadata: XmlNodeElement | undefined): ReadonlyMap<string, MetadataElement> {
  const elements = new Map<string, MetadataElement>();
  for (const element of metadata?.children() ?? []) {
    const key = element.name.includes(':') ? element.name.slice(0, element.name.indexOf(':')) : '';
    const uri = element.attribute(`xmlns:${key}`);
    if (uri !== undefined) elements.set(uri, { key, xml: printPlain(element, key, '') });
  }
  return elements;
}

/** The element without its prefix and namespace. */
function printPlain(element: XmlNodeElement, key: string, indent: string): string {
  const attributes = [...element.attributes]
    .filter(([name]) => name !== `xmlns:${key}`)
    .map(([name, value]) => ` ${name}="${escapeXml(value)}"`)
    .join('');
  const start = `${indent}<${element.localName}${attributes}`;
  const children = element.children();
  if (children.length > 0) {
    const inner = children.map((child) => `${printPlain(child, key, `${indent}  `)}\n`).join('');
    return `${start}>\n${inner}${indent}</${element.localName}>`;
  }
  const { text } = element;
  return text === '' ? `${start}/>` : `${start}>${escapeXml(text)}</${element.localName}>`;
}

/** `<metadata>` as text, with its line break; empty where there is none. */
export function printMetadata(metadata: ReadonlyMap<string, MetadataElement>): string {
  if (metadata.size === 0) return '';
  const elements = [...metadata].map(
    ([uri, element]) => `${printElement(uri, element).replace(/^/gm, '    ')}\n`,
  );
  return `  <metadata>\n${elements.join('')}  </metadata>\n`;
}

/** Puts the namespace back: the prefix on every tag, its declaration on the outermost. */
function printElement(uri: string, element: MetadataElement): string {
  const prefixed = element.xml.replace(/<(\/?)([A-Za-z_][\w.-]*)/g, `<$1${element.key}:$2`);
  const declaration = ` xmlns:${element.key}="${escapeXml(uri)}"`;
  return prefixed.replace(/^<[\w.:-]+/, (tag) => tag + declaration);
}

/** `<title>` and `<description>`. */
export function textElement(name: string, text: string | undefined): XmlNodeElement[] {
  return text === undefined ? [] : [xmlElement(name, {}, text)];
}
