/**
 * The transition table of the VM state machine; vm-status.ts `move` reads it, nothing else does.
 *
 * One row per cause: where it leads from which status, and what it does to the CPU flag, the guest event, the pause
 * code and the remembered exit. A status that a row does not list is left alone. The rows follow VDSM's
 * table of libvirt events (virt/vm.py); rows marked "found" are what a comparison with the hypervisor applies.
 */
import type { ExitInfo, GuestEvent, InternalStatus, PauseCode } from './vm.js';
import { exitOf } from './vm-exit.js';
import type { ExitOf, ExitReasonNumber } from './vm-exit.js';

type Leads = Readonly<Partial<Record<InternalStatus, InternalStatus>>>;

export interface Transition {
  readonly to: Leads;
  /** The guest's CPUs run afterwards; absent: as before. */
  readonly cpu?: boolean;
  readonly guestEvent?: GuestEvent['status'] | 'cleared-by-agent' | 'cleared' | 'expired';
  /** The least that the pause code says afterwards; a code in the cause's detail goes before it. */
  readonly pauseCode?: PauseCode;
  readonly dropsPostcopy?: boolean;
  readonly pendingExit?:
    | { readonly rule: 'set' | 'unless-set'; readonly exit: ExitInfo }
    | { readonly rule: 'drop'; readonly reason: ExitReasonNumber }
    | { readonly rule: 'clear' }
    | { readonly rule: 'replace'; readonly reason: ExitReasonNumber; readonly exit: ExitInfo };
  /** Of rows that lead to Down. */
  readonly exit?: ExitOf;
}

function leads(from: readonly InternalStatus[], to: InternalStatus): Leads {
  return Object.fromEntries(from.map((status) => [status, to]));
}
function keeps(from: readonly InternalStatus[]): Leads {
  return Object.fromEntries(from.map((status) => [status, status]));
}

const up: readonly InternalStatus[] = ['Up', 'Paused', 'Powering down'];
/** A QEMU exists and this agent is not starting it right now. */
const present: readonly InternalStatus[] = [
  ...up,
  'Migration Source',
  'Migration Destination',
  'Saving State',
];
const alive: readonly InternalStatus[] = ['WaitForLaunch', 'Restoring state', ...present];

const remember = (code: 0 | 1, reason: ExitReasonNumber) =>
  ({ rule: 'unless-set', exit: exitOf(code, reason) }) as const;
const order = (code: 0 | 1, reason: ExitReasonNumber) =>
  ({ rule: 'set', exit: exitOf(code, reason) }) as const;
const down = (from: readonly InternalStatus[], code: 0 | 1, reason: ExitReasonNumber): Transition => ({
  to: leads(from, 'Down'),
  exit: { remembered: true, exit: exitOf(code, reason) },
});
const downForSure = (
  from: readonly InternalStatus[],
  code: 0 | 1,
  reason: ExitReasonNumber,
  prefix?: string,
): Transition => ({
  to: leads(from, 'Down'),
  exit: { remembered: false, exit: exitOf(code, reason), ...(prefix !== undefined && { prefix }) },
});
/** A stop that libvirt announces. Not while this agent starts the domain: the start itself tells how it went. */
const stopped = (code: 0 | 1, reason: ExitReasonNumber): Transition => ({
  to: leads(present, 'Down'),
  exit: { remembered: true, exit: exitOf(code, reason), incoming: exitOf(1, 8) },
});
const cpuStops: Transition = { to: keeps(alive), cpu: false };
const cpuRuns: Transition = { to: keeps(alive), cpu: true, pendingExit: { rule: 'drop', reason: 7 } };

export const transitions = {
  // start
  launched: { to: leads(['WaitForLaunch'], 'Up'), cpu: true, guestEvent: 'Powering up', pauseCode: 'NOERR' },
  'launched-paused': {
    to: leads(['WaitForLaunch'], 'Up'),
    cpu: false,
    guestEvent: 'Powering up',
    pauseCode: 'NOERR',
  },
  'launch-failed': downForSure(['WaitForLaunch'], 1, 1),
  'launch-cancelled': downForSure(['WaitForLaunch', 'Restoring state'], 0, 10),
  restored: { to: leads(['Restoring state'], 'Up') },
  'restore-failed': downForSure(['Restoring state'], 1, 1, 'Wake up from hibernation failed: '),

  // the guest's CPUs
  'paused-by-verb': cpuStops,
  suspended: { to: { ...keeps(alive), 'Migration Destination': 'Up' }, cpu: false },
  'suspended-watchdog': cpuStops,
  'suspended-migrated': cpuStops,
  'suspended-restored': cpuStops,
  'suspended-snapshot': cpuStops,
  'suspended-api-error': cpuStops,
  'suspended-io-error': { to: keeps(alive), cpu: false, pauseCode: 'EOTHER' },
  'disk-errors-read': { to: keeps(alive), pauseCode: 'EOTHER' },
  'suspended-postcopy': {
    to: leads(['Up', 'Paused', 'Powering down', 'Migration Source'], 'Migration Source'),
    cpu: false,
    pauseCode: 'POSTCOPY',
  },
  'postcopy-failed': {
    to: keeps(['Migration Source', 'Migration Destination']),
    cpu: false,
    pauseCode: 'POSTCOPY',
    pendingExit: order(1, 12),
  },
  'resumed-by-verb': cpuRuns,
  resumed: cpuRuns,
  'resumed-migrated': { ...cpuRuns, to: { ...keeps(alive), 'Migration Destination': 'Up' } },
  'resumed-postcopy': cpuRuns,

  // shutdown and reboot
  'shutdown-by-guest': { to: keeps(alive), pendingExit: remember(0, 7) },
  // QEMU was told to end by a signal, as an init system ends it at the host's shutdown. libvirt does not know who sent it:
  // `virsh destroy` and an administrator's kill look the same and are told as 1/11, too, as in VDSM. That errs to the safe
  // side, since an engine restarts what ended with code 1.
  'shutdown-by-host': { to: keeps(alive), pendingExit: remember(1, 11) },
  // The guest ended in good order, but the host asked it to: an engine must start it elsewhere. VDSM says so as well.
  'host-shuts-down': {
    to: keeps(alive),
    pendingExit: { rule: 'replace', reason: 7, exit: exitOf(1, 11) },
  },
  'shutdown-ordered': { to: keeps(alive), guestEvent: 'Powering down', pendingExit: order(0, 6) },
  // A reboot that replaces an ordered shutdown.
  'reboot-ordered': {
    to: keeps(alive),
    guestEvent: 'RebootInProgress',
    pendingExit: { rule: 'drop', reason: 6 },
  },
  // A guest that ends later does so by itself, and a QEMU that is lost later was not shut down by anybody.
  'shutdown-given-up': {
    to: keeps(alive),
    guestEvent: 'cleared',
    pendingExit: { rule: 'drop', reason: 6 },
  },
  'reset-ordered': { to: keeps(alive), guestEvent: 'RebootInProgress' },
  rebooted: {
    to: keeps(alive),
    guestEvent: 'RebootInProgress',
    pendingExit: { rule: 'drop', reason: 7 },
  },
  'rebooted-for-good': { to: keeps(alive), pendingExit: order(0, 13) },
  'kill-failed': { to: keeps(alive), pendingExit: { rule: 'clear' } },
  'paused-too-long': { to: keeps(alive), pendingExit: order(1, 14) },
  'agent-connected': { to: keeps(alive), guestEvent: 'cleared-by-agent' },
  'time-passed': { to: keeps(alive), guestEvent: 'expired' },

  // destroy
  'destroy-begun': { to: { ...keeps(alive), Up: 'Powering down' }, pendingExit: order(0, 6) },
  'destroy-failed': {
    to: { ...keeps(alive), 'Powering down': 'Up' },
    pendingExit: { rule: 'drop', reason: 6 },
  },
  'destroy-unanswered': { to: { ...keeps(alive), 'Powering down': 'Up' } },
  destroyed: down(alive, 0, 6),

  // stops announced by libvirt
  'stopped-shutdown': stopped(0, 7),
  'stopped-destroyed': stopped(1, 2),
  'stopped-crashed': stopped(1, 2),
  'stopped-failed': stopped(1, 2),
  'stopped-snapshot': stopped(1, 2),
  'stopped-migrated': downForSure(present, 0, 4),
  'stopped-saved': downForSure(present, 0, 5),

  // migration and save
  'migration-begun': { to: leads(up, 'Migration Source') },
  'migration-failed': { to: leads(['Migration Source'], 'Up'), dropsPostcopy: true },
  'incoming-done': { to: leads(['Migration Destination'], 'Up'), cpu: true },
  'incoming-failed': downForSure(['Migration Destination'], 1, 8),
  'save-begun': { to: leads(up, 'Saving State') },
  'save-failed': { to: leads(['Saving State'], 'Up') },

  // found at the hypervisor
  'found-running': { to: { ...leads(alive, 'Up'), 'Powering down': 'Powering down' }, cpu: true },
  'found-paused': { to: { ...leads(alive, 'Up'), 'Powering down': 'Powering down' }, cpu: false },
  'found-io-error': {
    to: { ...leads(alive, 'Up'), 'Powering down': 'Powering down' },
    cpu: false,
    pauseCode: 'EOTHER',
  },
  'found-incoming': { to: leads(up, 'Migration Destination') },
  'found-shutdown': down(alive, 0, 7),
  'found-destroyed': down(alive, 0, 6),
  'found-migrated': downForSure(alive, 0, 4),
  'found-saved': downForSure(alive, 0, 5),
  'found-crashed': down(alive, 1, 2),
  'found-failed': down(alive, 1, 3),
  'found-off': down(alive, 1, 1),
  vanished: down(alive, 1, 9),
} as const satisfies Record<string, Transition>;

export type CauseName = keyof typeof transitions;
export const causeNames = Object.keys(transitions) as CauseName[];
