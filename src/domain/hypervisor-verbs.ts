/**
 * The second half of the port hypervisor.ts: what verbs ask of one domain, in groups that adapters implement apart.
 *
 * As everywhere in the port a call rejects with a HypervisorError. "Live" means the running domain; what must outlive
 * it goes into the definition as well where the domain is persistent.
 */
import type { CallOptions } from './call-options.js';
import type { VmId } from './ids.js';

/** Asks that the guest may ignore; what comes of them is an event. */
export interface PowerCalls {
  /** agent: the guest agent's command (kind 'agent' where it is silent); acpi: the power button. */
  shutdown(id: VmId, by: 'agent' | 'acpi', options?: CallOptions): Promise<void>;
  /** acpi: power button, after which the domain starts anew in the same QEMU. */
  reboot(id: VmId, by: 'agent' | 'acpi', options?: CallOptions): Promise<void>;
  /** The reset button: takes effect at once. */
  reset(id: VmId, options?: CallOptions): Promise<void>;
}

/** Memory to and from a file. They end with the work, however long it takes; give up by a signal. */
export interface SaveCalls {
  /** Writes memory, state and live XML to a new file and stops the domain. */
  save(id: VmId, path: string, options?: CallOptions): Promise<void>;
  /** @param how.xml in place of the one in the file; name and uuid must be the same */
  restore(
    path: string,
    how: { readonly xml?: string; readonly paused: boolean },
    options?: CallOptions,
  ): Promise<void>;
  /** Domain XML of a saved file, passwords included; with changes it can go to restore(). */
  savedXml(path: string, options?: CallOptions): Promise<string>;
  /** Cancels the job that the domain is in (save, migration); 'invalid-state' without one. */
  abortJob(id: VmId, options?: CallOptions): Promise<void>;
}

/** PNG or PPM picture of the first screen. */
export interface Screenshot {
  readonly mimeType: string;
  readonly data: Buffer;
}

export interface DeviceCalls {
  /** Live, and into the definition. @param xml of one device */
  attach(id: VmId, xml: string, options?: CallOptions): Promise<void>;
  /** Only asks the guest: the device is gone at event device-removed (or stays: device-removal-failed). */
  detach(id: VmId, xml: string, options?: CallOptions): Promise<void>;
  /** @param how.force opens a locked tray; persist: into the definition as well */
  update(
    id: VmId,
    xml: string,
    how: { readonly force: boolean; readonly persist: boolean },
    options?: CallOptions,
  ): Promise<void>;
  /** vCPUs online, live and in the definition. */
  setVcpus(id: VmId, count: number, options?: CallOptions): Promise<void>;
  /** @param cpus host CPUs that the vCPU may run on */
  pinVcpu(id: VmId, vcpu: number, cpus: readonly number[], options?: CallOptions): Promise<void>;
  /** Balloon target, KiB, live. */
  setMemory(id: VmId, memoryKiB: number, options?: CallOptions): Promise<void>;
  screenshot(id: VmId, options?: CallOptions): Promise<Screenshot>;
}

/** libvirt's names: total_bytes_sec, read_bytes_sec, write_bytes_sec, total_iops_sec ...; 0 is no limit. */
export type DiskLimits = Readonly<Record<string, number>>;

export interface TuningCalls {
  /** µs; quota -1 is none. Live and in the definition. */
  setScheduler(
    id: VmId,
    values: { readonly vcpuQuota?: number; readonly vcpuPeriod?: number },
    options?: CallOptions,
  ): Promise<void>;
  /** @param disk target name, e.g. vda */
  diskLimits(id: VmId, disk: string, options?: CallOptions): Promise<DiskLimits>;
  /** Live; limits that are not named are set to none by the hypervisor, so name all that are to stay. */
  setDiskLimits(id: VmId, disk: string, limits: DiskLimits, options?: CallOptions): Promise<void>;
}

export interface BlockJob {
  readonly type: 'unknown' | 'pull' | 'copy' | 'commit' | 'active-commit' | 'backup';
  /** Bytes; for an active commit `cur` equal to `end` means ready to be finished. */
  readonly cur: number;
  readonly end: number;
  /** Bytes/s; 0 is unlimited. */
  readonly bandwidth: number;
}

/** Bytes. */
export interface DiskSize {
  /** As the guest sees it. */
  readonly capacity: number;
  /** Of the file or device. */
  readonly physical: number;
}

export interface DiskCalls {
  size(id: VmId, disk: string, options?: CallOptions): Promise<DiskSize>;
  resize(id: VmId, disk: string, bytes: number, options?: CallOptions): Promise<void>;
  /**
   * External snapshot without metadata at the hypervisor.
   * @param xml domainsnapshot XML
   * @param how.reuse the new files exist already; quiesce: freeze the guest's file systems meanwhile
   */
  snapshot(
    id: VmId,
    xml: string,
    how: {
      readonly diskOnly: boolean;
      readonly reuse: boolean;
      readonly atomic: boolean;
      readonly quiesce: boolean;
    },
    options?: CallOptions,
  ): Promise<void>;
  /**
   * Starts to commit `top` into `base` (paths in the disk's chain).
   * @param how.active top is what the guest writes to: the job stays 'ready' until endJob pivots
   */
  commit(
    id: VmId,
    disk: string,
    how: {
      readonly base: string;
      readonly top: string;
      readonly active: boolean;
      /** MiB/s; 0 is unlimited. */
      readonly bandwidth: number;
    },
    options?: CallOptions,
  ): Promise<void>;
  /** Undefined where the disk has none. */
  job(id: VmId, disk: string, options?: CallOptions): Promise<BlockJob | undefined>;
  /** pivot: the guest goes on on the committed image; else the job is cancelled. */
  endJob(id: VmId, disk: string, how: { readonly pivot: boolean }, options?: CallOptions): Promise<void>;
}

export const guestInfoKinds = ['users', 'os', 'timezone', 'hostname', 'filesystem', 'disks'] as const;
export type GuestInfoKind = (typeof guestInfoKinds)[number];

export interface GuestInterface {
  readonly name: string;
  readonly mac: string;
  /** Addresses without prefix lengths. */
  readonly ipv4: readonly string[];
  readonly ipv6: readonly string[];
}

/** Calls to the guest agent: kind 'agent' where it is not connected or does not answer in time. */
export interface GuestCalls {
  /** How long libvirt waits for the agent's answers from now on, s. */
  setAgentTimeout(id: VmId, seconds: number, options?: CallOptions): Promise<void>;
  /** Fields by libvirt's names: 'hostname', 'os.kernel-release', 'user.0.name', 'fs.0.mountpoint' ... */
  info(
    id: VmId,
    kinds: readonly GuestInfoKind[],
    options?: CallOptions,
  ): Promise<Readonly<Record<string, string | number | boolean>>>;
  interfaces(id: VmId, options?: CallOptions): Promise<readonly GuestInterface[]>;
  /** One command of the agent's own protocol, e.g. guest-info; resolves with its `return`. */
  command(
    id: VmId,
    command: { readonly execute: string; readonly arguments?: Readonly<Record<string, unknown>> },
    options?: CallOptions,
  ): Promise<unknown>;
  /** Resolves with the number of frozen file systems. */
  freeze(id: VmId, options?: CallOptions): Promise<number>;
  thaw(id: VmId, options?: CallOptions): Promise<number>;
}

export interface MetadataCalls {
  /**
   * The element of a namespace in the domain's `<metadata>`, without its prefix; undefined where there is none.
   * @param from the running domain's, or its definition's
   */
  get(id: VmId, uri: string, from: 'live' | 'definition', options?: CallOptions): Promise<string | undefined>;
  /**
   * Puts an element (without prefix) in place of the namespace's present one, or takes it away.
   * @param into both: of a running persistent domain
   */
  set(
    id: VmId,
    element: { readonly uri: string; readonly prefix: string; readonly xml: string | undefined },
    into: 'both' | 'definition',
    options?: CallOptions,
  ): Promise<void>;
}
