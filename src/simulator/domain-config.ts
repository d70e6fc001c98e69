/**
 * What a simulated domain consists of, as values that never change: a change makes a new configuration.
 *
 * Elements that the model does not know are kept as they came, so that a definition comes back whole. States, ids and
 * counters are domain.ts's.
 */
import type { XmlNodeElement } from '../util/xml-edit.js';

/** An image below the one that the guest writes to. */
export interface ImageConfig {
  readonly path: string;
  readonly type: 'file' | 'block';
  readonly format: string;
  /** Its node's number in a running QEMU. */
  readonly index?: number;
}

/** libvirt's names of block I/O limits; group_name is text. */
export type DiskLimits = ReadonlyMap<string, number | string>;

export interface DiskConfig {
  readonly target: string;
  readonly bus: string;
  readonly device: 'disk' | 'cdrom' | 'floppy' | 'lun';
  readonly format: string;
  /** '' for a drive without medium. */
  readonly path: string;
  readonly type: 'file' | 'block' | 'network';
  readonly capacityBytes: number;
  /** The images below, the nearest first. */
  readonly backing: readonly ImageConfig[];
  /** Node number of the image on top, in a running QEMU. */
  readonly index?: number;
  /** Seconds that the domain had run when it was plugged in; absent: it was there from the start. */
  readonly sinceSec?: number;
  readonly limits?: DiskLimits;
  readonly serial?: string;
  /** The user's own (`ua-...`), or libvirt's choice in a running domain. */
  readonly alias?: string;
  readonly address?: XmlNodeElement;
  /** The element as it was defined; its unknown parts are printed again. */
  readonly base?: XmlNodeElement;
}

export interface NicConfig {
  readonly mac: string;
  /** Bridge or network; absent: whatever `base` says, else a bare tap (`type='ethernet'`). */
  readonly bridge?: string;
  readonly model: string;
  /** Host tap, in a running domain. */
  readonly tap?: string;
  /** As of a disk. */
  readonly sinceSec?: number;
  readonly alias?: string;
  readonly address?: XmlNodeElement;
  readonly base?: XmlNodeElement;
}

/** A device that is neither disk nor NIC. */
export interface OtherDevice {
  readonly base: XmlNodeElement;
  readonly alias?: string;
  readonly address?: XmlNodeElement;
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
  /** Memory modules included. */
  readonly memoryKiB: number;
  readonly currentMemoryKiB: number;
  readonly vcpus: number;
  readonly maxVcpus: number;
  /** vCPUs that a running domain was started with; those that came later idle. */
  readonly bootVcpus?: number;
  /** What becomes of a guest that reboots, or crashes: 'destroy', 'restart', 'preserve' ... */
  readonly onReboot: string;
  readonly onCrash: string;
  readonly disks: readonly DiskConfig[];
  readonly nics: readonly NicConfig[];
  readonly others: readonly OtherDevice[];
  /** Undefined: no memballoon; 0: statistics off. Seconds. */
  readonly balloonPeriodSec?: number;
  readonly title?: string;
  readonly description?: string;
  /** By namespace URI. */
  readonly metadata: ReadonlyMap<string, MetadataElement>;
  /** Scheduler parameters that were set, by libvirt's names: cpu_shares, vcpu_quota ... */
  readonly scheduler: ReadonlyMap<string, number>;
  /** vCPU -> list of host CPUs, e.g. '0-2,5'. */
  readonly pins: ReadonlyMap<number, string>;
  /** All other elements of the document. */
  readonly rest: readonly XmlNodeElement[];
}

const AGENT_CHANNEL = 'org.qemu.guest_agent.0';

export function isAgentChannel({ base }: OtherDevice): boolean {
  return base.name === 'channel' && base.child('target')?.attribute('name') === AGENT_CHANNEL;
}

export function hasAgentChannel(config: DomainConfig): boolean {
  return config.others.some(isAgentChannel);
}

/** `vda`, `vdb` ... `vdz`, `vdaa`. */
export function diskName(prefix: string, index: number): string {
  let letters = '';
  for (let rest = index; rest >= 0; rest = Math.floor(rest / 26) - 1) {
    letters = String.fromCharCode(97 + (rest % 26)) + letters;
  }
  return prefix + letters;
}

/** The number in diskName(); 0 for a name of another form. */
export function diskIndex(target: string): number {
  const letters = /^[a-z]d([a-z]{1,3})$/.exec(target)?.[1] ?? 'a';
  let index = 0;
  for (let at = 0; at < letters.length; at++) index = index * 26 + letters.charCodeAt(at) - 96;
  return index - 1;
}

/** The disk that a target name, or the path of its image, means. */
export function findDisk(config: DomainConfig, name: string): DiskConfig | undefined {
  return config.disks.find((disk) => name !== '' && (disk.target === name || disk.path === name));
}

/** The configuration with one of its disks replaced. */
export function withDisk(config: DomainConfig, changed: DiskConfig): DomainConfig {
  const disks = config.disks.map((disk) => (disk.target === changed.target ? changed : disk));
  return { ...config, disks };
}
