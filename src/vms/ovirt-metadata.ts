/**
 * oVirt's two elements in a domain's `<metadata>` and the values in them. A value's attribute `type` is int, float or
 * bool, and text has none: so VDSM reads and writes them. Pure.
 */
import { xmlElement, type XmlNodeElement } from '../util/xml-edit.js';

export type MetadataNamespace = 'vm' | 'tune';

/** Where each lies: `<ovirt-vm:vm>`, `<ovirt-tune:qos>`. */
export const ovirtNamespaces = {
  vm: { uri: 'http://ovirt.org/vm/1.0', prefix: 'ovirt-vm', element: 'vm' },
  tune: { uri: 'http://ovirt.org/vm/tune/1.0', prefix: 'ovirt-tune', element: 'qos' },
} as const satisfies Record<MetadataNamespace, { uri: string; prefix: string; element: string }>;

export type MetadataValue = string | number | boolean;
/** Undefined takes the member away. Numbers are written as int where they are whole, else as float. */
export type MetadataValues = Readonly<Record<string, MetadataValue | undefined>>;

/** Sets or removes members of the element, whose other members stay; they get the element's own prefix. */
export function putValues(element: XmlNodeElement, values: MetadataValues): void {
  const prefix = element.name.slice(0, element.name.length - element.localName.length);
  for (const [name, value] of Object.entries(values)) {
    for (const old of element.children().filter(({ localName }) => localName === name)) element.remove(old);
    if (value !== undefined) element.append(valueElement(prefix + name, value));
  }
}

function valueElement(name: string, value: MetadataValue): XmlNodeElement {
  switch (typeof value) {
    case 'string':
      return xmlElement(name, {}, representable(value));
    case 'boolean':
      return xmlElement(name, { type: 'bool' }, String(value));
    case 'number':
      return xmlElement(name, { type: Number.isInteger(value) ? 'int' : 'float' }, String(value));
  }
}

/**
 * Messages of libvirt quote what they did not understand: characters that no XML may hold would void the whole write.
 * Line ends are made what every reader of XML makes of them.
 */
function representable(text: string): string {
  const lines = text.replace(/\r\n?/g, '\n');
  return lines.replace(/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu, '\u{FFFD}');
}
