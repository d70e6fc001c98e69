/**
 * The first N domains of a simulated host, made up from seed and index: VMs as oVirt's engine would have started them.
 */
import { xmlElement } from '../util/xml-edit.js';
import type { XmlNodeElement } from '../util/xml-edit.js';
import { pciAddress } from './addresses.js';
import { defaultControllers, defaultInputs, defaultVideo } from './default-devices.js';
import { diskName } from './domain-config.js';
import type { DiskConfig, DomainConfig, MetadataElement, NicConfig, OtherDevice } from './domain-config.js';
import { SeededRandom, seededUuid } from './random.js';

export const OVIRT_VM_URI = 'http://ovirt.org/vm/1.0';

export interface DomainDefaults {
  readonly vcpus?: number;
  readonly disks?: number;
  readonly nics?: number;
  readonly memoryMiB?: number;
  /** Since when it runs, epoch s, as its agent has noted it. */
  readonly startTimeSec?: number;
}

interface ManagedDisk {
  readonly config: DiskConfig;
  readonly imageId: string;
  readonly volumeId: string;
}

/** One storage domain in one pool, the same on every simulated host: hosts of a cluster share their storage. */
const STORAGE_ID = seededUuid(0, 'storage');
const POOL_ID = seededUuid(0, 'pool');
const FIRST_DISK_BUS = 5;
const NOTHING: ReadonlyMap<never, never> = new Map<never, never>();

/** The index-th domain of a host, 1-based: `vm-0001`. Every tenth has no ovirt-vm metadata: it is "external". */
export function makeConfig(seed: number, index: number, defaults: DomainDefaults = {}): DomainConfig {
  const name = `vm-${index.toString().padStart(4, '0')}`;
  const uuid = seededUuid(seed, `domain/${index}`);
  const random = new SeededRandom(seed * 7919 + index);
  const memoryKiB = (defaults.memoryMiB ?? random.pick([1024, 2048, 4096, 8192]) ?? 1024) * 1024;
  const vcpus = defaults.vcpus ?? 2;
  const managed = index % 10 !== 0;
  const disks = Array.from({ length: defaults.disks ?? 2 }, (_, disk) => makeDisk(seed, index, disk));
  const nics = Array.from({ length: defaults.nics ?? 1 }, (_, nic) =>
    makeNic(index, nic, FIRST_DISK_BUS + disks.length + nic),
  );
  return {
    type: 'kvm',
    name,
    uuid,
    memoryKiB,
    currentMemoryKiB: memoryKiB,
    vcpus,
    maxVcpus: vcpus,
    onReboot: 'restart',
    onCrash: 'destroy',
    disks: disks.map(({ config }) => config),
    nics,
    others: makeOthers(disks.length + nics.length),
    balloonPeriodSec: 5,
    metadata: managed
      ? new Map([[OVIRT_VM_URI, ovirtMetadata(memoryKiB, disks, defaults.startTimeSec)]])
      : NOTHING,
    scheduler: NOTHING,
    pins: NOTHING,
    rest: machine,
  };
}

function makeDisk(seed: number, index: number, disk: number): ManagedDisk {
  const imageId = seededUuid(seed, `image/${index}/${disk}`);
  const volumeId = seededUuid(seed, `volume/${index}/${disk}`);
  return {
    imageId,
    volumeId,
    config: {
      target: diskName('vd', disk),
      bus: 'virtio',
      device: 'disk',
      format: 'qcow2',
      type: 'file',
      path: `/rhev/data-center/mnt/nas.example.com:_exports_data/${STORAGE_ID}/images/${imageId}/${volumeId}`,
      backing: [],
      capacityBytes: (disk + 1) * 16 * 2 ** 30,
      serial: imageId,
      address: pciAddress(FIRST_DISK_BUS + disk),
    },
  };
}

function makeNic(index: number, nic: number, bus: number): NicConfig {
  const number = index * 16 + nic;
  const tail = [number >> 16, number >> 8, number].map((part) => (part & 0xff).toString(16).padStart(2, '0'));
  const mac = `52:54:00:${tail.join(':')}`;
  return { mac, bridge: 'ovirtmgmt', model: 'virtio', address: pciAddress(bus) };
}

const othersByCount = new Map<number, readonly OtherDevice[]>();

/** Shared by all domains with as many disks and NICs. */
function makeOthers(plugged: number): readonly OtherDevice[] {
  let others = othersByCount.get(plugged);
  if (!others) {
    const channelAddress = { type: 'virtio-serial', controller: '0', bus: '0', port: '1' };
    const listen = '127.0.0.1';
    others = [
      ...defaultControllers(plugged + 6),
      {
        base: xmlElement('channel', { type: 'unix' }, [
          xmlElement('target', { type: 'virtio', name: 'org.qemu.guest_agent.0' }),
        ]),
        address: xmlElement('address', channelAddress),
      },
      ...defaultInputs(),
      {
        base: xmlElement('graphics', { type: 'vnc', port: '-1', autoport: 'yes', listen }, [
          xmlElement('listen', { type: 'address', address: listen }),
        ]),
      },
      ...defaultVideo(),
      { base: xmlElement('memballoon', { model: 'virtio' }), address: pciAddress(FIRST_DISK_BUS + plugged) },
    ];
    othersByCount.set(plugged, others);
  }
  return others;
}

const timer = (name: string, attribute: string, value: string) =>
  xmlElement('timer', { name, [attribute]: value });
const feature = (policy: string, name: string) => xmlElement('feature', { policy, name });

/** The elements around the devices, the same in every domain. */
const machine: readonly XmlNodeElement[] = [
  xmlElement('os', {}, [
    xmlElement('type', { arch: 'x86_64', machine: 'pc-q35-7.2' }, 'hvm'),
    xmlElement('boot', { dev: 'hd' }),
  ]),
  xmlElement('features', {}, [xmlElement('acpi'), xmlElement('apic')]),
  xmlElement('cpu', { mode: 'custom', match: 'exact', check: 'full' }, [
    xmlElement('model', { fallback: 'forbid' }, 'qemu64'),
    feature('require', 'x2apic'),
    feature('require', 'hypervisor'),
    feature('require', 'lahf_lm'),
    feature('disable', 'svm'),
  ]),
  xmlElement('clock', { offset: 'variable', adjustment: '0', basis: 'utc' }, [
    timer('rtc', 'tickpolicy', 'catchup'),
    timer('pit', 'tickpolicy', 'delay'),
    timer('hpet', 'present', 'no'),
  ]),
  xmlElement('on_poweroff', {}, 'destroy'),
];

function ovirtMetadata(
  memoryKiB: number,
  disks: readonly ManagedDisk[],
  startTimeSec: number | undefined,
): MetadataElement {
  const devices = disks.map(
    ({ config, imageId, volumeId }) =>
      `  <device devtype="disk" name="${config.target}">\n    <domainID>${STORAGE_ID}</domainID>\n` +
      `    <imageID>${imageId}</imageID>\n    <poolID>${POOL_ID}</poolID>\n` +
      `    <volumeID>${volumeId}</volumeID>\n  </device>\n`,
  );
  const startTime =
    startTimeSec === undefined ? '' : `  <startTime type="float">${startTimeSec.toFixed(1)}</startTime>\n`;
  const xml =
    `<vm>\n  <ballooningEnabled type="bool">true</ballooningEnabled>\n  <clusterVersion>4.7</clusterVersion>\n` +
    `  <launchPaused type="bool">false</launchPaused>\n` +
    `  <minGuaranteedMemoryMb type="int">${Math.floor(memoryKiB / 2048)}</minGuaranteedMemoryMb>\n` +
    `  <resumeBehavior>auto_resume</resumeBehavior>\n${startTime}${devices.join('')}</vm>`;
  return { key: 'ovirt-vm', xml };
}
