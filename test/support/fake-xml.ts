/**
 * What the fake's hypervisor does to a domain's XML, as libvirt does it: names for devices when it starts, devices
 * that come, go and change, images that take each other's place.
 */
import { HypervisorError } from '../../src/domain/hypervisor.js';
import { parseXmlForEdit, xmlElement } from '../../src/util/xml-edit.js';
import type { XmlNodeElement } from '../../src/util/xml-edit.js';

const ALIASES: Readonly<Record<string, string>> = { interface: 'net', memory: 'dimm', memballoon: 'balloon' };
let tapNumber = 0;

/** @throws HypervisorError 'failed' for what is no XML */
export function parsedForEdit(xml: string): XmlNodeElement {
  try {
    if (!closesItsTags(xml)) throw new Error('a tag is not closed');
    return parseXmlForEdit(xml);
  } catch (error) {
    throw new HypervisorError('failed', `XML error: ${(error as Error).message}`, { cause: error });
  }
}

/** What the agent's own parser lets pass. */
function closesItsTags(xml: string): boolean {
  const open: string[] = [];
  for (const [, slash, name = '', empty] of xml.matchAll(/<(\/?)([\w:.-]+)[^>]*?(\/?)>/g)) {
    if (slash !== '' && open.pop() !== name) return false;
    if (slash === '' && empty === '') open.push(name);
  }
  return open.length === 0;
}

export function edited(xml: string, change: (domain: XmlNodeElement) => void): string {
  const domain = parsedForEdit(xml);
  change(domain);
  return domain.toString();
}

/** The live XML of a domain that starts from this definition. */
export function startedXml(definition: string): string {
  return edited(definition, (domain) => {
    for (const device of devicesOf(domain)) makeLive(domain, device);
  });
}

/** Names a device as libvirt does, and gives a NIC its tap. Returns the alias. */
export function makeLive(domain: XmlNodeElement, device: XmlNodeElement): string {
  if (device.name === 'interface' && !device.child('target')) {
    device.append(xmlElement('target', { dev: `vnet${tapNumber++}` }));
  }
  const given = aliasOf(device);
  if (given !== undefined) return given;
  const bus = device.name === 'disk' ? `${device.child('target')?.attribute('bus') ?? 'virtio'}-` : '';
  const base = bus + (ALIASES[device.name] ?? device.name);
  const taken = new Set(devicesOf(domain).map(aliasOf));
  let number = 0;
  while (taken.has(`${base}${number}`)) number++;
  device.append(xmlElement('alias', { name: `${base}${number}` }));
  return `${base}${number}`;
}

export function devicesOf(domain: XmlNodeElement): XmlNodeElement[] {
  return domain.child('devices')?.children() ?? [];
}

export function aliasOf(device: XmlNodeElement): string | undefined {
  return device.child('alias')?.attribute('name');
}

export function targetOf(device: XmlNodeElement): string | undefined {
  return device.child('target')?.attribute('dev');
}

/** The device that libvirt takes a description to mean. */
export function findDevice(domain: XmlNodeElement, wanted: XmlNodeElement): XmlNodeElement | undefined {
  const same = sameAs(wanted);
  return devicesOf(domain).find((device) => device.name === wanted.name && same(device));
}

function sameAs(wanted: XmlNodeElement): (device: XmlNodeElement) => boolean {
  const target = targetOf(wanted);
  const mac = wanted.child('mac')?.attribute('address');
  if (wanted.name === 'disk') return (device) => targetOf(device) === target;
  if (wanted.name === 'interface') return (device) => device.child('mac')?.attribute('address') === mac;
  if (wanted.name === 'graphics') return (device) => device.attribute('type') === wanted.attribute('type');
  const alias = aliasOf(wanted);
  if (alias !== undefined) return (device) => aliasOf(device) === alias;
  const source = squeezed(wanted.child('source') ?? wanted.child('target'));
  return (device) => squeezed(device.child('source') ?? device.child('target')) === source;
}

function squeezed(element: XmlNodeElement | undefined): string {
  return String(element)
    .replaceAll(/>\s+</g, '><')
    .replaceAll(/0x0*|(?<==")0+(?=\d)/g, '');
}

/** @throws HypervisorError 'no-device' */
export function requireDevice(domain: XmlNodeElement, wanted: XmlNodeElement): XmlNodeElement {
  const found = findDevice(domain, wanted);
  if (found) return found;
  throw new HypervisorError('no-device', `device not found: no ${wanted.name} like this`);
}

/** @throws HypervisorError 'failed', as for any argument that libvirt finds invalid */
export function requireDisk(domain: XmlNodeElement, target: string): XmlNodeElement {
  const found = devicesOf(domain).find((device) => device.name === 'disk' && targetOf(device) === target);
  if (found) return found;
  throw new HypervisorError('failed', `invalid argument: no disk ${target} in this domain`);
}

const FIXED = new Set(['target', 'mac', 'model', 'alias', 'address']);

/** Takes over what a device may change while it is in use; what the new description lacks is gone. */
export function updateElement(device: XmlNodeElement, given: XmlNodeElement): void {
  for (const [name, value] of given.attributes) device.attributes.set(name, value);
  for (const child of device.children()) if (!FIXED.has(child.name)) device.remove(child);
  device.append(...given.children().filter(({ name }) => !FIXED.has(name)));
}

/** Paths of a disk's chain, the image that the guest writes to first. */
export function chainOf(disk: XmlNodeElement): string[] {
  const path = disk.child('source')?.attribute('file') ?? disk.child('source')?.attribute('dev');
  const backing = disk.child('backingStore');
  return [...(path === undefined ? [] : [path]), ...(backing ? chainOf(backing) : [])];
}

/** Gives a disk that chain, the image that the guest writes to first. */
export function setChain(disk: XmlNodeElement, chain: readonly string[]): void {
  const kind = disk.attribute('type') === 'block' ? 'dev' : 'file';
  for (const name of ['source', 'backingStore']) {
    const old = disk.child(name);
    if (old) disk.remove(old);
  }
  const [first, ...backing] = chain;
  if (first !== undefined) disk.append(xmlElement('source', { [kind]: first }));
  disk.append(
    backing.reduceRight<XmlNodeElement>(
      (below, path) =>
        xmlElement('backingStore', { type: disk.attribute('type') ?? 'file' }, [
          xmlElement('format', { type: 'qcow2' }),
          xmlElement('source', { [kind]: path }),
          below,
        ]),
      xmlElement('backingStore'),
    ),
  );
}
