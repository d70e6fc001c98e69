/**
 * VMs whose QEMU does not answer: why, since when, and when it is asked next.
 *
 * A call that meets a silent QEMU holds one of the daemon's 20 workers until the QEMU is alive again, and nothing gives
 * it back sooner. So a VM in quarantine is left alone until there is a sign of life that costs nothing (its process
 * runs, its monitor is free), and is then asked alone, once: a probe. Probes that fail come after 1, 2, 4 and then 8
 * periods. One good sample ends the quarantine.
 *
 * The entry lies in the VM's own record (TrackedVm), so it goes when the VM goes or starts anew.
 */
import type { VmId } from '../domain/ids.js';

/**
 * What the kernel says of a QEMU process, at the cost of a small read:
 * - stopped: by a signal or a tracer; it answers nothing until it is continued
 * - blocked: its main thread has been in an uninterruptible wait, on storage as a rule, without a step in between
 * - waiting: it is in such a wait now; whether it is blocked, a second look in a moment will tell
 * - alive: none of these
 * - unknown: not to be seen from here
 */
export type ProcessState = 'stopped' | 'blocked' | 'waiting' | 'alive' | 'unknown';

/** host/qemu-processes.ts, where the hypervisor is on this machine. */
export interface ProcessLook {
  look(id: VmId, name: string): ProcessState;
  /** Process id; undefined where it is not known. */
  pid(id: VmId): number | undefined;
  /** The VM is gone, or runs as another process. */
  forget(id: VmId): void;
}

/** 'hung': its monitor is held by a call that it does not answer, and the kernel has no reason to tell. */
export type QuarantineReason = 'stopped' | 'blocked' | 'hung';

export interface Quarantine {
  why: QuarantineReason;
  readonly sinceMs: number;
  lastProbeMs: number | undefined;
  nextProbeMs: number;
  failedProbes: number;
}

/** As health shows it; times are monotonic ms. */
export interface QuarantinedVm {
  readonly id: VmId;
  readonly why: QuarantineReason;
  readonly sinceMs: number;
  readonly lastProbeMs: number | undefined;
  /** Not before then, and not before a sign of life. */
  readonly nextProbeMs: number;
  readonly pid: number | undefined;
}
