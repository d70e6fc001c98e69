/**
 * Where devices sit in the guest: the address that libvirt gives a device whose definition has none.
 */
import { xmlElement } from '../util/xml-edit.js';
import type { XmlNodeElement } from '../util/xml-edit.js';
import { diskIndex } from './domain-config.js';
import type { DomainConfig } from './domain-config.js';

const MAX_BUS = 255;
/** Devices on a PCI bus of their own; disks by their bus, hostdev by its type. */
const ON_PCI = new Set(['interface', 'rng', 'memballoon', 'video', 'sound', 'watchdog', 'shmem', 'vsock']);

const hex = (value: number, digits: number) => `0x${value.toString(16).padStart(digits, '0')}`;
const known = new Map<number, XmlNodeElement>();

/** Shared: thousands of domains have the same few. */
export function pciAddress(bus: number, slot = 0): XmlNodeElement {
  const key = bus * 32 + slot;
  let address = known.get(key);
  if (!address) {
    address = xmlElement('address', {
      type: 'pci',
      domain: '0x0000',
      bus: hex(bus, 2),
      slot: hex(slot, 2),
      function: '0x0',
    });
    known.set(key, address);
  }
  return address;
}

/** The devices' addresses, as far as they have one. */
export function addressesOf(config: Pick<DomainConfig, 'disks' | 'nics' | 'others'>): XmlNodeElement[] {
  return [...config.disks, ...config.nics, ...config.others].flatMap(({ address }) => address ?? []);
}

/** A PCI bus that no device is on. */
function freeBus(taken: readonly XmlNodeElement[]): number {
  const used = new Set(
    taken
      .filter((address) => address.attribute('type') === 'pci')
      .map((address) => Number(address.attribute('bus'))),
  );
  for (let bus = 1; bus < MAX_BUS; bus++) if (!used.has(bus)) return bus;
  return MAX_BUS;
}

/**
 * For a new device of an element; undefined where devices of its kind have none.
 * @param taken addresses of the domain's other devices
 */
export function newAddress(
  taken: readonly XmlNodeElement[],
  element: XmlNodeElement,
): XmlNodeElement | undefined {
  if (element.name === 'disk') return diskAddress(taken, element.child('target'));
  if (element.name === 'memory') return dimmAddress(taken);
  const onPci =
    ON_PCI.has(element.name) || (element.name === 'hostdev' && element.attribute('type') === 'pci');
  return onPci ? pciAddress(freeBus(taken)) : undefined;
}

function diskAddress(
  taken: readonly XmlNodeElement[],
  target: XmlNodeElement | undefined,
): XmlNodeElement | undefined {
  const bus = target?.attribute('bus') ?? 'virtio';
  if (bus === 'virtio') return pciAddress(freeBus(taken));
  const index = Math.max(0, diskIndex(target?.attribute('dev') ?? ''));
  // IDE has two drives a bus; elsewhere the unit tells drives apart.
  const place = bus === 'ide' ? { bus: index >> 1, unit: index & 1 } : { bus: 0, unit: index };
  return xmlElement('address', {
    type: bus === 'usb' ? 'usb' : 'drive',
    controller: '0',
    bus: String(place.bus),
    target: '0',
    unit: String(place.unit),
  });
}

function dimmAddress(taken: readonly XmlNodeElement[]): XmlNodeElement {
  const slots = taken
    .filter((address) => address.attribute('type') === 'dimm')
    .map((address) => Number(address.attribute('slot')));
  const slot = Math.max(-1, ...slots) + 1;
  return xmlElement('address', {
    type: 'dimm',
    slot: String(slot),
    base: hex(0x1_0000_0000 + slot * 0x4000_0000, 9),
  });
}
