/**
 * The document that hot-plugging verbs take, `<hotplug><devices/><metadata/></hotplug>`: one device, and what oVirt has
 * to say of it in the VM's metadata. Pure.
 */
import { VerbError } from '../../domain/errors.js';
import { parseXmlForEdit } from '../../util/xml-edit.js';
import type { XmlNodeElement } from '../../util/xml-edit.js';
import { ovirtNamespaces } from '../ovirt-metadata.js';
import { namespaceOf } from '../prepare-xml.js';

export type HotplugKind = 'interface' | 'disk' | 'memory';

export interface HotplugDocument {
  readonly device: XmlNodeElement;
  /** `device` elements of oVirt's `vm`, without prefixes. */
  readonly metadata: readonly XmlNodeElement[];
}

const kindNames: Readonly<Record<HotplugKind, string>> = {
  interface: 'NIC',
  disk: 'disk',
  memory: 'memory module',
};

/**
 * Other members of oVirt's `vm` are not the device's and left out.
 * @throws VerbError missParam (no such device in it), invalidParameter, noimpl (leases)
 */
export function parseHotplugDocument(xml: string, kind: HotplugKind): HotplugDocument {
  const root = parsed(xml);
  if (root.name !== 'hotplug' && root.name !== 'hotunplug') {
    throw new VerbError('invalidParameter', 'the hotplug document has another root than <hotplug>');
  }
  const devices = root.children('devices').flatMap((holder) => holder.children());
  if (devices.some(({ name }) => name === 'lease')) {
    throw new VerbError('noimpl', 'leases cannot be hot-plugged by this agent');
  }
  return { device: theOne(devices, kind), metadata: metadataOf(root) };
}

/** The device of a hotplug document, of a bare `<devices>`, or by itself. @throws as parseHotplugDocument */
export function deviceOfDocument(xml: string, kind: HotplugKind): XmlNodeElement {
  const root = parsed(xml);
  if (root.name === kind) return root;
  if (root.name === 'devices') return theOne(root.children(), kind);
  return parseHotplugDocument(xml, kind).device;
}

function parsed(xml: string): XmlNodeElement {
  try {
    return parseXmlForEdit(xml);
  } catch (error) {
    throw new VerbError('invalidParameter', (error as Error).message, { cause: error });
  }
}

function theOne(devices: readonly XmlNodeElement[], kind: HotplugKind): XmlNodeElement {
  const [device, second] = devices.filter(({ name }) => name === kind);
  if (!device) throw new VerbError('missParam', `the document has no <${kind}> in its <devices>`);
  if (second) {
    throw new VerbError(
      'invalidParameter',
      `the document has more than one ${kindNames[kind]}; send one at a time`,
    );
  }
  return device;
}

function metadataOf(root: XmlNodeElement): XmlNodeElement[] {
  const { uri, prefix, element } = ovirtNamespaces.vm;
  return root.children('metadata').flatMap((holder) =>
    holder.children().flatMap((vm) => {
      // Without a declaration anywhere, oVirt's usual prefix is taken at its word.
      const namespace =
        namespaceOf(vm, [vm, holder, root]) ?? (vm.name.startsWith(`${prefix}:`) ? uri : undefined);
      if (vm.localName !== element || namespace !== uri) return [];
      return vm
        .children()
        .filter(({ localName }) => localName === 'device')
        .map(withoutPrefixes);
    }),
  );
}

/** In place. */
function withoutPrefixes(element: XmlNodeElement): XmlNodeElement {
  element.name = element.localName;
  for (const name of [...element.attributes.keys()]) {
    if (name === 'xmlns' || name.startsWith('xmlns:')) element.attributes.delete(name);
  }
  for (const child of element.children()) withoutPrefixes(child);
  return element;
}
