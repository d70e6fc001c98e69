/**
 * What a simulated domain consists of, and how the host's first N domains are made up from seed and index.
 *
 * Configuration only: states, ids and counters are domain.ts's.
 */
import { SeededRandom, seededUuid } from './random.js';

export const OVIRT_VM_URI = 'http://ovirt.org/vm/1.0';

export interface DiskConfig {
  readonly target: string;
  readonly bus: string;
  readonly device: 'disk' | 'cdrom' | 'floppy' | 'lun';
  readonly format: string;
  /** '' for a drive without medium. */
  readonly path: string;
  readonly type: 'file' | 'block';
  readonly capacityBytes: number;
  /** The user's own alias (`ua-...`); absent: libvirt's choice. */
  readonly alias?: string;
  readonly serial?: string;
}

export interface NicConfig {
  readonly mac: string;
  /** Bridge name; absent: a bare tap (`type='ethernet'`). */
  readonly bridge?: string;
  readonly model: string;
  readonly alias?: string;
}

export interface MetadataElement {
  /** Namespace prefix. */
  readonly key: string;
  /** The element without the prefix, as virDomainGetMetadata returns it. */
  readonly xml: string;
}

export interface DomainConfig {
  /** `domain/@type`. */
  readonly type: 'kvm' | 'qemu';
  readonly name: string;
  readonly uuid: string;
  readonly memoryKiB: number;
  readonly currentMemoryKiB: number;
  readonly vcpus: number;
  readonly maxVcpus: number;
  readonly machine: string;
  readonly acpi: boolean;
  readonly disks: readonly DiskConfig[];
  readonly nics: readonly NicConfig[];
  /** Listen address of the VNC server; absent: no graphics. */
  readonly vncListen?: string;
  readonly guestAgent: boolean;
  /** Undefined: no memballoon; 0: statistics off. Seconds. */
  readonly balloonPeriodSec?: number;
  readonly title?: string;
  readonly description?: string;
  /** By namespace URI. */
  readonly metadata: ReadonlyMap<string, MetadataElement>;
}

export interface DomainDefaults {
  readonly vcpus?: number;
  readonly disks?: number;
  readonly nics?: number;
  readonly memoryMiB?: number;
}

interface ManagedDisk {
  readonly config: DiskConfig;
  readonly imageId: string;
  readonly volumeId: string;
}

/** One storage domain in one pool, the same on every simulated host: hosts of a cluster share their storage. */
const STORAGE_ID = seededUuid(0, 'storage');
const POOL_ID = seededUuid(0, 'pool');

/** The index-th domain of a host, 1-based: `vm-0001`. Every tenth has no ovirt-vm metadata: it is "external". */
export function makeConfig(seed: number, index: number, defaults: DomainDefaults = {}): DomainConfig {
  const name = `vm-${index.toString().padStart(4, '0')}`;
  const uuid = seededUuid(seed, `domain/${index}`);
  const random = new SeededRandom(seed * 7919 + index);
  const memoryKiB = (defaults.memoryMiB ?? random.pick([1024, 2048, 4096, 8192]) ?? 1024) * 1024;
  const vcpus = defaults.vcpus ?? 2;
  const managed = index % 10 !== 0;
  const disks = Array.from({ length: defaults.disks ?? 2 }, (_, disk) => makeDisk(seed, index, disk));
  const nics = Array.from({ length: defaults.nics ?? 1 }, (_, nic) => makeNic(index, nic));
  return {
    type: 'kvm',
    name,
    uuid,
    memoryKiB,
    currentMemoryKiB: memoryKiB,
    vcpus,
    maxVcpus: vcpus,
    machine: 'pc-q35-7.2',
    acpi: true,
    disks: disks.map(({ config }) => config),
    nics,
    vncListen: '127.0.0.1',
    guestAgent: true,
    balloonPeriodSec: 5,
    metadata: managed ? new Map([[OVIRT_VM_URI, ovirtMetadata(memoryKiB, disks)]]) : new Map(),
  };
}

/** `vda`, `vdb` ... `vdz`, `vdaa`. */
export function diskName(prefix: string, index: number): string {
  let letters = '';
  for (let rest = index; rest >= 0; rest = Math.floor(rest / 26) - 1) {
    letters = String.fromCharCode(97 + (rest % 26)) + letters;
  }
  return prefix + letters;
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
      capacityBytes: (disk + 1) * 16 * 2 ** 30,
      serial: imageId,
    },
  };
}

function makeNic(index: number, nic: number): NicConfig {
  const number = index * 16 + nic;
  const tail = [number >> 16, number >> 8, number].map((part) => (part & 0xff).toString(16).padStart(2, '0'));
  return { mac: `52:54:00:${tail.join(':')}`, bridge: 'ovirtmgmt', model: 'virtio' };
}

function ovirtMetadata(memoryKiB: number, disks: readonly ManagedDisk[]): MetadataElement {
  const devices = disks.map(
    ({ config, imageId, volumeId }) =>
      `  <device devtype="disk" name="${config.target}">\n    <domainID>${STORAGE_ID}</domainID>\n` +
      `    <imageID>${imageId}</imageID>\n    <poolID>${POOL_ID}</poolID>\n` +
      `    <volumeID>${volumeId}</volumeID>\n  </device>\n`,
  );
  const xml =
    `<vm>\n  <ballooningEnabled type="bool">true</ballooningEnabled>\n  <clusterVersion>4.7</clusterVersion>\n` +
    `  <launchPaused type="bool">false</launchPaused>\n` +
    `  <minGuaranteedMemoryMb type="int">${Math.floor(memoryKiB / 2048)}</minGuaranteedMemoryMb>\n` +
    `  <resumeBehavior>auto_resume</resumeBehavior>\n${devices.join('')}</vm>`;
  return { key: 'ovirt-vm', xml };
}
