/**
 * One sampling cycle from its calls to the finished snapshot.
 *
 * 1. One bulk call without monitors (state, NICs) for all; then, or beside it if it is slow, the monitor-backed groups
 *    (CPU, memory, disks) in shards (backed-poll.ts). Each call is stamped before it is made.
 * 2. As each answer comes, its rows go into the VMs' windows, and the records of those VMs are rendered, a few per turn
 *    of the event loop (turns.ts).
 * 3. The CPU time of VMs in quarantine, by calls that need no monitor.
 * 4. At the end the VMs that were not in any answer are rendered too, the ages of samples are judged, and the
 *    snapshot's pages are joined ahead of the readers.
 *
 * A programming error in one of these steps does not keep the others from being done; the first is thrown at the end.
 */
import type { Hypervisor } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import { delay } from '../util/delay.js';
import type { Metrics } from '../util/metrics.js';
import type { Clock } from '../util/time.js';
import type { BackedPoll } from './backed-poll.js';
import type { FreePoll } from './free-poll.js';
import type { Cycle, Intake } from './intake.js';
import type { LifeSigns } from './life-signs.js';
import type { Pace } from './pace.js';
import { defaultShardSize } from './shards.js';
import type { TrackedVms } from './tracked-vms.js';
import type { Turns } from './turns.js';

/** How long shards' records wait for the monitor-free answer, so as not to be rendered twice. */
const FREE_GRACE_MS = 1000;
/** Pages that are joined in one turn of the event loop. */
const PAGES_PER_TURN = 4;

export interface CycleParts {
  readonly hypervisor: Pick<Hypervisor, 'status'>;
  readonly tracked: TrackedVms;
  readonly turns: Turns;
  readonly intake: Intake;
  readonly free: FreePoll;
  readonly backed: BackedPoll;
  readonly life: LifeSigns;
  readonly pace: Pace;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly shardSize: number | undefined;
  readonly parallelism: number;
  /** Aborts when the sampler stops. */
  readonly signal: AbortSignal;
  /** Takes a programming error that is met after its cycle. */
  readonly failed: (error: unknown) => void;
}

export class CycleRunner {
  constructor(private readonly parts: CycleParts) {}

  /** @returns when a full cycle ended, monotonic ms; undefined for others, and where the hypervisor went away */
  async run(cycle: Cycle): Promise<number | undefined> {
    const { clock, metrics } = this.parts;
    const errors: unknown[] = [];
    const step = async (work: () => Promise<void>): Promise<void> => {
      await work().catch((error: unknown) => errors.push(error));
    };
    const free = step(() => this.#free(cycle));
    const grace = new AbortController();
    const freeOrGrace = Promise.race([free, delay(clock, FREE_GRACE_MS, grace.signal)]);
    await step(() => this.#backed(cycle, freeOrGrace, errors));
    await free;
    grace.abort();
    await step(() => this.#quarantined(cycle));
    let endedMs: number | undefined;
    await step(async () => {
      endedMs = await this.#finish(cycle, errors.length > 0);
    });
    metrics.sampler_tick_seconds.observe((clock.nowMs() - cycle.startMs) / 1000);
    if (errors.length > 0) throw errors[0];
    return endedMs;
  }

  async #free(cycle: Cycle): Promise<void> {
    const { free, intake, pace, clock, signal, failed } = this.parts;
    const [silent, well] = [true, false].map((inQuarantine) =>
      cycle.vms.filter(({ quarantine }) => (quarantine !== undefined) === inQuarantine).map(({ id }) => id),
    ) as [VmId[], VmId[]];
    const asked = await free.run(
      { well, silent, all: cycle.full },
      {
        deadlineMs: cycle.deadlineMs,
        signal,
        failed,
        accept: (batch, stampMs) => intake.acceptFree(batch, stampMs, cycle),
      },
    );
    if (asked && cycle.full) pace.freeTook(clock.nowMs() - cycle.startMs);
  }

  async #backed(cycle: Cycle, freeOrGrace: Promise<void>, errors: unknown[]): Promise<void> {
    const { backed, intake, pace, metrics, parallelism, shardSize, signal, failed } = this.parts;
    if (cycle.full && pace.skipsRound()) {
      metrics.sampler_skipped_rounds_total.inc();
      return;
    }
    let over = false;
    const went = await backed.run(cycle.vms, shardSize ?? defaultShardSize(cycle.vms.length, parallelism), {
      number: cycle.number,
      deadlineMs: cycle.deadlineMs,
      signal,
      accept: async (batch, stampMs, untilMs) => {
        await freeOrGrace;
        await intake.acceptBacked(batch, stampMs, cycle, untilMs);
      },
      failed: (error) => {
        if (over) failed(error);
        else errors.push(error);
      },
    });
    over = true;
    if (cycle.full && !went) pace.daemonIsSlow();
  }

  async #quarantined(cycle: Cycle): Promise<void> {
    const { life, intake, clock, signal } = this.parts;
    const vms = cycle.vms.filter(({ quarantine }) => quarantine);
    if (vms.length === 0) return;
    const stampMs = clock.nowMs();
    intake.acceptCpu(await life.cpuTimes(vms, { deadlineMs: cycle.deadlineMs, signal }), stampMs);
  }

  async #finish(cycle: Cycle, failed: boolean): Promise<number | undefined> {
    const { clock, hypervisor, intake, metrics, signal, tracked, turns } = this.parts;
    if (signal.aborted) return undefined;
    if (hypervisor.status.state !== 'open') {
      metrics.sampler_ticks_total.inc({ result: 'unavailable' });
      return undefined;
    }
    const lateVms = intake.judgeAges(cycle, hypervisor.status.sinceMs);
    metrics.sampler_late_vms_total.inc(lateVms);
    await intake.renderRest(cycle);
    const { snapshot } = tracked;
    await turns.run(snapshot.pageCount, PAGES_PER_TURN, (from, to) => {
      for (let page = from; page < to; page++) snapshot.join(page);
    });
    tracked.flushTally();
    if (!cycle.full || failed) return undefined;
    const endedMs = clock.nowMs();
    snapshot.finishCycle(endedMs);
    const whole = lateVms === 0 && cycle.vms.every(({ quarantine }) => !quarantine);
    metrics.sampler_ticks_total.inc({ result: whole ? 'ok' : 'partial' });
    return endedMs;
  }
}
