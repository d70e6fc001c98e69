/**
 * Prints a domain the way libvirt 9.0 prints it, live or inactive. Pure.
 */
import { xmlElement } from '../util/xml-edit.js';
import type { XmlNodeElement } from '../util/xml-edit.js';
import { escapeXml } from '../util/xml-tree.js';
import type { DomainConfig } from './domain-config.js';
import { diskElement, nicElement, otherElements } from './device-xml.js';
import type { LiveParts } from './device-xml.js';
import { printMetadata, textElement } from './metadata-xml.js';
import { cpuTuneElement } from './scheduler.js';
import { printXml, withAttributes } from './xml-text.js';

const EMULATOR = '/usr/bin/qemu-system-x86_64';

/** Elements of `<devices>` in libvirt's order; others come last. */
const deviceOrder = orderOf(
  'emulator disk controller lease filesystem interface smartcard serial parallel console channel input tpm ' +
    'graphics sound audio video hostdev redirdev redirfilter hub watchdog memballoon rng shmem panic vsock memory iommu',
);
/** Elements of `<domain>` after name, uuid and metadata. */
const domainOrder = orderOf(
  'genid maxMemory memory currentMemory blkiotune memtune memoryBacking vcpu iothreads iothreadids cputune numatune ' +
    'resource sysinfo os idmap features cpu clock on_poweroff on_reboot on_crash on_lockfailure pm perf devices seclabel',
);

function orderOf(names: string): (element: XmlNodeElement) => number {
  const places = new Map(names.split(' ').map((name, place) => [name, place]));
  return (element) => places.get(element.name) ?? places.size;
}

function ordered(elements: readonly XmlNodeElement[], place: (element: XmlNodeElement) => number) {
  return elements
    .map((element) => ({ element, place: place(element) }))
    .sort((a, b) => a.place - b.place)
    .map(({ element }) => element);
}

export interface PrintOptions {
  /** Absent for the inactive document. */
  readonly live?: LiveParts;
  /** Passwords too. */
  readonly secure?: boolean;
}

export function printDomain(config: DomainConfig, { live, secure = false }: PrintOptions = {}): string {
  const id = live ? ` id='${live.id}'` : '';
  const namespaces = config.rest.some(({ name }) => name.startsWith('qemu:'))
    ? " xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"
    : '';
  const head = [
    xmlElement('name', {}, config.name),
    xmlElement('uuid', {}, config.uuid),
    ...textElement('title', config.title),
    ...textElement('description', config.description),
  ];
  const body = ordered(bodyElements(config, live, secure), domainOrder);
  const print = (elements: readonly XmlNodeElement[]) =>
    elements.map((element) => `${printXml(element, '  ')}\n`).join('');
  return (
    `<domain type='${escapeXml(config.type)}'${id}${namespaces}>\n` +
    `${print(head)}${printMetadata(config.metadata)}${print(body)}</domain>\n`
  );
}

function bodyElements(config: DomainConfig, live: LiveParts | undefined, secure: boolean): XmlNodeElement[] {
  const tune = config.rest.find(({ name }) => name === 'cputune');
  const kib = (name: string, value: number) => xmlElement(name, { unit: 'KiB' }, String(value));
  const vcpu = withAttributes(xmlElement('vcpu', { placement: 'static' }, String(config.maxVcpus)), {
    current: config.vcpus < config.maxVcpus ? String(config.vcpus) : undefined,
  });
  const devices = [
    xmlElement('emulator', {}, EMULATOR),
    ...config.disks.map((disk) => diskElement(disk, live)),
    ...config.nics.map((nic) => nicElement(nic, live)),
    ...otherElements(config, live, secure),
  ];
  return [
    ...config.rest.filter(({ name }) => name !== 'cputune'),
    kib('memory', config.memoryKiB),
    kib('currentMemory', config.currentMemoryKiB),
    vcpu,
    ...cpuTuneElement(config, tune),
    xmlElement('on_reboot', {}, config.onReboot),
    xmlElement('on_crash', {}, config.onCrash),
    xmlElement('devices', {}, ordered(devices, deviceOrder)),
    ...(live ? [resource, securityLabel] : []),
  ];
}

const resource = xmlElement('resource', {}, [xmlElement('partition', {}, '/machine')]);
const securityLabel = xmlElement('seclabel', { type: 'dynamic', model: 'dac', relabel: 'yes' }, [
  xmlElement('label', {}, '+64055:+64055'),
  xmlElement('imagelabel', {}, '+64055:+64055'),
]);
