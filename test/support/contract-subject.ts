/** What the contract suite of the hypervisor port is run on: what a subject brings, its traits, its domains' XML. */
import type { Hypervisor, HypervisorErrorKind } from '../../src/domain/hypervisor.js';
import type { VmId } from '../../src/domain/ids.js';

/** Names of all domains that the suite makes begin so. */
export const CONTRACT_PREFIX = 'contract-';

export interface DomainSpec {
  readonly id: VmId;
  readonly name: string;
  /** One disk `vda`, one NIC and a memballoon; else none of the suite's interest. */
  readonly devices: boolean;
  /** XML of further devices. */
  readonly more?: string;
}

/** A group of the port's calls. */
export type Group = 'power' | 'saving' | 'devices' | 'tuning' | 'disks' | 'guest' | 'metadata';
const allGroups: readonly Group[] = ['power', 'saving', 'devices', 'tuning', 'disks', 'guest', 'metadata'];

/** One implementation of the port, not started, for one test. */
export interface Subject {
  readonly hypervisor: Hypervisor;
  domainXml(spec: DomainSpec): string;
  /** Where the hypervisor may write a file that is not there yet. */
  newPath(name: string): string;
  /** Path of a new, empty qcow2 image of 8 MiB. */
  newImage(name: string): Promise<string>;
  /** Guests answer no requests for their devices. Those of a real QEMU without a system never do on PCI. */
  keepDevices?(): void;
  /** A guest whose agent connects some time after its launch. Where it is absent, there is none to be had. */
  readonly agentGuest?: {
    domainXml(spec: DomainSpec): string;
    launched?(id: VmId): void;
  };
  /** A block job of the domain's disk has nothing left to copy. Where it is absent, jobs go on by themselves. */
  finishJob?(id: VmId, disk: string): void;
  /** The monitor of a running domain answers no more, until the returned function is called. */
  freeze?(name: string): () => void;
  /** The connection to the daemon is lost, and cannot be had again until the returned function is called. */
  cut?(): Promise<() => Promise<void>>;
  /** After the bench has removed its domains and stopped the hypervisor. */
  dispose(): Promise<void>;
}

/** A verb that changes a domain's state. */
export type Verb = 'launch' | 'launchPaused' | 'suspend' | 'resume' | 'destroy';

/** In what an implementation may differ. */
export interface HypervisorTraits {
  /** `domain/@type` of its domains. */
  readonly domainType: string;
  /** Lifecycle events by verb, as 'event detail'. */
  readonly events: Readonly<Record<Verb, readonly string[]>>;
  /** How it refuses a verb that the domain's state does not allow. */
  readonly wrongState: HypervisorErrorKind;
  /** It can launch paused, suspends what is suspended without complaint, and undefines no transient domain. */
  readonly likeQemu: boolean;
  /** Of statistics it tells all, what per-domain calls yield, or states alone. */
  readonly stats: 'all' | 'partial' | 'states';
  /** Descriptions have the devices of the XML. */
  readonly devices: boolean;
  /** Deadlines and signals of calls count. */
  readonly options: boolean;
  /** It has a daemon to connect to. */
  readonly connects: boolean;
  /** Groups of calls that it serves. */
  readonly groups: readonly Group[];
}

export const qemuTraits: HypervisorTraits = {
  domainType: 'qemu',
  events: {
    launch: ['resumed unpaused', 'started booted'],
    launchPaused: ['started booted', 'suspended paused'],
    suspend: ['suspended paused'],
    resume: ['resumed unpaused'],
    destroy: ['shutdown host', 'stopped destroyed'],
  },
  wrongState: 'invalid-state',
  likeQemu: true,
  stats: 'all',
  devices: true,
  options: true,
  connects: true,
  groups: allGroups,
};

/** libvirt's test driver. */
export const testDriverTraits: HypervisorTraits = {
  ...qemuTraits,
  domainType: 'test',
  events: { ...qemuTraits.events, launch: ['started booted'], destroy: ['stopped destroyed'] },
  wrongState: 'failed',
  likeQemu: false,
  stats: 'partial',
  groups: [],
};

export function contractId(n: number): VmId {
  return `c0de0000-0000-4000-8000-${n.toString(16).padStart(12, '0')}` as VmId;
}

/** Of a guest agent, which never comes in a guest without a system. */
export const AGENT_CHANNEL = `<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>`;

/** Never defined by the suite. */
export const unknownId = contractId(0xdead);

/**
 * A domain of 16 MiB as libvirt accepts it. Its memory statistics have a period, so that no agent that runs on the
 * same host sets one while a test looks.
 *
 * @param disk path of the disk's image */
export function contractXml(
  { id, name, devices, more = '' }: DomainSpec,
  type: string,
  disk: string,
): string {
  const parts = `
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='${disk}'/><target dev='vda' bus='virtio'/>
    </disk>
    <interface type='ethernet'><mac address='52:54:00:c0:de:01'/><model type='virtio'/></interface>
    <memballoon model='virtio'><stats period='3'/></memballoon>`;
  return `<domain type='${type}'>
  <name>${name}</name><uuid>${id}</uuid>
  <memory unit='MiB'>16</memory><vcpu current='1'>2</vcpu>
  <os><type arch='x86_64'>hvm</type></os>
  <features><acpi/></features>
  <devices>${devices ? parts : ''}${more}</devices>
</domain>`;
}
