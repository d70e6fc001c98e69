/**
 * What libvirt adds to a definition when QEMU starts: aliases, host taps, node numbers of images.
 */
import type { XmlNodeElement } from '../util/xml-edit.js';
import { diskIndex } from './domain-config.js';
import type { DiskConfig, DomainConfig, OtherDevice } from './domain-config.js';

/** Aliases are this and a number, where not the element's name. */
const prefixes: Readonly<Record<string, string>> = {
  interface: 'net',
  memballoon: 'balloon',
  redirdev: 'redir',
  filesystem: 'fs',
};
/** Elements without an alias. */
const NAMELESS = new Set(['graphics', 'audio', 'emulator', 'panic']);

export function isUserAlias(alias: string | undefined): boolean {
  return alias?.startsWith('ua-') ?? false;
}

/** Without what only a running domain has. */
export function userAlias(alias: string | undefined): { readonly alias?: string } {
  return alias !== undefined && isUserAlias(alias) ? { alias } : {};
}

export function diskAlias({ bus, target, address }: DiskConfig): string {
  if (bus === 'virtio' || bus === 'usb') return `${bus}-disk${diskIndex(target)}`;
  const part = (name: string) => address?.attribute(name) ?? '0';
  const place = `${part('controller')}-${part('bus')}`;
  const prefix = bus === 'fdc' ? 'fdc' : bus;
  return bus === 'scsi'
    ? `${prefix}${place}-${part('target')}-${part('unit')}`
    : `${prefix}${place}-${part('unit')}`;
}

/** The alias of a new device that is no disk. @param taken all aliases of the domain */
export function otherAlias(element: XmlNodeElement, taken: Iterable<string>): string | undefined {
  if (NAMELESS.has(element.name)) return undefined;
  if (element.name === 'controller') return controllerAlias(element);
  const prefix = element.name === 'memory' ? memoryPrefix(element) : (prefixes[element.name] ?? element.name);
  let next = 0;
  for (const alias of taken) {
    const number = alias.startsWith(prefix) ? alias.slice(prefix.length) : '';
    if (/^\d{1,9}$/.test(number)) next = Math.max(next, Number(number) + 1);
  }
  return `${prefix}${next}`;
}

function memoryPrefix(element: XmlNodeElement): string {
  const model = element.attribute('model') ?? 'dimm';
  return model.replace(/-/g, '');
}

function controllerAlias(element: XmlNodeElement): string {
  const type = element.attribute('type') ?? 'pci';
  const index = element.attribute('index') ?? '0';
  if (type === 'pci') return index === '0' ? 'pcie.0' : `pci.${index}`;
  if (type === 'usb' && index === '0') return 'usb';
  if (type === 'sata' || type === 'ide') return index === '0' ? 'ide' : `${type}${index}`;
  return `${type}${index}`;
}

export function aliasesOf(config: DomainConfig): string[] {
  return [...config.disks, ...config.nics, ...config.others].flatMap(({ alias }) => alias ?? []);
}

/** Domains of one shape share their other devices, and so their aliases. */
const namedOthers = new WeakMap<readonly OtherDevice[], readonly OtherDevice[]>();

function nameOthers(others: readonly OtherDevice[]): readonly OtherDevice[] {
  const known = namedOthers.get(others);
  if (known) return known;
  const taken: string[] = [];
  const named = others.map((device) => {
    const alias = device.alias ?? otherAlias(device.base, taken);
    if (alias === undefined) return device;
    taken.push(alias);
    return { ...device, alias };
  });
  namedOthers.set(others, named);
  return named;
}

/** The configuration of a QEMU that starts. Images are numbered from the last disk's to the first's, top before backing. */
export function startedConfig(definition: DomainConfig, newTap: () => string): DomainConfig {
  let index = 0;
  const disks = definition.disks.map((disk) => ({ ...disk, alias: disk.alias ?? diskAlias(disk) }));
  const numbered = disks.reverse().map((disk) => ({
    ...disk,
    index: ++index,
    backing: disk.backing.map((image) => ({ ...image, index: ++index })),
  }));
  const nics = definition.nics.map((nic, number) => ({
    ...nic,
    alias: nic.alias ?? `net${number}`,
    tap: newTap(),
  }));
  const { vcpus: bootVcpus, others } = definition;
  return { ...definition, bootVcpus, disks: numbered.reverse(), nics, others: nameOthers(others) };
}

/** The highest node number in use. */
export function lastNode(config: DomainConfig): number {
  return Math.max(
    0,
    ...config.disks.flatMap(({ index, backing }) => [
      index ?? 0,
      ...backing.map((image) => image.index ?? 0),
    ]),
  );
}
