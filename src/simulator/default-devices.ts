/** Devices that a QEMU domain has without anybody defining them. */
import { xmlElement } from '../util/xml-edit.js';
import { pciAddress } from './addresses.js';
import type { OtherDevice } from './domain-config.js';

const onBus = (
  name: string,
  attributes: Readonly<Record<string, string>>,
  bus: number,
  slot = 0,
): OtherDevice => ({
  base: xmlElement(name, attributes),
  address: pciAddress(bus, slot),
});

/** @param ports PCI devices that may be plugged */
export function defaultControllers(ports: number): OtherDevice[] {
  const rootPorts = Array.from({ length: ports }, (_, port): OtherDevice => {
    const number = String(port + 1);
    const attributes = { type: 'pci', index: number, model: 'pcie-root-port' };
    return {
      base: xmlElement('controller', attributes, [
        xmlElement('model', { name: 'pcie-root-port' }),
        xmlElement('target', { chassis: number, port: `0x${(0x10 + port).toString(16)}` }),
      ]),
    };
  });
  return [
    onBus('controller', { type: 'usb', index: '0', model: 'qemu-xhci' }, 2),
    { base: xmlElement('controller', { type: 'pci', index: '0', model: 'pcie-root' }) },
    onBus('controller', { type: 'virtio-serial', index: '0' }, 3),
    ...rootPorts,
  ];
}

export function defaultInputs(): OtherDevice[] {
  return [
    { base: xmlElement('input', { type: 'mouse', bus: 'ps2' }) },
    { base: xmlElement('input', { type: 'keyboard', bus: 'ps2' }) },
  ];
}

/** What a screen needs. */
export function defaultVideo(): OtherDevice[] {
  const model = xmlElement('model', { type: 'cirrus', vram: '16384', heads: '1', primary: 'yes' });
  return [
    { base: xmlElement('audio', { id: '1', type: 'none' }) },
    { base: xmlElement('video', {}, [model]), address: pciAddress(0, 1) },
  ];
}
