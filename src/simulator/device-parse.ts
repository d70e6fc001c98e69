/**
 * Reads elements of `<devices>`, in a domain's definition or handed to virDomainAttachDevice and its like.
 * Lenient: a device without a facet has the simulated host's own choice of it.
 */
import type { XmlNodeElement } from '../util/xml-edit.js';
import { newAddress } from './addresses.js';
import type {
  DiskConfig,
  DiskLimits,
  DomainConfig,
  ImageConfig,
  NicConfig,
  OtherDevice,
} from './domain-config.js';
import { userAlias } from './live-config.js';
import { at, attributeAt, withAttributes, withChildren, withNodes } from './xml-text.js';

/** XML does not tell how large a disk's image is. */
export const DISK_BYTES = 16 * 2 ** 30;

/** Attributes of `<source>` that say where the image is. */
const SOURCE_ATTRIBUTES = ['file', 'dev', 'name', 'dir', 'path', 'volume'];
/** Parts of a device that every kind has. */
const COMMON = ['alias', 'address'];

/** A device of any kind, with the address that it has or gets in the domain. */
export type Device =
  | { readonly kind: 'disk'; readonly disk: DiskConfig }
  | { readonly kind: 'nic'; readonly nic: NicConfig }
  | { readonly kind: 'other'; readonly other: OtherDevice };

/** @param taken addresses of the domain's other devices */
export function readDevice(element: XmlNodeElement, taken: readonly XmlNodeElement[]): Device {
  const address = element.child('address') ?? newAddress(taken, element);
  const placed = address ? { address } : {};
  if (element.name === 'disk') return { kind: 'disk', disk: { ...readDisk(element), ...placed } };
  if (element.name === 'interface') return { kind: 'nic', nic: { ...readNic(element), ...placed } };
  const alias = userAlias(attributeAt(element, 'alias', 'name'));
  const base = withChildren(element, COMMON, []);
  const other = { base: element.name === 'memory' ? moduleInKiB(base) : base, ...alias, ...placed };
  return { kind: 'other', other };
}

/** The device, whatever its kind. */
export function partsOf(device: Device): DiskConfig | NicConfig | OtherDevice {
  return device.kind === 'disk' ? device.disk : device.kind === 'nic' ? device.nic : device.other;
}

/** The configuration with one device more. */
export function withDevice<C extends Pick<DomainConfig, 'disks' | 'nics' | 'others'>>(
  config: C,
  device: Device,
): C {
  if (device.kind === 'disk') return { ...config, disks: [...config.disks, device.disk] };
  if (device.kind === 'nic') return { ...config, nics: [...config.nics, device.nic] };
  return { ...config, others: [...config.others, device.other] };
}

function readDisk(disk: XmlNodeElement): DiskConfig {
  const device = disk.attribute('device');
  const type = disk.attribute('type');
  const serial = disk.child('serial')?.text;
  const limits = readLimits(disk.child('iotune'));
  return {
    target: attributeAt(disk, 'target', 'dev') ?? 'vda',
    bus: attributeAt(disk, 'target', 'bus') ?? 'virtio',
    device: device === 'cdrom' || device === 'floppy' || device === 'lun' ? device : 'disk',
    format: attributeAt(disk, 'driver', 'type') ?? 'raw',
    type: type === 'block' || type === 'network' ? type : 'file',
    path: sourcePath(disk.child('source')),
    capacityBytes: DISK_BYTES,
    backing: readBacking(disk.child('backingStore')),
    ...userAlias(attributeAt(disk, 'alias', 'name')),
    ...(serial !== undefined && { serial }),
    ...(limits.size > 0 && { limits }),
    base: withChildren(disk, [...COMMON, 'backingStore', 'mirror', 'iotune', 'serial'], []),
  };
}

export function sourcePath(source: XmlNodeElement | undefined): string {
  for (const name of SOURCE_ATTRIBUTES) {
    const value = source?.attribute(name);
    if (value !== undefined) return value;
  }
  return '';
}

function readBacking(store: XmlNodeElement | undefined): ImageConfig[] {
  const images: ImageConfig[] = [];
  for (let each = store; each; each = each.child('backingStore')) {
    const path = sourcePath(each.child('source'));
    if (path === '') break;
    const type = each.attribute('type') === 'block' ? 'block' : 'file';
    images.push({ path, type, format: attributeAt(each, 'format', 'type') ?? 'raw' });
  }
  return images;
}

function readLimits(tune: XmlNodeElement | undefined): DiskLimits {
  const limits = new Map<string, number | string>();
  for (const { name, text } of tune?.children() ?? []) {
    if (name === 'group_name') limits.set(name, text);
    else if (/^\d{1,15}$/.test(text.trim())) limits.set(name, Number(text));
  }
  return limits;
}

function readNic(nic: XmlNodeElement): NicConfig {
  const bridge = attributeAt(nic, 'source', 'bridge') ?? attributeAt(nic, 'source', 'network');
  return {
    mac: (attributeAt(nic, 'mac', 'address') ?? '52:54:00:00:00:00').toLowerCase(),
    model: attributeAt(nic, 'model', 'type') ?? 'virtio',
    ...(bridge !== undefined && { bridge }),
    ...userAlias(attributeAt(nic, 'alias', 'name')),
    base: withChildren(nic, COMMON, []),
  };
}

const units: Readonly<Record<string, number>> = {
  b: 1 / 1024,
  bytes: 1 / 1024,
  KB: 1000 / 1024,
  k: 1,
  KiB: 1,
  MB: 1e6 / 1024,
  M: 1024,
  MiB: 1024,
  GB: 1e9 / 1024,
  G: 2 ** 20,
  GiB: 2 ** 20,
  TB: 1e12 / 1024,
  T: 2 ** 30,
  TiB: 2 ** 30,
};

/** Memory in any of libvirt's units; undefined where the element is absent or says no number. */
export function readKiB(element: XmlNodeElement | undefined): number | undefined {
  const text = element?.text.trim() ?? '';
  if (!/^\d{1,15}$/.test(text)) return undefined;
  return Math.floor(Number(text) * (units[element?.attribute('unit') ?? 'KiB'] ?? 1));
}

/** The element as libvirt prints it, whatever unit it came in. */
export function inKiB(element: XmlNodeElement): XmlNodeElement {
  const sizeKiB = readKiB(element);
  if (sizeKiB === undefined) return element;
  return withNodes(withAttributes(element, { unit: 'KiB' }), [String(sizeKiB)]);
}

function moduleInKiB(module: XmlNodeElement): XmlNodeElement {
  const target = module.child('target');
  if (!target) return module;
  const parts = target.nodes.map((node) =>
    typeof node !== 'string' && node.name === 'size' ? inKiB(node) : node,
  );
  return withNodes(
    module,
    module.nodes.map((node) => (node === target ? withNodes(target, parts) : node)),
  );
}

/** Size of a memory module; 0 for other devices. */
export function moduleKiB({ base }: OtherDevice): number {
  return base.name === 'memory' ? (readKiB(at(base, 'target', 'size')) ?? 0) : 0;
}
