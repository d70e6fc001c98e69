/**
 * Reads the domain XML that a client defines or starts. Lenient: what the simulated host does not know is
 * left out of the domain; what a domain cannot be without (name, type, memory) is a Fault with libvirt's number.
 */
import { parseXmlTree } from '../util/xml-tree.js';
import type { XmlElement } from '../util/xml-tree.js';
import type { DiskConfig, DomainConfig, MetadataElement, NicConfig } from './domain-config.js';
import { diskName } from './domain-config.js';
import { escapeXml } from './domain-xml.js';
import { Fault } from './fault.js';

/** XML does not tell how large a disk's image is. */
const DISK_BYTES = 16 * 2 ** 30;

/** @param makeUuid gives the identity of a domain whose XML has none */
export function parseDomain(xml: string, makeUuid: () => string): DomainConfig {
  const domain = parseDocument(xml);
  if (domain.name !== 'domain') {
    throw new Fault('xml-error', `expecting root element of 'domain', not '${domain.name}'`);
  }
  const name = domain.child('name')?.text() ?? '';
  if (name === '') throw new Fault('xml-error', 'missing name information');
  const type = domain.attribute('type');
  if (type === undefined) throw new Fault('xml-error', "missing attribute 'type' of the domain");
  if (type !== 'kvm' && type !== 'qemu') {
    throw new Fault('config-unsupported', `the simulated host does not support virt type '${type}'`);
  }
  if ((domain.at('os', 'type')?.text() ?? '') === '') {
    throw new Fault('xml-error', 'an os <type> must be specified');
  }
  const memoryKiB = readKiB(domain.child('memory'));
  if (memoryKiB === undefined) throw new Fault('xml-error', 'missing memory element');
  const devices = domain.child('devices');
  const maxVcpus = Number(domain.child('vcpu')?.text() ?? 1) || 1;
  const vncListen = readVncListen(devices);
  const title = domain.child('title')?.text();
  const description = domain.child('description')?.text();
  const balloonPeriodSec = readBalloonPeriod(devices);
  return {
    type,
    name,
    uuid: (domain.child('uuid')?.text() ?? makeUuid()).trim().toLowerCase(),
    memoryKiB,
    currentMemoryKiB: readKiB(domain.child('currentMemory')) ?? memoryKiB,
    vcpus: Number(domain.child('vcpu')?.attribute('current') ?? maxVcpus) || maxVcpus,
    maxVcpus,
    machine: domain.at('os', 'type')?.attribute('machine') ?? 'pc-q35-7.2',
    acpi: domain.at('features', 'acpi') !== undefined,
    disks: (devices?.children('disk') ?? []).map(readDisk),
    nics: (devices?.children('interface') ?? []).map(readNic),
    guestAgent: (devices?.children('channel') ?? []).some(
      (channel) => channel.child('target')?.attribute('name') === 'org.qemu.guest_agent.0',
    ),
    ...(vncListen !== undefined && { vncListen }),
    ...(balloonPeriodSec !== undefined && { balloonPeriodSec }),
    ...(title !== undefined && { title }),
    ...(description !== undefined && { description }),
    metadata: readMetadata(domain.child('metadata')),
  };
}

/** One metadata element as a client hands it to virDomainSetMetadata. */
export function parseMetadataElement(xml: string, key: string): MetadataElement {
  return { key, xml: printPlain(parseDocument(xml), key, '') };
}

function parseDocument(xml: string): XmlElement {
  const fault = findFault(xml);
  if (fault !== undefined) throw new Fault('xml-detail', fault);
  try {
    return parseXmlTree(xml);
  } catch (error) {
    throw new Fault('xml-detail', error instanceof Error ? error.message : String(error));
  }
}

const IGNORED = /<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<\?[\s\S]*?\?>/g;
const TAG = /<(\/?)([\w:.-]+)((?:"[^"]*"|'[^']*'|[^'"<>])*)>/g;

/** The parser forgives tags that do not match; a daemon does not. */
function findFault(xml: string): string | undefined {
  const open: string[] = [];
  for (const [, closing, name, rest] of xml.replace(IGNORED, '').matchAll(TAG)) {
    if (closing !== '') {
      const expected = open.pop();
      if (expected !== name) return `Opening and ending tag mismatch: ${expected ?? 'nothing'} and ${name!}`;
    } else if (!rest!.endsWith('/')) open.push(name!);
  }
  return open.length > 0 ? `Premature end of data in tag ${open.at(-1)!}` : undefined;
}

function readDisk(disk: XmlElement, index: number): DiskConfig {
  const target = disk.child('target');
  const source = disk.child('source');
  const device = disk.attribute('device');
  const alias = userAlias(disk);
  const serial = disk.child('serial')?.text();
  return {
    target: target?.attribute('dev') ?? diskName('vd', index),
    bus: target?.attribute('bus') ?? 'virtio',
    device: device === 'cdrom' || device === 'floppy' || device === 'lun' ? device : 'disk',
    format: disk.child('driver')?.attribute('type') ?? 'raw',
    type: disk.attribute('type') === 'block' ? 'block' : 'file',
    path: source?.attribute('file') ?? source?.attribute('dev') ?? source?.attribute('name') ?? '',
    capacityBytes: DISK_BYTES,
    ...(alias !== undefined && { alias }),
    ...(serial !== undefined && { serial }),
  };
}

function readNic(nic: XmlElement): NicConfig {
  const alias = userAlias(nic);
  const source = nic.child('source');
  const bridge = source?.attribute('bridge') ?? source?.attribute('network');
  return {
    mac: nic.child('mac')?.attribute('address') ?? '52:54:00:00:00:00',
    model: nic.child('model')?.attribute('type') ?? 'virtio',
    ...(bridge !== undefined && { bridge }),
    ...(alias !== undefined && { alias }),
  };
}

/** libvirt keeps only aliases of the user's own, marked by their prefix. */
function userAlias(device: XmlElement): string | undefined {
  const name = device.child('alias')?.attribute('name');
  return name?.startsWith('ua-') ? name : undefined;
}

function readVncListen(devices: XmlElement | undefined): string | undefined {
  const graphics = devices?.child('graphics');
  if (!graphics) return undefined;
  return graphics.attribute('listen') ?? graphics.child('listen')?.attribute('address') ?? '127.0.0.1';
}

/** QEMU domains get a memballoon unless they refuse it by model 'none'. */
function readBalloonPeriod(devices: XmlElement | undefined): number | undefined {
  const balloon = devices?.child('memballoon');
  if (balloon?.attribute('model') === 'none') return undefined;
  return Number(balloon?.child('stats')?.attribute('period') ?? 0) || 0;
}

function readMetadata(metadata: XmlElement | undefined): ReadonlyMap<string, MetadataElement> {
  const elements = new Map<string, MetadataElement>();
  for (const element of metadata?.children() ?? []) {
    const key = element.name.includes(':') ? element.name.slice(0, element.name.indexOf(':')) : '';
    const uri = element.attribute(`xmlns:${key}`);
    if (uri !== undefined) elements.set(uri, { key, xml: printPlain(element, key, '') });
  }
  return elements;
}

/** The element without its prefix and namespace. Elements hold either text or elements here, never both. */
function printPlain(element: XmlElement, key: string, indent: string): string {
  const attributes = element
    .attributeNames()
    .filter((name) => name !== `xmlns:${key}`)
    .map((name) => ` ${name}="${escapeXml(element.attribute(name) ?? '')}"`)
    .join('');
  const start = `${indent}<${element.localName}${attributes}`;
  const children = element.children();
  if (children.length > 0) {
    const inner = children.map((child) => `${printPlain(child, key, `${indent}  `)}\n`).join('');
    return `${start}>\n${inner}${indent}</${element.localName}>`;
  }
  const text = element.text();
  return text === '' ? `${start}/>` : `${start}>${escapeXml(text)}</${element.localName}>`;
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

function readKiB(element: XmlElement | undefined): number | undefined {
  const text = element?.text().trim() ?? '';
  if (!/^\d+$/.test(text)) return undefined;
  return Math.floor(Number(text) * (units[element?.attribute('unit') ?? 'KiB'] ?? 1));
}
