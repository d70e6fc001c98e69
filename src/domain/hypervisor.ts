/**
 * THE PORT: all that the agent asks of a hypervisor. libvirt/driver.ts implements it; nothing above knows libvirt.
 * hypervisor-verbs.ts has the groups of calls that single verbs need.
 *
 * Every call takes CallOptions and rejects with a HypervisorError. A call that misses its deadline rejects with
 * kind 'timeout', or with 'unavailable' or 'busy' where it was not sent yet; a late answer is counted and dropped.
 */
import type { Service } from '../util/lifecycle.js';
import type { CallOptions } from './call-options.js';
import type { DomainDescription } from './devices.js';
import type {
  DeviceCalls,
  DiskCalls,
  GuestCalls,
  MetadataCalls,
  PowerCalls,
  SaveCalls,
  TuningCalls,
} from './hypervisor-verbs.js';
import type { VmId } from './ids.js';
import type { StatsBatch } from './stats.js';

export type { CallOptions } from './call-options.js';

/**
 * - unavailable: no connection to the hypervisor now
 * - busy: connected, but it was not sent, since too many calls before it are unanswered
 * - timeout: no answer within the deadline, or the domain's monitor is held by another call
 * - no-domain: the domain is gone
 * - invalid-state: the domain is not in a state that allows it (not running, already running ...)
 * - no-device: the domain has no such device
 * - agent: the guest agent is not configured, not connected or silent; what it answers with an error is another kind
 * - aborted: by the caller's signal, or the work was cancelled by abortJob
 * - exists, denied, unsupported
 * - failed: anything else; read the message
 */
export type HypervisorErrorKind =
  | 'unavailable'
  | 'busy'
  | 'timeout'
  | 'no-domain'
  | 'no-device'
  | 'invalid-state'
  | 'exists'
  | 'denied'
  | 'unsupported'
  | 'agent'
  | 'aborted'
  | 'failed';

export class HypervisorError extends Error {
  override readonly name: string = 'HypervisorError';
  /** The hypervisor's own words: the message without what it says of the call. */
  readonly detail: string;

  constructor(
    readonly kind: HypervisorErrorKind,
    message: string,
    options?: ErrorOptions & { readonly detail?: string },
  ) {
    super(message, options);
    this.detail = options?.detail ?? message;
  }
}

/** libvirt's virDomainState names. */
export type DomainStateName =
  'nostate' | 'running' | 'blocked' | 'paused' | 'shutdown' | 'shutoff' | 'crashed' | 'pmsuspended';

/** Reason texts of virDomain*Reason, hyphenated; 'unknown' for numbers this agent does not know. */
export interface DomainState {
  readonly state: DomainStateName;
  readonly reason: string;
}

export interface DomainRef {
  readonly id: VmId;
  readonly name: string;
  readonly active: boolean;
}

/** Whether the domain's monitor answers: virDomainGetControlInfo, which itself never blocks. */
export interface ControlInfo {
  readonly state: 'ok' | 'job' | 'occupied' | 'error';
  /** How long it has been in that state, ms. */
  readonly sinceMs: number;
}

/** What a domain has used so far, ns. NaN: not known. */
export interface CpuTime {
  readonly totalNs: number;
  /** Of QEMU itself, without the guest's own: libvirt's naming. */
  readonly userNs: number;
  readonly systemNs: number;
}

export interface DiskError {
  /** Target device, e.g. vda. */
  readonly disk: string;
  readonly error: 'none' | 'unspecified' | 'no-space';
}

export type LifecycleEventName =
  | 'defined'
  | 'undefined'
  | 'started'
  | 'suspended'
  | 'resumed'
  | 'stopped'
  | 'shutdown'
  | 'pmsuspended'
  | 'crashed';

export type DomainEvent = { readonly id: VmId; readonly domainName: string } & (
  | { readonly kind: 'lifecycle'; readonly event: LifecycleEventName; readonly detail: string }
  | { readonly kind: 'reboot' }
  | { readonly kind: 'rtc-change'; readonly offsetSec: number }
  | { readonly kind: 'watchdog'; readonly action: string }
  | {
      readonly kind: 'io-error';
      readonly path: string;
      readonly alias: string;
      readonly action: 'none' | 'pause' | 'report' | 'unknown';
      /** 'enospc' or ''. */
      readonly reason: string;
    }
  | {
      readonly kind: 'graphics';
      readonly phase: 'connect' | 'initialize' | 'disconnect' | 'unknown';
      readonly clientAddress: string;
      readonly clientPort: string;
    }
  | { readonly kind: 'control-error' }
  | {
      readonly kind: 'block-job';
      readonly disk: string;
      readonly type: string;
      readonly status: 'completed' | 'failed' | 'cancelled' | 'ready' | 'unknown';
    }
  | { readonly kind: 'balloon-change'; readonly actualKiB: number }
  | { readonly kind: 'device-added' | 'device-removed' | 'device-removal-failed'; readonly alias: string }
  | { readonly kind: 'agent-lifecycle'; readonly state: 'connected' | 'disconnected' | 'unknown' }
  | { readonly kind: 'disk-change' | 'tray-change'; readonly alias: string }
  | { readonly kind: 'job-completed'; readonly stats: Readonly<Record<string, number | string | boolean>> }
  | { readonly kind: 'migration-iteration'; readonly iteration: number }
  | { readonly kind: 'metadata-change'; readonly uri: string }
  | { readonly kind: 'block-threshold'; readonly device: string; readonly excess: number }
  | { readonly kind: 'tunable'; readonly values: Readonly<Record<string, number | string | boolean>> }
);

export interface HypervisorListener {
  /** Events are registered and the world may be listed. `gap`: events may have been lost since the last one seen. */
  connected?(info: { readonly gap: boolean }): void;
  disconnected?(reason: string): void;
  domainEvent?(event: DomainEvent): void;
}

export interface HypervisorStatus {
  readonly state: 'connecting' | 'open' | 'lost' | 'stopped';
  /** Monotonic ms of the last change of `state`. */
  readonly sinceMs: number;
  /** Why it is not open, for people. */
  readonly reason?: string;
  readonly uri: string;
  /** True where only the read-only socket was granted: monitoring works, lifecycle verbs are denied. */
  readonly readOnly: boolean;
}

/** Facts of the host as the hypervisor tells them. */
export interface HypervisorHostInfo {
  readonly hypervisorType: string;
  /** 7.2.22 style. */
  readonly hypervisorVersion: string;
  readonly libraryVersion: string;
  readonly hostname: string;
  readonly uri: string;
  readonly node: {
    readonly model: string;
    readonly memoryKiB: number;
    readonly cpus: number;
    readonly mhz: number;
    readonly numaNodes: number;
    readonly socketsPerNode: number;
    readonly coresPerSocket: number;
    readonly threadsPerCore: number;
  };
  /** virConnectGetCapabilities XML. */
  readonly capabilitiesXml: string;
  /** virConnectGetDomainCapabilities XML for the default emulator; '' where unsupported. */
  readonly domainCapabilitiesXml: string;
}

export interface StatsRequest {
  /** StatsGroup bits. */
  readonly groups: number;
  /** Absent: all active domains. Domains that are gone are left out of the answer. */
  readonly ids?: readonly VmId[];
  /** 'free': groups that never touch a monitor; 'backed': groups that may. They use separate connections. */
  readonly lane: 'free' | 'backed';
}

export interface Hypervisor extends Service {
  readonly status: HypervisorStatus;
  /** Calls that their callers gave up and that are still unanswered: each holds one of the daemon's workers. */
  readonly stuckCalls: number;
  /** Returns the remover. Listeners are called in the order of events, never concurrently. */
  addListener(listener: HypervisorListener): () => void;

  listDomains(options?: CallOptions): Promise<DomainRef[]>;
  domainState(id: VmId, options?: CallOptions): Promise<DomainState>;
  /** Live XML, parsed. */
  describe(id: VmId, options?: CallOptions): Promise<DomainDescription>;
  /** Many at once, parsed off the main thread when there are many. Domains that vanished are left out. */
  describeMany(ids: readonly VmId[], options?: CallOptions): Promise<DomainDescription[]>;
  controlInfo(id: VmId, options?: CallOptions): Promise<ControlInfo>;
  /** Needs no monitor: answers however stuck the domain's QEMU is. */
  cpuTime(id: VmId, options?: CallOptions): Promise<CpuTime>;
  diskErrors(id: VmId, options?: CallOptions): Promise<DiskError[]>;
  /** The active job's operation ('migration-out' ...), or undefined. */
  activeJob(id: VmId, options?: CallOptions): Promise<string | undefined>;

  /** CPU bandwidth of the domain, µs; quota -1 is none. Undefined members: not known. */
  scheduler(
    id: VmId,
    options?: CallOptions,
  ): Promise<{ readonly vcpuQuota?: number; readonly vcpuPeriod?: number }>;

  stats(request: StatsRequest, options?: CallOptions): Promise<StatsBatch>;

  suspend(id: VmId, options?: CallOptions): Promise<void>;
  resume(id: VmId, options?: CallOptions): Promise<void>;
  /** graceful: SIGTERM only; fails with 'failed' when QEMU ignores it. */
  destroy(id: VmId, how: { readonly graceful: boolean }, options?: CallOptions): Promise<void>;
  /** Defines a persistent domain. */
  define(xml: string, options?: CallOptions): Promise<DomainRef>;
  /** Starts a defined domain. */
  launch(id: VmId, how: { readonly paused: boolean }, options?: CallOptions): Promise<void>;
  /** With NVRAM and checkpoint metadata. */
  undefine(id: VmId, options?: CallOptions): Promise<void>;
  setMemoryStatsPeriod(id: VmId, periodSec: number, options?: CallOptions): Promise<void>;
  /** Pure: parses XML as the hypervisor would name it; throws HypervisorError 'failed' with the fault. */
  parseXml(xml: string): DomainDescription;

  hostInfo(options?: CallOptions): Promise<HypervisorHostInfo>;

  readonly power: PowerCalls;
  readonly saving: SaveCalls;
  readonly devices: DeviceCalls;
  readonly tuning: TuningCalls;
  readonly disks: DiskCalls;
  readonly guest: GuestCalls;
  readonly metadata: MetadataCalls;
}
