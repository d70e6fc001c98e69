/**
 * Which device of a VM the element of a document means: by alias, which engines give to every device, or else by what is
 * one of a kind in a VM, a NIC's address, a drive's target, a memory module's slot. Pure.
 */
import type { XmlNodeElement } from '../../util/xml-edit.js';
import { namesOfDevice } from './device-metadata.js';

/** Undefined where there is none, or the element says nothing that would name one. */
export function findDevice(
  devices: readonly XmlNodeElement[],
  wanted: XmlNodeElement,
): XmlNodeElement | undefined {
  const candidates = devices.filter(({ name }) => name === wanted.name);
  const { alias, mac, target } = namesOfDevice(wanted);
  const slot = slotOf(wanted);
  return (
    candidates.find((each) => alias !== '' && namesOfDevice(each).alias === alias) ??
    candidates.find((each) => mac !== '' && namesOfDevice(each).mac === mac) ??
    candidates.find((each) => target !== '' && namesOfDevice(each).target === target) ??
    candidates.find((each) => slot !== undefined && slotOf(each) === slot)
  );
}

/** True where just this device is plugged in already, and not only one that takes its place. */
export function isThere(devices: readonly XmlNodeElement[], wanted: XmlNodeElement): boolean {
  const found = findDevice(devices, wanted);
  if (!found) return false;
  const [has, given] = [namesOfDevice(found), namesOfDevice(wanted)];
  if (has.mac !== given.mac || has.target !== given.target) return false;
  return wanted.name !== 'disk' || imageOf(found) === imageOf(wanted);
}

const IMAGE_ATTRIBUTES = ['file', 'dev', 'name', 'volume', 'dir', 'path'];

function imageOf(disk: XmlNodeElement): string | undefined {
  const source = disk.child('source');
  return IMAGE_ATTRIBUTES.map((name) => source?.attribute(name)).find((value) => value !== undefined);
}

function slotOf(device: XmlNodeElement): string | undefined {
  const address = device.child('address');
  return address?.attribute('type') === 'dimm' ? address.attribute('slot') : undefined;
}
