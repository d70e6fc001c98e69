/**
 * A VM's run as members of oVirt's metadata: what an agent that is started later cannot find out from the hypervisor.
 * Pure. recorder.ts writes them, adoption.ts reads them; names are VDSM's, but for pendingExit*, which are ours.
 */
import type { OvirtMetadata } from '../domain/devices.js';
import type { Vm } from '../domain/vm.js';
import { ExitReason } from '../domain/vm-exit.js';
import type { MetadataValue, MetadataValues } from './ovirt-metadata.js';

/** Every member, in no run: what a start takes out of the XML that it is given. */
export const noRecord = {
  exitCode: undefined,
  exitReason: undefined,
  exitMessage: undefined,
  pendingExitCode: undefined,
  pendingExitReason: undefined,
  pauseCode: undefined,
  pauseTime: undefined,
} as const satisfies MetadataValues;

/**
 * What the metadata of a VM's domain are to say. A member that is undefined is to be absent; of startTime: to stay.
 * @param pausedSec since when it is paused, monotonic s
 */
export function recordOf(vm: Vm, pausedSec: number): MetadataValues {
  const { internal, exit, pendingExit, startedAtMs, balloonTargetKiB } = vm;
  const pending = internal === 'Down' || isToldByHypervisor(vm) ? undefined : pendingExit;
  const pauseCode = errorPauseCode(vm);
  return {
    exitCode: exit?.code,
    exitReason: exit?.reason,
    exitMessage: exit?.message,
    pendingExitCode: pending?.code,
    pendingExitReason: pending?.reason,
    pauseCode,
    pauseTime: pauseCode === undefined ? undefined : pausedSec,
    balloonTarget: balloonTargetKiB,
    ...(startedAtMs !== undefined && internal !== 'Down' && { startTime: startedAtMs / 1000 }),
  };
}

/** What the metadata of a domain say, in the same form. */
export function recordIn(metadata: OvirtMetadata = {}): MetadataValues {
  return {
    exitCode: metadata.exitCode,
    exitReason: metadata.exitReason,
    exitMessage: metadata.exitMessage,
    pendingExitCode: metadata.pendingExitCode,
    pendingExitReason: metadata.pendingExitReason,
    pauseCode: metadata.pauseCode,
    pauseTime: metadata.pauseTimeSec,
    balloonTarget: metadata.balloonTargetKiB,
    startTime: metadata.startTime,
  };
}

/** The members of `to` that are not so in `from`; undefined where there is none. */
export function changedValues(from: MetadataValues, to: MetadataValues): MetadataValues | undefined {
  const changed = Object.entries(to).filter(([name, value]) => !isSame(from[name], value));
  return changed.length > 0 ? Object.fromEntries(changed) : undefined;
}

/** A pause that is not what somebody wanted; any other needs no record, since libvirt tells of it. */
export function errorPauseCode({ internal, pauseCode }: Vm): string | undefined {
  return internal === 'Paused' && pauseCode !== 'NOERR' ? pauseCode : undefined;
}

/** libvirt's own reason of the stop will say as much: a guest that ended, and VM.destroy (Powering down). */
function isToldByHypervisor({ internal, pendingExit }: Vm): boolean {
  return internal === 'Powering down' || pendingExit?.reason === ExitReason.userShutdown;
}

/** Of times, less than a millisecond is lost on the way through text and back. */
function isSame(a: MetadataValue | undefined, b: MetadataValue | undefined): boolean {
  if (typeof a === 'number' && typeof b === 'number') return Math.abs(a - b) < 0.0005;
  return a === b;
}
