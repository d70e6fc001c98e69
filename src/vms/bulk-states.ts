/**
 * The coarse state of all active domains by monitor-free bulk calls: enough to see which records may be wrong.
 * What it means exactly is read domain by domain, for those alone.
 */
import { HypervisorError } from '../domain/hypervisor.js';
import type { CallOptions, Hypervisor } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import { SCALARS, Scalar, StatsGroup } from '../domain/stats.js';
import type { Vm } from '../domain/vm.js';
import { chunksOf, inTurns, nextTurn } from './parallel.js';
import { isSettled } from './refresher.js';

export type CoarseState = 'running' | 'paused' | 'other';

/** libvirt's numbers of `state.state`. */
const RUNNING = 1;
const BLOCKED = 2;
const PAUSED = 3;

/** What is seen for the first time costs ten times as much: so many then cost a few milliseconds. */
const IDS_PER_CALL = 1000;

/**
 * Empty where the hypervisor has no bulk statistics: every domain is then read by itself.
 *
 * @param unseen ids of the running domains where no answer was read before; later one call for all is the cheapest
 * way, since it is cheaper to decode than ids are to encode
 */
export async function readBulkStates(
  hypervisor: Pick<Hypervisor, 'stats'>,
  unseen: readonly VmId[] | undefined,
  options: CallOptions,
): Promise<ReadonlyMap<VmId, CoarseState>> {
  const states = new Map<VmId, CoarseState>();
  const cut = unseen !== undefined && unseen.length > IDS_PER_CALL;
  try {
    for (const ids of cut ? chunksOf(unseen, IDS_PER_CALL) : [undefined]) {
      const request = { groups: StatsGroup.state, lane: 'free', ...(ids && { ids }) } as const;
      const { vmIds, scalars } = await hypervisor.stats(request, options);
      await nextTurn();
      await inTurns(vmIds, (id, index) => states.set(id, coarse(scalars[index * SCALARS + Scalar.state])));
    }
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
