/**
 * XML between clients and the simulated host: read as strictly as libvirt does where it matters, printed as libvirt
 * prints it. Trees are never changed once they are part of a configuration; with() makes new ones.
 */
import { XmlNodeElement, parseXmlForEdit } from '../util/xml-edit.js';
import type { XmlNode } from '../util/xml-edit.js';
import { escapeXml } from '../util/xml-tree.js';
import { Fault } from './fault.js';

/** libxml2's own limit. */
const MAX_DEPTH = 256;

/** @throws Fault 'xml-detail' */
export function readXml(xml: string): XmlNodeElement {
  const fault = findFault(xml);
  if (fault !== undefined) throw new Fault('xml-detail', fault);
  try {
    return withoutBlanks(parseXmlForEdit(xml));
  } catch (error) {
    throw new Fault('xml-detail', error instanceof Error ? error.message : String(error));
  }
}

const IGNORED = /<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<\?[\s\S]*?\?>/g;
const TAG = /<(\/?)([\w:.-]+)((?:"[^"]*"|'[^']*'|[^'"<>])*)>/g;

/** The parser forgives tags that do not match, and knows no depth; a daemon does. */
function findFault(xml: string): string | undefined {
  const open: string[] = [];
  for (const [, closing, name = '', rest = ''] of xml.replace(IGNORED, '').matchAll(TAG)) {
    if (closing !== '') {
      const expected = open.pop();
      if (expected !== name) return `Opening and ending tag mismatch: ${expected ?? 'nothing'} and ${name}`;
    } else if (!rest.endsWith('/')) open.push(name);
    if (open.length > MAX_DEPTH) return `Excessive depth in document: ${MAX_DEPTH}`;
  }
  return open.length > 0 ? `Premature end of data in tag ${open.at(-1)!}` : undefined;
}

/** White space between elements is layout. */
function withoutBlanks(element: XmlNodeElement): XmlNodeElement {
  const hasElements = element.nodes.some((node) => typeof node !== 'string');
  element.nodes = element.nodes
    .filter((node) => typeof node !== 'string' || (node !== '' && !(hasElements && node.trim() === '')))
    .map((node) => (typeof node === 'string' ? node : withoutBlanks(node)));
  return element;
}

/** libvirt's layout: single quotes, two spaces a level, no line break at the end. */
export function printXml(element: XmlNodeElement, indent = ''): string {
  let start = `${indent}<${element.name}`;
  for (const [name, value] of element.attributes) start += ` ${name}='${escapeXml(value)}'`;
  const { nodes } = element;
  if (nodes.length === 0) return `${start}/>`;
  if (nodes.some((node) => typeof node === 'string')) {
    return `${start}>${nodes.map((node) => (typeof node === 'string' ? node : printXml(node))).join('')}</${element.name}>`;
  }
  const inner = `${indent}  `;
  let text = `${start}>\n`;
  for (const node of nodes) text += `${typeof node === 'string' ? node : printXml(node, inner)}\n`;
  return `${text}${indent}</${element.name}>`;
}

/** A new element like the given one, its children of some names left out and others appended. */
export function withChildren(
  element: XmlNodeElement,
  without: readonly string[],
  more: readonly XmlNode[],
): XmlNodeElement {
  const kept = element.nodes.filter((node) => typeof node === 'string' || !without.includes(node.name));
  return withNodes(element, [...kept, ...more]);
}

/** A new element like the given one, with other children. */
export function withNodes(element: XmlNodeElement, nodes: readonly XmlNode[]): XmlNodeElement {
  return new XmlNodeElement(element.name, element.attributes, [...nodes]);
}

/** A new element with other attributes; undefined takes one away. */
export function withAttributes(
  element: XmlNodeElement,
  change: Readonly<Record<string, string | undefined>>,
): XmlNodeElement {
  const attributes = new Map(element.attributes);
  for (const [name, value] of Object.entries(change)) {
    if (value === undefined) attributes.delete(name);
    else attributes.set(name, value);
  }
  return new XmlNodeElement(element.name, attributes, element.nodes);
}

/** The element at the end of a path of first children. */
export function at(
  element: XmlNodeElement | undefined,
  ...path: readonly string[]
): XmlNodeElement | undefined {
  let found = element;
  for (const name of path) found = found?.child(name);
  return found;
}

/** Attribute of the element at the end of a path of first children; the last of the names is the attribute's. */
export function attributeAt(
  element: XmlNodeElement | undefined,
  ...path: readonly string[]
): string | undefined {
  return at(element, ...path.slice(0, -1))?.attribute(path.at(-1) ?? '');
}
