/**
 * libvirt's enumerations as names: position is the wire number. The names are libvirt's constants, lower case and
 * hyphenated (VIR_DOMAIN_PAUSED_SHUTTING_DOWN -> 'shutting-down'). Numbers of newer libvirts read as 'unknown'.
 */
import type { ControlInfo, DiskError, DomainStateName, LifecycleEventName } from '../domain/hypervisor.js';
import type { GuestInfoKind } from '../domain/hypervisor-verbs.js';

export const domainStates = [
  'nostate',
  'running',
  'blocked',
  'paused',
  'shutdown',
  'shutoff',
  'crashed',
  'pmsuspended',
] as const satisfies readonly DomainStateName[];

/** Reasons by state. */
export const stateReasons: Readonly<Record<DomainStateName, readonly string[]>> = {
  nostate: ['unknown'],
  running: [
    'unknown',
    'booted',
    'migrated',
    'restored',
    'from-snapshot',
    'unpaused',
    'migration-canceled',
    'save-canceled',
    'wakeup',
    'crashed',
    'postcopy',
    'postcopy-failed',
  ],
  blocked: ['unknown'],
  paused: [
    'unknown',
    'user',
    'migration',
    'save',
    'dump',
    'ioerror',
    'watchdog',
    'from-snapshot',
    'shutting-down',
    'snapshot',
    'crashed',
    'starting-up',
    'postcopy',
    'postcopy-failed',
  ],
  shutdown: ['unknown', 'user'],
  shutoff: [
    'unknown',
    'shutdown',
    'destroyed',
    'crashed',
    'migrated',
    'saved',
    'failed',
    'from-snapshot',
    'daemon',
  ],
  crashed: ['unknown', 'panicked'],
  pmsuspended: ['unknown'],
};

export const lifecycleEvents = [
  'defined',
  'undefined',
  'started',
  'suspended',
  'resumed',
  'stopped',
  'shutdown',
  'pmsuspended',
  'crashed',
] as const satisfies readonly LifecycleEventName[];

/** Details by lifecycle event. */
export const lifecycleDetails: Readonly<Record<LifecycleEventName, readonly string[]>> = {
  defined: ['added', 'updated', 'renamed', 'from-snapshot'],
  undefined: ['removed', 'renamed'],
  started: ['booted', 'migrated', 'restored', 'from-snapshot', 'wakeup'],
  suspended: [
    'paused',
    'migrated',
    'ioerror',
    'watchdog',
    'restored',
    'from-snapshot',
    'api-error',
    'postcopy',
    'postcopy-failed',
  ],
  resumed: ['unpaused', 'migrated', 'from-snapshot', 'postcopy', 'postcopy-failed'],
  stopped: ['shutdown', 'destroyed', 'crashed', 'migrated', 'saved', 'failed', 'from-snapshot'],
  shutdown: ['finished', 'guest', 'host'],
  pmsuspended: ['memory', 'disk'],
  crashed: ['panicked', 'crashloaded'],
};

export const controlStates = [
  'ok',
  'job',
  'occupied',
  'error',
] as const satisfies readonly ControlInfo['state'][];
export const diskErrors = [
  'none',
  'unspecified',
  'no-space',
] as const satisfies readonly DiskError['error'][];
export const watchdogActions = [
  'none',
  'pause',
  'reset',
  'poweroff',
  'shutdown',
  'debug',
  'injectnmi',
] as const;
export const ioErrorActions = ['none', 'pause', 'report'] as const;
export const graphicsPhases = ['connect', 'initialize', 'disconnect'] as const;
export const blockJobTypes = ['unknown', 'pull', 'copy', 'commit', 'active-commit', 'backup'] as const;
export const blockJobStatuses = ['completed', 'failed', 'cancelled', 'ready'] as const;
export const jobOperations = [
  'unknown',
  'start',
  'save',
  'restore',
  'migration-in',
  'migration-out',
  'snapshot',
  'snapshot-revert',
  'dump',
  'backup',
  'snapshot-delete',
] as const;
/** 0 is not used by libvirt. */
export const agentStates = ['unknown', 'connected', 'disconnected'] as const;
/** Tags of DOMAIN_MEMORY_STATS; KiB but for faults (counts), last-update (epoch s) and the huge page counts. */
export const memoryStatTags = [
  'swap_in',
  'swap_out',
  'major_fault',
  'minor_fault',
  'unused',
  'available',
  'actual_balloon',
  'rss',
  'usable',
  'last_update',
  'disk_caches',
  'hugetlb_pgalloc',
  'hugetlb_pgfail',
] as const;

/** The name at a number, 'unknown' beyond the table. */
export function nameOf<T extends string>(names: readonly T[], number: number): T | 'unknown' {
  return names[number] ?? 'unknown';
}

export function stateName(state: number): DomainStateName {
  return domainStates[state] ?? 'nostate';
}

export function reasonName(state: DomainStateName, reason: number): string {
  return nameOf(stateReasons[state], reason);
}

/** Flag bits by call. */
export const AffectFlag = { current: 0, live: 1, config: 2 } as const;
export const CreateFlag = { paused: 1, autodestroy: 2, bypassCache: 4, forceBoot: 8, validate: 16 } as const;
export const DestroyFlag = { graceful: 1, removeLogs: 2 } as const;
export const UndefineFlag = {
  managedSave: 1,
  snapshotsMetadata: 2,
  nvram: 4,
  keepNvram: 8,
  checkpointsMetadata: 16,
  tpm: 32,
  keepTpm: 64,
} as const;
/** Beside AffectFlag. */
export const DeviceFlag = { force: 4 } as const;
export const SaveFlag = { bypassCache: 1, running: 2, paused: 4, resetNvram: 8 } as const;
export const XmlFlag = { secure: 1, inactive: 2, updateCpu: 4, migratable: 8 } as const;
export const SnapshotFlag = {
  noMetadata: 4,
  diskOnly: 16,
  reuseExternal: 32,
  quiesce: 64,
  atomic: 128,
} as const;
export const BlockCommitFlag = {
  shallow: 1,
  delete: 2,
  active: 4,
  relative: 8,
  bandwidthInBytes: 16,
} as const;
export const BlockJobAbortFlag = { async: 1, pivot: 2 } as const;
export const MetadataType = { description: 0, title: 1, element: 2 } as const;
/** Of DOMAIN_INTERFACE_ADDRESSES: who is asked. */
export const AddressSource = { lease: 0, agent: 1, arp: 2 } as const;
export const AddressType = { ipv4: 0, ipv6: 1 } as const;
/** Bits of DOMAIN_GET_GUEST_INFO. */
export const GuestInfoFlag = {
  users: 1,
  os: 2,
  timezone: 4,
  hostname: 8,
  filesystem: 16,
  disks: 32,
} as const satisfies Record<GuestInfoKind, number>;
/** Seconds, or one of these. */
export const AgentTimeout = { block: -2, default: -1, noWait: 0 } as const;
/** Of DOMAIN_REBOOT too. */
export const ShutdownFlag = { default: 0, acpi: 1, agent: 2, initctl: 4, signal: 8, paravirt: 16 } as const;
const stateFilter = {
  active: 1,
  inactive: 2,
  persistent: 4,
  transient: 8,
  running: 16,
  paused: 32,
  shutoff: 64,
  other: 128,
} as const;
/** Of CONNECT_LIST_ALL_DOMAINS: bits of one kind are or-ed, kinds are and-ed. */
export const ListFlag = {
  ...stateFilter,
  managedSave: 0x100,
  noManagedSave: 0x200,
  autostart: 0x400,
  noAutostart: 0x800,
  snapshot: 0x1000,
  noSnapshot: 0x2000,
  checkpoint: 0x4000,
  noCheckpoint: 0x8000,
} as const;
/** Of CONNECT_GET_ALL_DOMAIN_STATS; bit 31 as an unsigned number. */
export const StatsFlag = {
  ...stateFilter,
  nowait: 0x2000_0000,
  backing: 0x4000_0000,
  enforce: 0x8000_0000,
} as const;
/** Arguments of CONNECT_SUPPORTS_FEATURE. */
export const Feature = { keepalive: 10, closeCallback: 14, eventCallbacks: 15 } as const;
