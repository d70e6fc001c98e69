/**
 * One cycle's calls that touch no monitor: state and NIC counters of all VMs.
 *
 * One call serves all, since it is cheap for the daemon; with thousands of VMs it is cut, as an answer has a limit.
 *
 * Such a call does not hang with a guest, with one exception: while a frozen QEMU is being destroyed, the daemon holds the
 * lock of that domain for some 11 s, and whatever touches it waits, a call for all domains too. Hence VMs in quarantine
 * are asked apart from the others, and not again before they were answered.
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
const SILENT_DEADLINE_MS = 60_000;

export interface FreeCycle {
  /** Monotonic ms: answers after it are of no use. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  accept(batch: StatsBatch, stampMs: number): Promise<void>;
  /** Takes a programming error that is met after the cycle. */
  failed(error: unknown): void;
}

export interface FreeRequest {
  readonly well: readonly VmId[];
  /** In quarantine. */
  readonly silent: readonly VmId[];
  /** These are all VMs: then no list need be sent. */
  readonly all: boolean;
}

export class FreePoll {
  /** Calls for all VMs are unanswered. */
  #inFlight = false;
  /** The call for VMs in quarantine that is unanswered. */
  #silent: Promise<void> | undefined;

  constructor(
    private readonly hypervisor: Pick<Hypervisor, 'stats'>,
    private readonly clock: Clock,
  ) {}

  /**
   * Resolves when all is answered or given up; at once where the last calls for all are still unanswered.
   *
   * @returns false where nothing was asked of those that are well
   */
  async run({ well, silent, all }: FreeRequest, cycle: FreeCycle): Promise<boolean> {
    if (silent.length > 0) this.#askSilent(silent, cycle);
    if (well.length === 0 || (all && this.#inFlight)) return false;
    if (all) this.#inFlight = true;
    const limitMs = (): number => cycle.deadlineMs - this.clock.nowMs();
    try {
      if (all && silent.length === 0 && well.length <= UNCUT_VMS)
        await this.#call(undefined, limitMs(), cycle);
      else for (const part of chunks(well, IDS_PER_CALL)) await this.#call(part, limitMs(), cycle);
    } finally {
      if (all) this.#inFlight = false;
    }
    return true;
  }

  /** Resolves when no call is under way any more; abort their signal first. */
  async idle(): Promise<void> {
    await this.#silent;
  }

  #askSilent(ids: readonly VmId[], cycle: FreeCycle): void {
    this.#silent ??= this.#call(ids, SILENT_DEADLINE_MS, cycle)
      .catch((error: unknown) => cycle.failed(error))
      .finally(() => (this.#silent = undefined));
  }

  async #call(ids: readonly VmId[] | undefined, deadlineMs: number, cycle: FreeCycle): Promise<void> {
    const stampMs = this.clock.nowMs();
    if (deadlineMs <= 0 || cycle.signal.aborted) return;
    const groups = StatsGroup.state | StatsGroup.interface;
    let batch: StatsBatch;
    try {
      batch = await this.hypervisor.stats(
        { groups, lane: 'free', ...(ids && { ids }) },
        { deadlineMs, signal: cycle.signal },
      );
    } catch (error) {
      if (error instanceof HypervisorError) return;
      throw error;
    }
    await cycle.accept(batch, stampMs);
  }
}
