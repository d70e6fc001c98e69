/**
 * The state machine of a VM: internal statuses, the causes that move it, one transition table and one `move`.
 *
 * Pure: no clock, no I/O. A cause that its row does not list for the present status changes nothing, so events may
 * come late, twice or in any order. Down is terminal: only a new record leaves it. `Paused` means exactly "Up with
 * the guest's CPUs stopped"; the table therefore speaks of Up, and `move` settles which of the two it is.
 * vm-exit.ts has the exit reasons, vm-found.ts what a state found at the hypervisor means.
 */
import type { ExitInfo, GuestEvent, InternalStatus, PauseCode, Vm, VmStatus } from './vm.js';
import { exitInfo } from './vm-exit.js';
import type { ExitOf } from './vm-exit.js';
import { transitions } from './vm-transitions.js';
import type { CauseName, Transition } from './vm-transitions.js';

export const internalStatuses = [
  'WaitForLaunch',
  'Up',
  'Paused',
  'Powering down',
  'Migration Source',
  'Migration Destination',
  'Saving State',
  'Restoring state',
  'Down',
] as const satisfies readonly InternalStatus[];

/** The part of a Vm that the machine reads and writes. */
export type VmState = Pick<
  Vm,
  'internal' | 'cpuRunning' | 'guestEvent' | 'pauseCode' | 'exit' | 'pendingExit'
>;

export interface CauseDetail {
  /** Monotonic ms. */
  readonly nowMs: number;
  readonly pauseCode?: PauseCode;
  /** Text of the exit record in place of the reason's own. */
  readonly message?: string;
  /** An exit record found in the domain's metadata: outranks what the row says. */
  readonly exit?: ExitInfo;
}

/** How long a guest event refines Up (VDSM: vm.py _refineStatus). */
const refinementMs: Readonly<Record<GuestEvent['status'], number>> = {
  'Powering up': 60_000,
  RebootInProgress: 60_000,
  'Powering down': 300_000,
};

/** A specific code is not overwritten by a vaguer one while the VM stays paused. */
const pauseCodeRank: Readonly<Record<PauseCode, number>> = {
  NOERR: 0,
  EOTHER: 1,
  EIO: 2,
  ENOSPC: 2,
  EPERM: 2,
  POSTCOPY: 3,
};

/** The state of a record that was just made. */
export function initialState(
  internal: Extract<InternalStatus, 'WaitForLaunch' | 'Migration Destination' | 'Restoring state'>,
): VmState {
  return { internal, cpuRunning: false };
}

/** The state after the cause; the same object where nothing changes. */
export function move(state: VmState, cause: CauseName, detail: CauseDetail): VmState {
  const row: Transition = transitions[cause];
  const to = row.to[state.internal];
  if (to === undefined) return state;
  const cpuRunning = row.cpu ?? state.cpuRunning;
  const internal = settled(to, cpuRunning);
  if (internal === 'Down') return downState(state, row.exit, detail);
  const guestEvent = guestEventAfter(state, row, detail.nowMs);
  const pendingExit = pendingExitAfter(state, row);
  const pauseCode = pauseCodeAfter(state, row, { internal, cpuRunning }, detail);
  const next: VmState = {
    internal,
    cpuRunning,
    ...(guestEvent && { guestEvent }),
    ...(pauseCode && { pauseCode }),
    ...(pendingExit && { pendingExit }),
  };
  return sameState(state, next) ? state : next;
}

/** What statistics and events show (VDSM: vm.py status()). */
export function reportedStatus(state: VmState, nowMs: number): VmStatus {
  const { internal, cpuRunning, guestEvent, pauseCode } = state;
  if (internal === 'Migration Source' && pauseCode === 'POSTCOPY') return 'Paused';
  if (internal === 'Powering down' && !cpuRunning) return 'Paused';
  if (internal === 'Up' && guestEvent && nowMs < expiryMs(guestEvent)) return guestEvent.status;
  return internal;
}

/** Monotonic ms at which the reported status changes by itself: apply 'time-passed' then. Undefined: never. */
export function nextStatusChangeMs(state: VmState): number | undefined {
  return state.guestEvent && expiryMs(state.guestEvent);
}

function expiryMs(event: GuestEvent): number {
  return event.atMs + refinementMs[event.status];
}

function settled(to: InternalStatus, cpuRunning: boolean): InternalStatus {
  if (to !== 'Up' && to !== 'Paused') return to;
  return cpuRunning ? 'Up' : 'Paused';
}

function downState(state: VmState, rule: ExitOf | undefined, detail: CauseDetail): VmState {
  const exit = detail.exit ?? exitInfo(state, rule, detail.message);
  return { internal: 'Down', cpuRunning: false, exit };
}

function guestEventAfter(state: VmState, row: Transition, nowMs: number): GuestEvent | undefined {
  const { guestEvent } = state;
  switch (row.guestEvent) {
    case undefined:
      return guestEvent;
    case 'cleared-by-agent':
      return guestEvent?.status === 'Powering down' ? guestEvent : undefined;
    case 'cleared':
      return undefined;
    case 'expired':
      return guestEvent && nowMs < expiryMs(guestEvent) ? guestEvent : undefined;
    default:
      return { status: row.guestEvent, atMs: nowMs };
  }
}

function pendingExitAfter(state: VmState, row: Transition): ExitInfo | undefined {
  const { pendingExit } = state;
  if (row.pendingExit === undefined) return pendingExit;
  switch (row.pendingExit.rule) {
    case 'unless-set':
      return pendingExit ?? row.pendingExit.exit;
    case 'set':
      return row.pendingExit.exit;
    case 'drop':
      return pendingExit?.reason === row.pendingExit.reason ? undefined : pendingExit;
    case 'clear':
      return undefined;
    case 'replace':
      return pendingExit?.reason === row.pendingExit.reason ? row.pendingExit.exit : pendingExit;
  }
}

function pauseCodeAfter(
  state: VmState,
  row: Transition,
  { internal, cpuRunning }: Pick<VmState, 'internal' | 'cpuRunning'>,
  detail: CauseDetail,
): PauseCode | undefined {
  const current = row.dropsPostcopy && state.pauseCode === 'POSTCOPY' ? undefined : state.pauseCode;
  // A code left by the start (NOERR) stays until the CPUs have been stopped and run again, as VDSM has it.
  if (row.cpu === true && !state.cpuRunning && row.pauseCode === undefined) return undefined;
  // Whatever is reported as Paused has a code: an engine keeps an old one otherwise.
  const stopped =
    internal === 'Paused' || (internal === 'Powering down' && !cpuRunning) ? 'NOERR' : undefined;
  const candidate = row.pauseCode === undefined ? stopped : (detail.pauseCode ?? row.pauseCode);
  if (candidate === undefined) return current;
  if (current === undefined) return candidate;
  return pauseCodeRank[candidate] >= pauseCodeRank[current] ? candidate : current;
}

/** True where nobody could tell the two apart. */
export function sameState(a: VmState, b: VmState): boolean {
  return (
    a.internal === b.internal &&
    a.cpuRunning === b.cpuRunning &&
    a.pauseCode === b.pauseCode &&
    a.guestEvent?.status === b.guestEvent?.status &&
    a.guestEvent?.atMs === b.guestEvent?.atMs &&
    a.pendingExit === b.pendingExit &&
    a.exit === b.exit
  );
}
