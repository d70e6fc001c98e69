/**
 * One cycle's calls that touch no monitor: state and NIC counters of all VMs. Such a call does not hang with a guest.
 *
 * One call serves all, since it is cheap for the daemon; with thousands of VMs it is cut, as an answer has a limit.
 */
import { HypervisorError, type Hypervisor } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import { StatsGroup, type StatsBatch } from '../domain/stats.js';
import type { Clock } from '../util/time.js';
import { chunks } from './shards.js';

/** One answer holds about 5,500 VMs at most; the call is cut well before that. */
const UNCUT_VMS = 4000;
/** The list of ids is encoded, and the answer decoded, in one go: this keeps both well below a millisecond. */
const IDS_PER_CALL = 250;

export interface FreeCycle {
  /** Monotonic ms: answers after it are of no use. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  accept(batch: StatsBatch, stampMs: number): Promise<void>;
}

export class FreePoll {
  /** Calls for all VMs are unanswered. */
  #inFlight = false;

  constructor(
    private readonly hypervisor: Pick<Hypervisor, 'stats'>,
    private readonly clock: Clock,
  ) {}

  /**
   * Resolves when all is answered or given up; at once where the last calls for all are still unanswered.
   *
   * @param ids of the VMs that are wanted
   * @param all true where these are all VMs: then no list need be sent
   * @returns false where nothing was asked
   */
  async run(ids: readonly VmId[], all: boolean, cycle: FreeCycle): Promise<boolean> {
    if (ids.length === 0 || (all && this.#inFlight)) return false;
    if (all) this.#inFlight = true;
    try {
      if (all && ids.length <= UNCUT_VMS) await this.#call(undefined, cycle);
      else for (const part of chunks(ids, IDS_PER_CALL)) await this.#call(part, cycle);
    } finally {
      if (all) this.#inFlight = false;
    }
    return true;
  }

  async #call(ids: readonly VmId[] | undefined, cycle: FreeCycle): Promise<void> {
    const stampMs = this.clock.nowMs();
    if (stampMs >= cycle.deadlineMs || cycle.signal.aborted) return;
    const groups = StatsGroup.state | StatsGroup.interface;
    let batch: StatsBatch;
    try {
      batch = await this.hypervisor.stats(
        { groups, lane: 'free', ...(ids && { ids }) },
        { deadlineMs: cycle.deadlineMs - stampMs, signal: cycle.signal },
      );
    } catch (error) {
      if (error instanceof HypervisorError) return;
      throw error;
    }
    await cycle.accept(batch, stampMs);
  }
}
