/**
 * What oVirt's metadata say of single devices: `<device alias= mac_address=>` of a NIC, `<device devtype="disk" name=>` of
 * a drive. Put there with a device that is plugged in, taken away with it. Pure; elements are those of MetadataStore.edit.
 */
import type { XmlNodeElement } from '../../util/xml-edit.js';
import { aliasOf, macOf, targetOf } from './live-devices.js';

/** By what metadata may name a device; '' is no name. */
export interface DeviceNames {
  readonly alias: string;
  /** Of a NIC, lower case. */
  readonly mac: string;
  /** Of a drive. */
  readonly target: string;
}

/** Of a device's element in domain XML. */
export function namesOfDevice(device: XmlNodeElement): DeviceNames {
  return {
    alias: aliasOf(device),
    mac: device.name === 'interface' ? macOf(device) : '',
    target: device.name === 'disk' ? targetOf(device) : '',
  };
}

/** Lays the devices' elements in place of those of the same devices. @returns those that gave way */
export function putDevices(vm: XmlNodeElement, devices: readonly XmlNodeElement[]): XmlNodeElement[] {
  const old = devices.flatMap((device) => removeDevice(vm, namesOfMetadata(device)));
  vm.append(...devices);
  return old;
}

/** Takes putDevices back. */
export function restoreDevices(
  vm: XmlNodeElement,
  devices: readonly XmlNodeElement[],
  old: readonly XmlNodeElement[],
): void {
  for (const device of devices) removeDevice(vm, namesOfMetadata(device));
  vm.append(...old);
}

/** Takes away all that the metadata say of a device. @returns what it was */
export function removeDevice(vm: XmlNodeElement, names: DeviceNames): XmlNodeElement[] {
  const old = vm
    .children()
    .filter((each) => each.localName === 'device' && isSame(namesOfMetadata(each), names));
  for (const each of old) vm.remove(each);
  return old;
}

function namesOfMetadata(element: XmlNodeElement): DeviceNames {
  return {
    alias: element.attribute('alias') ?? '',
    mac: element.attribute('mac_address')?.toLowerCase() ?? '',
    target: element.attribute('devtype') === 'disk' ? (element.attribute('name') ?? '') : '',
  };
}

function isSame(a: DeviceNames, b: DeviceNames): boolean {
  return (['alias', 'mac', 'target'] as const).some((name) => a[name] !== '' && a[name] === b[name]);
}
