/**
 * Freezing a guest's file systems, and letting them go again whatever happens: a guest that stays frozen hangs.
 *
 * A freeze that failed or got no answer may still come about in the guest, so it is followed by a thaw; the agent takes
 * one command after the other. While frozen, the agent refuses most other commands: its poller has to bear that.
 */
import { HypervisorError } from '../../domain/hypervisor.js';
import type { VmId } from '../../domain/ids.js';
import { textOf } from '../../util/text.js';
import { ANSWER_SEC, withPatience } from '../guest-agent/patience.js';
import { nameOf, operate } from '../operation.js';
import type { OperationsParts, VmName } from '../operation.js';

type FreezeParts = Pick<OperationsParts, 'hypervisor' | 'registry' | 'clock' | 'log' | 'metrics'>;

/** Writing out what a guest has in memory takes its time, but a verb's caller is to be answered within a minute. */
const FREEZE_SEC = 30;
const THAW_SEC = 10;
/** libvirt makes sure that the agent is there before it gives it the command. */
const SYNC_SEC = ANSWER_SEC + 2;
const THAW_PAUSE_MS = 3000;
/** Half a minute of a libvirt that is away, or of an agent that is slow. */
const THAW_ATTEMPTS = 10;

/** @throws VerbError nonresp (agent silent), operationNotSupported, freezeErr */
export async function freezeVerb(parts: OperationsParts, id: VmId): Promise<true> {
  const request = { id, verb: 'VM.freeze', otherwise: 'freezeErr', evenMigrating: true } as const;
  await operate(parts, request, (vm) => freeze(parts, vm));
  return true;
}

/** @throws VerbError nonresp (agent silent), operationNotSupported, thawErr */
export async function thawVerb(parts: OperationsParts, id: VmId): Promise<true> {
  const request = { id, verb: 'VM.thaw', otherwise: 'thawErr', evenMigrating: true } as const;
  await operate(parts, request, () => thaw(parts, id));
  return true;
}

/**
 * Resolves when all file systems of the guest are frozen; else none is, as far as that can be had.
 * @throws HypervisorError
 */
export async function freeze(parts: FreezeParts, vm: VmName): Promise<void> {
  const { hypervisor, log } = parts;
  try {
    const deadlineMs = (FREEZE_SEC + SYNC_SEC) * 1000;
    const ask = (): Promise<number> => hypervisor.guest.freeze(vm.id, { deadlineMs });
    const filesystems = await withPatience(hypervisor, vm.id, FREEZE_SEC, ask);
    log.info({ vmId: vm.id, name: vm.name, filesystems }, 'A guest is frozen');
  } catch (error) {
    await thaw(parts, vm.id).catch((thawError: unknown) => {
      log.debug({ vmId: vm.id, err: thawError }, 'Nothing could be thawed after a freeze that failed');
    });
    throw error;
  }
}

/**
 * Thaws, and tries again for a while where libvirt or the agent do not answer. Never rejects.
 * @param signal ends the waiting: one more attempt is made then
 * @returns false where the guest may still be frozen: that is logged as an error
 */
export async function thawSurely(parts: FreezeParts, vm: VmName, signal: AbortSignal): Promise<boolean> {
  const { log, metrics } = parts;
  for (let attempt = 1; ; attempt++) {
    const isLast = attempt >= THAW_ATTEMPTS || signal.aborted;
    try {
      const filesystems = await thaw(parts, vm.id);
      log.info({ vmId: vm.id, name: vm.name, filesystems }, 'A guest is thawed');
      return true;
    } catch (error) {
      if (isGone(parts, vm.id, error)) return true;
      if (isLast) {
        metrics.guests_left_frozen_total.inc();
        log.error(
          { vmId: vm.id, name: vm.name, err: error },
          `${nameOf(vm)} may be frozen still: run VM.thaw (${textOf(error)})`,
        );
        return false;
      }
    }
    await pause(parts, signal);
  }
}

/** Resolves with the number of file systems that were frozen. */
function thaw({ hypervisor }: FreezeParts, id: VmId): Promise<number> {
  const deadlineMs = (THAW_SEC + SYNC_SEC) * 1000;
  return withPatience(hypervisor, id, THAW_SEC, () => hypervisor.guest.thaw(id, { deadlineMs }));
}

/** Without a running domain there is nothing to thaw. One that is only paused thaws when it runs again. */
function isGone({ registry }: FreezeParts, id: VmId, error: unknown): boolean {
  if (error instanceof HypervisorError && error.kind === 'no-domain') return true;
  const vm = registry.get(id);
  return vm === undefined || vm.internal === 'Down';
}

function pause({ clock }: FreezeParts, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.after(THAW_PAUSE_MS, done);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}
