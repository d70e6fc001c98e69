/**
 * How long each procedure may take where the caller does not say: 10 s, or what its row says. A deadline only ends
 * our waiting. The daemon works on, and the call keeps its slot of the connection until the late reply comes.
 */
import type { ProcedureName } from './procedures.js';

const DEFAULT_MS = 10_000;
const QUICK_MS = 5000;
const STATS_MS = 7000;
/** Where another call holds the VM's job, libvirt gives up after 30 s and says so: worth waiting for. */
const LIFECYCLE_MS = 35_000;
/** Commands of guest agents have 5 s each where nothing else was set, and some calls give several. */
const AGENT_MS = 20_000;
/** Freezing writes out what the guest has not written yet. */
const FREEZE_MS = 60_000;
/** The job's last requests to slow storage. */
const END_OF_JOB_MS = 120_000;
/** Stopping a QEMU that no longer reacts takes libvirt 11.5 s. */
const DESTROY_MS = 40_000;
/** Ends with the job; stop it by DOMAIN_ABORT_JOB, give up by an AbortSignal. */
const UNLIMITED = Infinity;

const deadlines: Partial<Record<ProcedureName, number>> = {
  // A daemon that socket activation just started restores its domains before it opens a driver.
  CONNECT_OPEN: 30_000,
  // May start an emulator to ask it.
  CONNECT_GET_DOMAIN_CAPABILITIES: 30_000,
  CONNECT_GET_CAPABILITIES: 30_000,
  CONNECT_CLOSE: 1000,

  DOMAIN_GET_STATE: QUICK_MS,
  DOMAIN_GET_CONTROL_INFO: QUICK_MS,
  DOMAIN_GET_INFO: QUICK_MS,
  DOMAIN_LOOKUP_BY_UUID: QUICK_MS,
  DOMAIN_LOOKUP_BY_NAME: QUICK_MS,
  DOMAIN_LOOKUP_BY_ID: QUICK_MS,

  CONNECT_GET_ALL_DOMAIN_STATS: STATS_MS,
  DOMAIN_MEMORY_STATS: STATS_MS,
  DOMAIN_BLOCK_STATS: STATS_MS,
  DOMAIN_BLOCK_STATS_FLAGS: STATS_MS,
  DOMAIN_GET_BLOCK_INFO: STATS_MS,
  DOMAIN_INTERFACE_STATS: STATS_MS,
  DOMAIN_GET_CPU_STATS: STATS_MS,
  DOMAIN_GET_VCPUS: STATS_MS,

  DOMAIN_CREATE: LIFECYCLE_MS,
  DOMAIN_CREATE_XML: LIFECYCLE_MS,
  DOMAIN_CREATE_WITH_FLAGS: LIFECYCLE_MS,
  DOMAIN_DEFINE_XML: LIFECYCLE_MS,
  DOMAIN_DEFINE_XML_FLAGS: LIFECYCLE_MS,
  DOMAIN_UNDEFINE_FLAGS: LIFECYCLE_MS,
  DOMAIN_SUSPEND: LIFECYCLE_MS,
  DOMAIN_RESUME: LIFECYCLE_MS,
  DOMAIN_SHUTDOWN_FLAGS: LIFECYCLE_MS,
  DOMAIN_REBOOT: LIFECYCLE_MS,
  DOMAIN_RESET: LIFECYCLE_MS,
  DOMAIN_ATTACH_DEVICE_FLAGS: LIFECYCLE_MS,
  DOMAIN_DETACH_DEVICE_FLAGS: LIFECYCLE_MS,
  DOMAIN_UPDATE_DEVICE_FLAGS: LIFECYCLE_MS,
  DOMAIN_SNAPSHOT_CREATE_XML: LIFECYCLE_MS,
  DOMAIN_BLOCK_COMMIT: LIFECYCLE_MS,
  DOMAIN_BLOCK_JOB_ABORT: END_OF_JOB_MS,
  DOMAIN_BLOCK_RESIZE: LIFECYCLE_MS,
  DOMAIN_SET_BLOCK_IO_TUNE: LIFECYCLE_MS,
  DOMAIN_SET_MEMORY_FLAGS: LIFECYCLE_MS,
  DOMAIN_SET_METADATA: LIFECYCLE_MS,
  DOMAIN_SET_SCHEDULER_PARAMETERS_FLAGS: LIFECYCLE_MS,
  DOMAIN_SET_VCPUS_FLAGS: LIFECYCLE_MS,
  DOMAIN_PIN_VCPU_FLAGS: LIFECYCLE_MS,
  DOMAIN_SCREENSHOT: LIFECYCLE_MS,
  DOMAIN_AGENT_COMMAND: AGENT_MS,
  DOMAIN_GET_GUEST_INFO: AGENT_MS,
  DOMAIN_INTERFACE_ADDRESSES: AGENT_MS,
  DOMAIN_FSFREEZE: FREEZE_MS,
  DOMAIN_FSTHAW: FREEZE_MS,
  DOMAIN_DESTROY: DESTROY_MS,
  DOMAIN_DESTROY_FLAGS: DESTROY_MS,

  DOMAIN_SAVE: UNLIMITED,
  DOMAIN_SAVE_FLAGS: UNLIMITED,
  DOMAIN_SAVE_PARAMS: UNLIMITED,
  DOMAIN_MANAGED_SAVE: UNLIMITED,
  DOMAIN_RESTORE: UNLIMITED,
  DOMAIN_RESTORE_FLAGS: UNLIMITED,
  DOMAIN_RESTORE_PARAMS: UNLIMITED,
  DOMAIN_CORE_DUMP_WITH_FORMAT: UNLIMITED,
  DOMAIN_MIGRATE_PERFORM3_PARAMS: UNLIMITED,
  DOMAIN_REVERT_TO_SNAPSHOT: UNLIMITED,
  DOMAIN_SNAPSHOT_DELETE: UNLIMITED,
};

/** For messages: what is left of a deadline after connecting has many digits. */
export function secondsText(ms: number): string {
  return `${Number((ms / 1000).toPrecision(3))} s`;
}

export function deadlineOf(name: ProcedureName): number {
  return deadlines[name] ?? DEFAULT_MS;
}
