/**
 * Reads the domain XML that a client defines or starts. Lenient: what the simulated host does not know is
 * kept as it came; what a domain cannot be without (name, type, memory) is a Fault with libvirt's number.
 */
import { xmlElement } from '../util/xml-edit.js';
import type { XmlNodeElement } from '../util/xml-edit.js';
import { addressesOf } from './addresses.js';
import { defaultControllers, defaultInputs, defaultVideo } from './default-devices.js';
import { inKiB, partsOf, readDevice, readKiB, withDevice } from './device-parse.js';
import type { DomainConfig } from './domain-config.js';
import { Fault } from './fault.js';
import { readMetadata } from './metadata-xml.js';
import { readCpuTune } from './scheduler.js';
import { at, attributeAt, readXml } from './xml-text.js';

/** Top-level elements that a configuration has fields for; cputune is both. */
const KNOWN = new Set([
  'name',
  'uuid',
  'title',
  'description',
  'metadata',
  'memory',
  'currentMemory',
  'vcpu',
  'vcpus',
  'on_reboot',
  'on_crash',
  'devices',
  'resource',
]);

/** @param makeUuid gives the identity of a domain whose XML has none */
export function parseDomain(xml: string, makeUuid: () => string): DomainConfig {
  const domain = readXml(xml);
  if (domain.name !== 'domain') {
    throw new Fault('xml-error', `expecting root element of 'domain', not '${domain.name}'`);
  }
  const name = textOf(domain, 'name') ?? '';
  if (name === '') throw new Fault('xml-error', 'missing name information');
  const type = domain.attribute('type');
  if (type === undefined) throw new Fault('xml-error', "missing attribute 'type' of the domain");
  if (type !== 'kvm' && type !== 'qemu') {
    throw new Fault('config-unsupported', `the simulated host does not support virt type '${type}'`);
  }
  if ((at(domain, 'os', 'type')?.text ?? '') === '') {
    throw new Fault('xml-error', 'an os <type> must be specified');
  }
  const memoryKiB = readKiB(domain.child('memory'));
  if (memoryKiB === undefined) throw new Fault('xml-error', 'missing memory element');
  const title = textOf(domain, 'title');
  const description = textOf(domain, 'description');
  return {
    type,
    name,
    uuid: (textOf(domain, 'uuid') ?? makeUuid()).trim().toLowerCase(),
    memoryKiB,
    currentMemoryKiB: Math.min(memoryKiB, readKiB(domain.child('currentMemory')) ?? memoryKiB),
    ...readVcpus(domain.child('vcpu')),
    onReboot: textOf(domain, 'on_reboot') ?? 'restart',
    onCrash: textOf(domain, 'on_crash') ?? 'destroy',
    ...readDevices(domain.child('devices')),
    ...(title !== undefined && { title }),
    ...(description !== undefined && { description }),
    metadata: readMetadata(domain.child('metadata')),
    ...readCpuTune(domain.child('cputune')),
    rest: domain
      .children()
      .filter((element) => !KNOWN.has(element.name))
      .map((element) => (element.name === 'maxMemory' ? inKiB(element) : element)),
  };
}

function textOf(element: XmlNodeElement, name: string): string | undefined {
  return element.child(name)?.text;
}

const MAX_VCPUS = 4096;

function readVcpus(vcpu: XmlNodeElement | undefined): Pick<DomainConfig, 'vcpus' | 'maxVcpus'> {
  const maxVcpus = Math.trunc(Number(vcpu?.text ?? 1)) || 1;
  const vcpus = Math.trunc(Number(vcpu?.attribute('current') ?? maxVcpus)) || maxVcpus;
  if (maxVcpus < 1 || maxVcpus > MAX_VCPUS || vcpus < 1 || vcpus > maxVcpus) {
    throw new Fault('xml-error', `invalid number of vCPUs: ${vcpus} of ${maxVcpus}`);
  }
  return { vcpus, maxVcpus };
}

type Devices = Pick<DomainConfig, 'disks' | 'nics' | 'others' | 'balloonPeriodSec'>;

/** Devices in their order, then those that libvirt adds by itself. */
function readDevices(devices: XmlNodeElement | undefined): Devices {
  const given = (devices?.children() ?? []).filter(({ name }) => name !== 'emulator');
  const has = (name: string) => given.some((element) => element.name === name);
  const balloon = given.find((element) => element.name === 'memballoon');
  const elements = balloon ? given : [...given, xmlElement('memballoon', { model: 'virtio' })];
  let config: Devices = {
    disks: [],
    nics: [],
    others: [
      ...(has('controller') ? [] : defaultControllers(given.length + 6)),
      ...(has('input') ? [] : defaultInputs()),
      ...(has('video') || !has('graphics') ? [] : defaultVideo()),
    ],
  };
  const taken = [...addressesOf(config), ...given.flatMap((element) => element.child('address') ?? [])];
  const targets = new Set<string>();
  for (const element of elements) {
    const device = readDevice(element, taken);
    if (device.kind === 'disk') {
      const { target } = device.disk;
      if (targets.has(target)) throw new Fault('xml-error', `target '${target}' duplicated for disk sources`);
      targets.add(target);
    }
    config = withDevice(config, device);
    const { address } = partsOf(device);
    if (address) taken.push(address);
  }
  if (balloon?.attribute('model') === 'none') return config;
  return { ...config, balloonPeriodSec: Number(attributeAt(balloon, 'stats', 'period') ?? 0) || 0 };
}
