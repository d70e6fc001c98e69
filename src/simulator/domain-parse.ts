/**
 * Reads the domain XML that a client defines or starts. Lenient: what the simulated host does not know is left out of
 * the domain; what a domain cannot be without (name, memory) is a Fault with libvirt's number.
 */
import { XMLBuilder, XMLParser } from 'fast-xml-parser';
import type { DiskConfig, DomainConfig, MetadataElement, NicConfig } from './domain-config.js';
import { diskName } from './domain-config.js';
import { Fault } from './fault.js';

const ATTRIBUTES = '@';
const TEXT = '#text';
type Node = Record<string, unknown>;

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: ATTRIBUTES,
  parseTagValue: false,
  stopNodes: ['domain.metadata'],
  isArray: (name) => ['disk', 'interface', 'channel', 'graphics'].includes(name),
});
const orderedOptions = { ignoreAttributes: false, preserveOrder: true, parseTagValue: false } as const;
const orderedParser = new XMLParser(orderedOptions);
const builder = new XMLBuilder({ ...orderedOptions, format: true, indentBy: '  ' });

/** @param makeUuid gives the identity of a domain whose XML has none */
export function parseDomain(xml: string, makeUuid: () => string): DomainConfig {
  const domain = child(parseDocument(xml), 'domain');
  if (!domain) throw new Fault('xml-error', 'unexpected root element, expecting <domain>');
  const name = textOf(domain['name']);
  if (name === undefined || name === '') throw new Fault('xml-error', 'missing name information');
  const memoryKiB = readKiB(domain['memory']);
  if (memoryKiB === undefined) throw new Fault('xml-error', 'missing memory element');
  const devices = child(domain, 'devices') ?? {};
  const maxVcpus = Number(textOf(domain['vcpu']) ?? 1) || 1;
  const graphics = children(devices, 'graphics')[0];
  const title = textOf(domain['title']);
  const description = textOf(domain['description']);
  const balloonPeriodSec = readBalloonPeriod(devices);
  return {
    name,
    uuid: (textOf(domain['uuid']) ?? makeUuid()).toLowerCase(),
    memoryKiB,
    currentMemoryKiB: readKiB(domain['currentMemory']) ?? memoryKiB,
    vcpus: Number(attribute(child(domain, 'vcpu'), 'current') ?? maxVcpus) || maxVcpus,
    maxVcpus,
    machine: attribute(child(child(domain, 'os'), 'type'), 'machine') ?? 'pc-q35-7.2',
    acpi: domain['features'] !== undefined && 'acpi' in (child(domain, 'features') ?? {}),
    disks: children(devices, 'disk').map(readDisk),
    nics: children(devices, 'interface').map(readNic),
    guestAgent: children(devices, 'channel').some(
      (channel) => attribute(child(channel, 'target'), 'name') === 'org.qemu.guest_agent.0',
    ),
    ...(graphics && { vncListen: attribute(graphics, 'listen') ?? '127.0.0.1' }),
    ...(balloonPeriodSec !== undefined && { balloonPeriodSec }),
    ...(title !== undefined && { title }),
    ...(description !== undefined && { description }),
    metadata: readMetadata(textOf(domain['metadata'])),
  };
}

/** One metadata element as a client hands it to virDomainSetMetadata; throws where it is not well-formed. */
export function parseMetadataElement(xml: string, key: string): MetadataElement {
  const elements = orderedParser.parse(checked(xml)) as Node[];
  const element = elements.find((node) => !('?xml' in node));
  if (!element) throw new Fault('xml-detail', 'Start tag expected');
  return { key, xml: builder.build([element]).trim() };
}

function parseDocument(xml: string): Node {
  return parser.parse(checked(xml)) as Node;
}

function checked(xml: string): string {
  try {
    new XMLParser({ stopNodes: [] }).parse(xml, true);
  } catch (error) {
    throw new Fault('xml-detail', error instanceof Error ? error.message : String(error));
  }
  return xml;
}

function readDisk(disk: Node, index: number): DiskConfig {
  const target = child(disk, 'target');
  const source = child(disk, 'source');
  const device = attribute(disk, 'device');
  const alias = userAlias(disk);
  const serial = textOf(disk['serial']);
  return {
    target: attribute(target, 'dev') ?? diskName('vd', index),
    bus: attribute(target, 'bus') ?? 'virtio',
    device: device === 'cdrom' || device === 'floppy' || device === 'lun' ? device : 'disk',
    format: attribute(child(disk, 'driver'), 'type') ?? 'raw',
    type: attribute(disk, 'type') === 'block' ? 'block' : 'file',
    path: attribute(source, 'file') ?? attribute(source, 'dev') ?? attribute(source, 'name') ?? '',
    capacityBytes: 16 * 2 ** 30,
    ...(alias !== undefined && { alias }),
    ...(serial !== undefined && { serial }),
  };
}

function readNic(nic: Node): NicConfig {
  const alias = userAlias(nic);
  const bridge = attribute(child(nic, 'source'), 'bridge') ?? attribute(child(nic, 'source'), 'network');
  return {
    mac: attribute(child(nic, 'mac'), 'address') ?? '52:54:00:00:00:00',
    model: attribute(child(nic, 'model'), 'type') ?? 'virtio',
    ...(bridge !== undefined && { bridge }),
    ...(alias !== undefined && { alias }),
  };
}

/** libvirt keeps only aliases of the user's own, marked by their prefix. */
function userAlias(device: Node): string | undefined {
  const name = attribute(child(device, 'alias'), 'name');
  return name?.startsWith('ua-') ? name : undefined;
}

/** QEMU domains get a memballoon unless they refuse it by model 'none'. */
function readBalloonPeriod(devices: Node): number | undefined {
  const balloon = child(devices, 'memballoon');
  if (attribute(balloon, 'model') === 'none') return undefined;
  return Number(attribute(child(balloon, 'stats'), 'period') ?? 0) || 0;
}

function readMetadata(inner: string | undefined): ReadonlyMap<string, MetadataElement> {
  const metadata = new Map<string, MetadataElement>();
  if (inner === undefined || inner.trim() === '') return metadata;
  for (const element of orderedParser.parse(inner) as Node[]) {
    const tag = Object.keys(element).find((name) => name !== ':@' && name !== TEXT);
    const key = tag?.split(':')[0];
    const uri = key === undefined ? undefined : attributeNamed(element[':@'], `@_xmlns:${key}`);
    if (key === undefined || uri === undefined) continue;
    const text = builder
      .build([element])
      .trim()
      .replace(` xmlns:${key}="${uri}"`, '')
      .replaceAll(`<${key}:`, '<')
      .replaceAll(`</${key}:`, '</');
    metadata.set(uri, { key, xml: text });
  }
  return metadata;
}

const units: Record<string, number> = {
  b: 1 / 1024,
  bytes: 1 / 1024,
  k: 1,
  KiB: 1,
  KB: 1000 / 1024,
  M: 1024,
  MiB: 1024,
  MB: 1e6 / 1024,
  G: 2 ** 20,
  GiB: 2 ** 20,
  GB: 1e9 / 1024,
  TiB: 2 ** 30,
};

function readKiB(value: unknown): number | undefined {
  const text = textOf(value);
  if (text === undefined || !/^\s*\d+\s*$/.test(text)) return undefined;
  const unit = attributeNamed(value, `${ATTRIBUTES}unit`) ?? 'KiB';
  return Math.floor(Number(text) * (units[unit] ?? 1));
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function child(node: Node | undefined, name: string): Node | undefined {
  const value = node?.[name];
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return isNode(first) ? first : undefined;
}

function children(node: Node, name: string): Node[] {
  const value = node[name];
  return Array.isArray(value) ? value.map((item) => (isNode(item) ? item : {})) : [];
}

function attribute(node: Node | undefined, name: string): string | undefined {
  return attributeNamed(node, ATTRIBUTES + name);
}

function attributeNamed(node: unknown, name: string): string | undefined {
  const value = isNode(node) ? node[name] : undefined;
  return typeof value === 'string' ? value : undefined;
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  const text = isNode(value) ? value[TEXT] : undefined;
  return typeof text === 'string' ? text : undefined;
}
