/**
 * The coarse state of all active domains by one monitor-free bulk call: enough to see which records may be wrong.
 * What it means exactly is read domain by domain, for those alone.
 */
import { HypervisorError } from '../domain/hypervisor.js';
import type { CallOptions, Hypervisor } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import { SCALARS, Scalar, StatsGroup } from '../domain/stats.js';
import type { Vm } from '../domain/vm.js';
import { inTurns, nextTurn } from './parallel.js';
import { isSettled } from './refresher.js';

export type CoarseState = 'running' | 'paused' | 'other';

/** libvirt's numbers of `state.state`. */
const RUNNING = 1;
const BLOCKED = 2;
const PAUSED = 3;

/** Empty where the hypervisor has no bulk statistics: every domain is then read by itself. */
export async function readBulkStates(
  hypervisor: Pick<Hypervisor, 'stats'>,
  options: CallOptions,
): Promise<ReadonlyMap<VmId, CoarseState>> {
  const states = new Map<VmId, CoarseState>();
  try {
    const batch = await hypervisor.stats({ groups: StatsGroup.state, lane: 'free' }, options);
    // Decoding thousands took this turn's time.
    await nextTurn();
    await inTurns(batch.vmIds, (id, index) =>
      states.set(id, coarse(batch.scalars[index * SCALARS + Scalar.state])),
    );
  } catch (error) {
    if (!(error instanceof HypervisorError && (error.kind === 'unsupported' || error.kind === 'failed'))) {
      throw error;
    }
  }
  return states;
}

/** True where the record of a live VM agrees with what was found. */
export function agrees(vm: Vm, found: CoarseState | undefined): boolean {
  return isSettled(vm) && found === (vm.cpuRunning ? 'running' : 'paused');
}

function coarse(state: number | undefined): CoarseState {
  if (state === RUNNING || state === BLOCKED) return 'running';
  return state === PAUSED ? 'paused' : 'other';
}
