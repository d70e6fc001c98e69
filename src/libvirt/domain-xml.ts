/**
 * A domain's XML, as libvirt prints it or a client sends it, to the facts that the agent needs. Pure; the devices
 * and the ovirt-vm metadata have files of their own. Leaves the domain's validity to libvirt.
 */
import { createHash } from 'node:crypto';
import type { DomainDescription } from '../domain/devices.js';
import { parseVmId } from '../domain/ids.js';
import { channelsOf, disksOf, graphicsOf, nicsOf } from './domain-xml-devices.js';
import { decimal, defined, integer } from './domain-xml-values.js';
import { metadataOf } from './domain-xml-metadata.js';
import { xmlTreeParser } from '../util/xml-tree.js';
import type { XmlElement } from '../util/xml-tree.js';

/** libvirt's own limit of one string. */
const MAX_XML_CHARACTERS = 4 * 1024 * 1024;
const GUEST_AGENT = 'org.qemu.guest_agent.0';

/** Long parts that nothing below looks into; without them a document takes two thirds of the time. */
const parseDomain = xmlTreeParser([
  'domain.cpu',
  'domain.os',
  'domain.sysinfo',
  'domain.clock',
  'domain.qemu:capabilities',
  'domain.devices.controller',
  'domain.devices.video',
]);

/** @throws Error with one sentence that says what is wrong */
export function parseDomainXml(xml: string): DomainDescription {
  if (xml.length > MAX_XML_CHARACTERS) throw new Error('The XML is longer than 4 MiB.');
  const domain = parseDomain(xml);
  if (domain.name !== 'domain') throw new Error('The XML describes no domain: its root is another element.');
  const id = parseVmId(domain.child('uuid')?.text());
  if (!id) throw new Error('The domain XML has no valid <uuid>.');
  const name = domain.child('name')?.text() ?? '';
  if (name === '') throw new Error('The domain XML has no <name>.');
  const memoryKiB = kibOf(domain.child('memory'));
  if (memoryKiB === undefined) throw new Error('The domain XML has no valid <memory>.');
  const maxVcpus = integer(domain.child('vcpu')?.text()) ?? 1;
  const devices = domain.child('devices');
  const balloon = devices?.child('memballoon');
  const metadata = metadataOf(domain);
  const channels = channelsOf(devices);
  return {
    id,
    name,
    type: domain.attribute('type') ?? '',
    xml,
    devicesHash: devicesHash(xml),
    memoryKiB,
    currentMemoryKiB: kibOf(domain.child('currentMemory')) ?? memoryKiB,
    vcpus: integer(domain.child('vcpu')?.attribute('current')) ?? maxVcpus,
    maxVcpus,
    acpi: domain.at('features', 'acpi') !== undefined,
    balloonModel: balloon?.attribute('model') ?? '',
    ...defined({
      clockAdjustmentSec: decimal(domain.child('clock')?.attribute('adjustment')),
      balloonPeriodSec: integer(balloon?.child('stats')?.attribute('period')),
    }),
    disks: disksOf(devices, metadata.disks),
    nics: nicsOf(devices),
    graphics: graphicsOf(devices),
    channels: channels.map((channel) => channel.name),
    guestAgentConnected: channels.some(
      (channel) => channel.name === GUEST_AGENT && channel.state === 'connected',
    ),
    ...defined({ metadata: metadata.vm }),
  };
}

/** Bytes per unit; libvirt reads them in any case. No unit is KiB. */
const units: ReadonlyMap<string, number> = new Map([
  ['b', 1],
  ['byte', 1],
  ['bytes', 1],
  ...['k', 'm', 'g', 't', 'p', 'e'].flatMap((letter, i): [string, number][] => [
    [letter, 1024 ** (i + 1)],
    [`${letter}ib`, 1024 ** (i + 1)],
    [`${letter}b`, 1000 ** (i + 1)],
  ]),
]);

/** A scaled size in KiB, rounded up as libvirt does. */
function kibOf(size: XmlElement | undefined): number | undefined {
  const amount = integer(size?.text());
  const unit = units.get((size?.attribute('unit') ?? 'KiB').toLowerCase());
  return amount === undefined || unit === undefined ? undefined : Math.ceil((amount * unit) / 1024);
}

/**
 * The first 63 bits of SHA-256 of the text inside `<devices>`, as a decimal number: it changes with the devices
 * and with nothing else. Metadata is set aside first, since it may hold anything, other devices too.
 */
function devicesHash(xml: string): string {
  const metadata = xml.indexOf('<metadata');
  const metadataEnd = metadata < 0 ? -1 : xml.indexOf('</metadata>', metadata);
  const text = metadataEnd < 0 ? xml : xml.slice(0, metadata) + xml.slice(metadataEnd);
  const start = text.indexOf('<devices>');
  const end = text.lastIndexOf('</devices>');
  // The agent sets the balloon's period itself, and a guest agent comes and goes: these are no changes of the devices.
  const devices =
    start < 0 || end < start
      ? ''
      : text
          .slice(start + '<devices>'.length, end)
          .replaceAll(/\s*<stats period=['"]\d+['"]\s*\/>| state=['"](?:dis)?connected['"]/g, '');
  return (createHash('sha256').update(devices).digest().readBigUInt64BE(0) >> 1n).toString();
}
