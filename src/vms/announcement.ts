/**
 * What a change of a VM is worth telling an engine: the payload of its VM_status event, or nothing.
 *
 * Pure. Beyond VDSM's own events it tells of every change of the reported status, of a new pause code and of a
 * monitor that stops or begins to answer. Nothing may be added to a payload that an engine could take for a VM.
 */
import type { Vm } from '../domain/vm.js';
import { runningBlock, statusBlock } from '../domain/vm-record.js';

const starting: ReadonlySet<string> = new Set(['WaitForLaunch', 'Migration Destination', 'Restoring state']);

export type Payload = Readonly<Record<string, unknown>>;

/**
 * @param before undefined for a VM that has just become known
 * @param extra members of the event's cause (`ioerror`)
 * @param wallMs wall clock, epoch ms
 * @returns undefined where there is nothing to tell
 */
export function announcement(
  before: Vm | undefined,
  after: Vm,
  wallMs: number,
  extra?: Payload,
): Payload | undefined {
  if (after.status === 'Down') {
    return before?.status === 'Down' ? undefined : { ...statusBlock(after), ...extra };
  }
  if (hasComeUp(before, after)) {
    return { ...runningBlock(after, wallMs), ...pauseCodeOf(after), ...statusBlock(after), ...extra };
  }
  if (before?.status === after.status && !hasChanged(before, after)) return undefined;
  const flipped = before !== undefined && before.monitorResponsive !== after.monitorResponsive;
  return {
    ...statusBlock(after),
    ...pauseCodeOf(after),
    ...(flipped && { monitorResponse: after.monitorResponsive ? '0' : '-1' }),
    ...extra,
  };
}

/** True where a start, an incoming migration or an adoption has just been completed. */
export function hasComeUp(before: Vm | undefined, after: Vm): boolean {
  const wasOff = before === undefined || before.internal === 'Down' || starting.has(before.internal);
  return wasOff && after.internal !== 'Down' && !starting.has(after.internal);
}

function hasChanged(before: Vm, after: Vm): boolean {
  const pauseCodeChanged = after.status === 'Paused' && before.pauseCode !== after.pauseCode;
  return pauseCodeChanged || before.monitorResponsive !== after.monitorResponsive;
}

function pauseCodeOf(vm: Vm): Payload {
  return vm.status === 'Paused' ? { pauseCode: vm.pauseCode ?? 'NOERR' } : {};
}
