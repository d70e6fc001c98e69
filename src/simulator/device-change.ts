/**
 * Changes of a configuration's devices: one more, one less, one different. Pure but for names that the host gives out.
 * Rules and texts as recorded from libvirt 9.0.
 */
import type { XmlNodeElement } from '../util/xml-edit.js';
import { addressesOf } from './addresses.js';
import { moduleKiB, partsOf, readDevice, readKiB, withDevice } from './device-parse.js';
import type { Device } from './device-parse.js';
import type { DiskConfig, DomainConfig, OtherDevice } from './domain-config.js';
import { Fault } from './fault.js';
import { requireImage } from './image-file.js';
import { aliasesOf, diskAlias, otherAlias } from './live-config.js';
import { at, attributeAt, printXml } from './xml-text.js';

/** What a new device gets from a running domain and its host. */
export interface LiveNames {
  /** Seconds that the domain has run. */
  readonly sinceSec: number;
  readonly newTap: () => string;
  readonly nextNode: () => number;
}

/** Elements of `<devices>` that may be plugged into a running domain. */
const PLUGGABLE = new Set(
  'disk interface controller hostdev redirdev serial console channel parallel rng shmem watchdog vsock input lease memory'.split(
    ' ',
  ),
);
const KNOWN = new Set([
  ...PLUGGABLE,
  ...'filesystem graphics video sound audio memballoon tpm panic smartcard hub iommu'.split(' '),
]);
const MODULE_MULTIPLE_KIB = 2048;

/** @throws Fault 'config-unsupported' */
export function requireDeviceElement({ name }: XmlNodeElement): void {
  if (!KNOWN.has(name)) throw new Fault('config-unsupported', `unknown device type '${name}'`);
}

/** @param names absent: into a definition. `alias`: of the new device in a running domain */
export function attachDevice(
  config: DomainConfig,
  element: XmlNodeElement,
  names: LiveNames | undefined,
): { readonly config: DomainConfig; readonly alias: string | undefined } {
  if (names && !PLUGGABLE.has(element.name)) {
    throw new Fault('operation-unsupported', `live attach of device '${element.name}' is not supported`);
  }
  const device = readDevice(element, addressesOf(config));
  const own = partsOf(device).alias;
  if (own !== undefined && aliasesOf(config).includes(own)) {
    throw new Fault('config-unsupported', `non unique alias detected: ${own}`);
  }
  if (device.kind === 'disk') requireNewTarget(config, device.disk, names !== undefined);
  const placed = names ? named(config, device, names) : device;
  const grown = placed.kind === 'other' ? withModule(config, placed.other, names !== undefined) : config;
  return { config: withDevice(grown, placed), alias: partsOf(placed).alias };
}

function requireNewTarget(config: DomainConfig, disk: DiskConfig, live: boolean): void {
  const known = config.disks.find(({ target }) => target === disk.target);
  if (!known) return;
  if (!live) throw new Fault('invalid-state', `target ${disk.target} already exists`);
  throw new Fault(
    'xml-error',
    `target '${disk.target}' duplicated for disk sources '${known.path}' and '${disk.path}'`,
  );
}

function named(config: DomainConfig, device: Device, { newTap, nextNode, sinceSec }: LiveNames): Device {
  if (device.kind === 'disk') {
    const { disk } = device;
    requireImage(disk.path);
    const index = nextNode();
    const backing = disk.backing.map((image) => ({ ...image, index: nextNode() }));
    return {
      kind: 'disk',
      disk: { ...disk, index, backing, sinceSec, alias: disk.alias ?? diskAlias(disk) },
    };
  }
  const element = device.kind === 'nic' ? device.nic.base : device.other.base;
  const next = element && otherAlias(element, aliasesOf(config));
  if (device.kind === 'nic') {
    const alias = device.nic.alias ?? next;
    return {
      kind: 'nic',
      nic: { ...device.nic, ...(alias !== undefined && { alias }), tap: newTap(), sinceSec },
    };
  }
  const alias = device.other.alias ?? next;
  return { kind: 'other', other: { ...device.other, ...(alias !== undefined && { alias }) } };
}

/** The configuration with the memory of a new module, the balloon's target included. */
function withModule(config: DomainConfig, module: OtherDevice, live: boolean): DomainConfig {
  const sizeKiB = moduleKiB(module);
  if (module.base.name !== 'memory') return config;
  const maximum = config.rest.find(({ name }) => name === 'maxMemory');
  const maxKiB = readKiB(maximum);
  if (maxKiB === undefined) {
    throw new Fault(
      'config-unsupported',
      "cannot use/hotplug a memory device when domain 'maxMemory' is not defined",
    );
  }
  if (config.memoryKiB + sizeKiB > maxKiB) {
    throw new Fault(
      'config-unsupported',
      `Attaching memory device with size '${sizeKiB}' would exceed domain's maxMemory config size '${maxKiB}'`,
    );
  }
  const modules = config.others.filter(({ base }) => base.name === 'memory').length;
  if (modules >= Number(maximum?.attribute('slots') ?? 0)) {
    throw new Fault('operation-failed', 'no free memory device slot available');
  }
  if (live && (sizeKiB === 0 || sizeKiB % MODULE_MULTIPLE_KIB !== 0)) {
    throw new Fault(
      'internal',
      "unable to execute QEMU command 'device_add': backend memory size must be multiple of 0x200000",
    );
  }
  return {
    ...config,
    memoryKiB: config.memoryKiB + sizeKiB,
    currentMemoryKiB: config.currentMemoryKiB + sizeKiB,
  };
}

/** What identifies a device of a configuration while others come and go. */
export type Found = DiskConfig | DomainConfig['nics'][number] | OtherDevice;

/** The device that an element means. @throws Fault 'device-missing' */
export function findDevice(config: DomainConfig, element: XmlNodeElement, live: boolean): Found {
  const alias = attributeAt(element, 'alias', 'name');
  if (element.name === 'disk') {
    const target = attributeAt(element, 'target', 'dev') ?? '';
    const disk = config.disks.find((each) => each.target === target);
    if (disk) return disk;
    throw new Fault('device-missing', live ? `disk ${target} not found` : `no target device ${target}`);
  }
  if (element.name === 'interface') return findNic(config, element);
  const same = config.others.filter(
    (each) => each.base.name === element.name && (alias === undefined || each.alias === alias),
  );
  const found = same.find((each) => isAlike(each, element)) ?? (alias === undefined ? undefined : same[0]);
  if (!found) throw new Fault('device-missing', missingText(element));
  return found;
}

/** The NIC of an element's MAC address, and of its alias and address where it has those. */
export function findNic(config: DomainConfig, element: XmlNodeElement): DomainConfig['nics'][number] {
  const mac = attributeAt(element, 'mac', 'address')?.toLowerCase() ?? '';
  const alias = attributeAt(element, 'alias', 'name');
  const address = element.child('address');
  const matching = config.nics.filter(
    (nic) =>
      nic.mac === mac &&
      (alias === undefined || nic.alias === alias) &&
      (address === undefined || nic.address === undefined || samePlace(nic.address, address)),
  );
  const [nic, another] = matching;
  if (another) {
    throw new Fault('operation-failed', `multiple devices matching MAC address ${mac} found`);
  }
  if (nic) return nic;
  const place = address ? printXml(address) : '(<null>)';
  throw new Fault(
    'device-missing',
    `no device found at address '${place}' matching MAC address '${mac}' and alias '${alias ?? '(<null>)'}'`,
  );
}

function samePlace(one: XmlNodeElement, other: XmlNodeElement): boolean {
  return ['domain', 'bus', 'slot', 'function'].every(
    (part) => Number(one.attribute(part) ?? 0) === Number(other.attribute(part) ?? 0),
  );
}

/** Memory modules are told apart by size and node, host devices by where they come from, others by all of it. */
function isAlike(device: OtherDevice, element: XmlNodeElement): boolean {
  const { base } = device;
  if (base.name === 'memory') {
    const nodeOf = (module: XmlNodeElement) => at(module, 'target', 'node')?.text;
    return moduleKiB(device) === moduleKiB({ base: element }) && nodeOf(base) === nodeOf(element);
  }
  if (base.name === 'hostdev') return sourceText(base) === sourceText(element);
  const plain = readDevice(element, []);
  return plain.kind === 'other' && printXml(plain.other.base) === printXml(base);
}

function sourceText(hostdev: XmlNodeElement): string {
  const address = hostdev.child('source')?.child('address');
  const part = (name: string) => address?.attribute(name);
  if (!address) return printXml(hostdev.child('source') ?? hostdev);
  const numbers = ['domain', 'bus', 'slot', 'function'].map((name) => Number(part(name) ?? 0));
  return `${numbers.join(':')} ${part('uuid') ?? ''}`;
}

function missingText(element: XmlNodeElement): string {
  if (element.name === 'memory') {
    const model = element.attribute('model') ?? 'dimm';
    return `model '${model}' memory device not present in the domain configuration`;
  }
  if (element.name === 'hostdev') return `host device ${sourceText(element)} not found`;
  return `device ${element.name} not present in domain configuration`;
}

export function findAlias(config: DomainConfig, alias: string): Found | undefined {
  return [...config.disks, ...config.nics, ...config.others].find((device) => device.alias === alias);
}

/** @throws Fault 'internal', as libvirt has it */
export function findByAlias(config: DomainConfig, alias: string): Found {
  const found = findAlias(config, alias);
  if (!found) throw new Fault('internal', `no device found with alias ${alias}`);
  return found;
}

/** The configuration without a device; a memory module takes its memory along. */
export function withoutDevice(config: DomainConfig, device: Found): DomainConfig {
  const others = config.others.filter((each) => each !== device);
  const module = config.others.find((each) => each === device);
  const sizeKiB = module ? moduleKiB(module) : 0;
  return {
    ...config,
    disks: config.disks.filter((each) => each !== device),
    nics: config.nics.filter((each) => each !== device),
    others,
    memoryKiB: config.memoryKiB - sizeKiB,
    currentMemoryKiB: Math.max(0, config.currentMemoryKiB - sizeKiB),
  };
}
