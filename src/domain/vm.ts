/**
 * One VM as the agent holds it. Immutable: the registry replaces the object at every change, so a reader may keep
 * a reference and compare by identity.
 */
import type { DomainDescription } from './devices.js';
import type { GuestInfo } from './guest-info.js';
import type { VmId } from './ids.js';

/** Internal status; the machine itself is in vm-status.ts. Spelling is VDSM's. */
export type InternalStatus =
  | 'WaitForLaunch'
  | 'Up'
  | 'Paused'
  | 'Powering down'
  | 'Migration Source'
  | 'Migration Destination'
  | 'Saving State'
  | 'Restoring state'
  | 'Down';

/** What statistics and events show. */
export type VmStatus = InternalStatus | 'Powering up' | 'RebootInProgress';

export type PauseCode = 'NOERR' | 'ENOSPC' | 'EIO' | 'EOTHER' | 'EPERM' | 'POSTCOPY';

/** Why a VM is Down: VDSM's exitCode 0/1 and vmexitreason 0-14. */
export interface ExitInfo {
  readonly code: 0 | 1;
  readonly reason: number;
  readonly message: string;
}

/** A guest event that refines 'Up' for a while: VDSM's Powering up / RebootInProgress / Powering down. */
export interface GuestEvent {
  readonly status: 'Powering up' | 'RebootInProgress' | 'Powering down';
  /** Monotonic ms. */
  readonly atMs: number;
}

/** A commit of one file of a disk's chain into another, while it runs. */
export interface VmJob {
  readonly id: string;
  /** Target name of the disk. */
  readonly drive: string;
  readonly imageId?: string;
  /** MiB/s; 0 is no limit. */
  readonly bandwidthMiB: number;
  /** Bytes done, and in all. */
  readonly cur: number;
  readonly end: number;
}

export interface Vm {
  readonly id: VmId;
  readonly name: string;
  readonly internal: InternalStatus;
  /** False while the guest's CPUs are stopped: overlays Up and friends with Paused. */
  readonly cpuRunning: boolean;
  /** As statistics and events show it; derived by vm-status.ts, kept here so that readers agree. */
  readonly status: VmStatus;
  readonly guestEvent?: GuestEvent;
  readonly pauseCode?: PauseCode;
  /** Present exactly when internal is Down. */
  readonly exit?: ExitInfo;
  /** Remembered cause of a stop that has begun, for the exit record. */
  readonly pendingExit?: ExitInfo;
  /** Absent until the live XML was read. */
  readonly domain?: DomainDescription;
  /** Wall-clock epoch ms of guest start, reset by a reboot of the guest. */
  readonly startedAtMs?: number;
  readonly clientIp: string;
  readonly clientPort: string;
  /** Offset of the guest's clock from UTC since the guest changed it last; absent: as the domain's XML has it. */
  readonly timeOffsetSec?: number;
  /** False: `monitorResponse` "-1". */
  readonly monitorResponsive: boolean;
  readonly watchdogEvent?: { readonly timeSec: number; readonly action: string };
  readonly balloonTargetKiB?: number;
  /** µs; -1 is none. */
  readonly vcpuQuota?: number;
  /** µs. */
  readonly vcpuPeriod?: number;
  /** defaultGuest until an agent answers. */
  readonly guest: GuestInfo;
  /** Absent: none, or not yet taken up after a start of the agent. */
  readonly blockJobs?: readonly VmJob[];
  /** Not created by this API (no ovirt-vm metadata): listed while it runs, never listed Down. */
  readonly external: boolean;
}

/** What readers of the set of VMs see; the registry implements it. */
export interface VmSource {
  get(id: VmId): Vm | undefined;
  /** Every VM, including Down ones, in a stable order. */
  all(): Iterable<Vm>;
  readonly size: number;
  /** Called after each change, with the new VM, or undefined where it was forgotten. Returns the remover. */
  onChange(listener: (id: VmId, vm: Vm | undefined, before: Vm | undefined) => void): () => void;
}

/** An event of the agent before it has a number. */
export interface AgentEvent {
  /** `|virt|VM_status|<vmId>`, `|jobs|status|<jobId>`. */
  readonly topic: string;
  /** The VM whose holds delay it; absent: none does. */
  readonly vmId?: VmId;
  /** Without notify_time. Of VM_status: one member, named by the VM's id, with `status` always in it. */
  readonly params: Readonly<Record<string, unknown>>;
  /** Integer on the engine's clock (util/time.ts engineTime). */
  readonly notifyTime: number;
}

/** The sampler's answer to the API: bytes that are ready to send. */
export interface StatsSnapshot {
  /**
   * The JSON array of all records, cut into pages whose concatenation is the whole. Each Buffer is immutable
   * once returned.
   */
  pages(): readonly Buffer[];
  /** The JSON text of one VM's record, undefined for an unknown VM. */
  record(id: VmId): Buffer | undefined;
  /** Monotonic ms of the last finished tick; undefined before the first. */
  readonly sampledAtMs: number | undefined;
}
