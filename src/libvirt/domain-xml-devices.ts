/** `<devices>` of a domain: disks, NICs, graphics and channels, as far as the agent reports them. */
import type { DiskDevice, GraphicsDevice, NetDevice } from '../domain/devices.js';
import { defined, integer } from './domain-xml-values.js';
import type { DiskMetadata } from './domain-xml-metadata.js';
import type { XmlElement } from '../util/xml-tree.js';

/** Where a source says what it is: file, block device, directory, network image, vhost-user socket, volume. */
const SOURCE_ATTRIBUTES = ['file', 'dev', 'dir', 'name', 'path', 'volume'];
/** Interfaces that bypass the host's network stack. */
const PASSTHROUGH_TYPES = new Set(['hostdev', 'vdpa']);
/** <data-center>/.../images/<imageId>/<volume> of oVirt's storage domains. */
const IMAGE_PATH = /^\/rhev\/data-center\/(?:[^/]+\/)*images\/([^/]+)\/[^/]+$/;

export function disksOf(
  devices: XmlElement | undefined,
  metadata: ReadonlyMap<string, DiskMetadata>,
): DiskDevice[] {
  return all(devices, 'disk').map((disk) => {
    const target = disk.child('target')?.attribute('dev') ?? '';
    const source = sourceOf(disk.child('source'));
    const known = metadata.get(target);
    return {
      target,
      device: deviceOf(disk.attribute('device')),
      bus: disk.child('target')?.attribute('bus') ?? '',
      source,
      alias: aliasOf(disk),
      ...defined({
        imageId: known?.imageId ?? (known?.lunGuid === undefined ? IMAGE_PATH.exec(source)?.[1] : undefined),
        lunGuid: known?.lunGuid,
        ioTune: ioTuneOf(disk.child('iotune')),
      }),
    };
  });
}

export function nicsOf(devices: XmlElement | undefined): NetDevice[] {
  return all(devices, 'interface').map((nic) => ({
    target: nic.child('target')?.attribute('dev') ?? '',
    mac: nic.child('mac')?.attribute('address') ?? '',
    model: nic.child('model')?.attribute('type') ?? '',
    alias: aliasOf(nic),
    passthrough: PASSTHROUGH_TYPES.has(nic.attribute('type') ?? ''),
  }));
}

export function graphicsOf(devices: XmlElement | undefined): GraphicsDevice[] {
  return all(devices, 'graphics').map((graphics) => {
    const listens = graphics.children('listen').map((listen) => listen.attribute('address'));
    return {
      type: graphics.attribute('type') ?? '',
      port: graphics.attribute('port') ?? '',
      tlsPort: graphics.attribute('tlsPort') ?? '',
      listenAddress: listens.find((address) => address !== undefined) ?? '0',
    };
  });
}

/** Virtio channels by their name in the guest; `state` only in live XML. */
export function channelsOf(devices: XmlElement | undefined): { name: string; state: string }[] {
  return all(devices, 'channel')
    .map((channel) => channel.child('target'))
    .filter((target) => target?.attribute('type') === 'virtio')
    .map((target) => ({ name: target?.attribute('name') ?? '', state: target?.attribute('state') ?? '' }))
    .filter(({ name }) => name !== '');
}

function all(devices: XmlElement | undefined, name: string): XmlElement[] {
  return devices?.children(name) ?? [];
}

function aliasOf(device: XmlElement): string {
  return device.child('alias')?.attribute('name') ?? '';
}

function deviceOf(text: string | undefined): DiskDevice['device'] {
  return text === 'cdrom' || text === 'floppy' || text === 'lun' ? text : 'disk';
}

function sourceOf(source: XmlElement | undefined): string {
  for (const name of SOURCE_ATTRIBUTES) {
    const value = source?.attribute(name);
    if (value !== undefined) return value;
  }
  return '';
}

/** libvirt's numeric limits by element name; undefined without any. */
function ioTuneOf(ioTune: XmlElement | undefined): Record<string, number> | undefined {
  const limits: Record<string, number> = {};
  for (const element of ioTune?.children() ?? []) {
    const value = integer(element.text());
    if (value !== undefined) limits[element.name] = value;
  }
  return Object.keys(limits).length === 0 ? undefined : limits;
}
