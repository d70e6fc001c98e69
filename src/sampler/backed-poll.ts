/**
 * One cycle's monitor-backed calls: shards in parallel, each with its own deadline, so that a stuck domain costs the
 * others nothing. How it works:
 *
 * 1. Healthy VMs in shards (shards.ts), those in quarantine one by one. Just before each call the gate takes out who must
 *    not be asked; whoever needs a second look is asked at the end, after it.
 * 2. A shard that misses its deadline is asked again at once, without those whom the gate blames; where nobody
 *    stands out, or it happens a third time, one by one. Who then misses it alone is slow, not dead.
 * 3. VMs known to be slow get calls of their own, half of the parallel ones at most, and more time: those calls may
 *    outlast the cycle.
 * 4. Where most shards of a round miss their deadlines and nobody is to blame, the daemon is slow: nothing more is
 *    asked in this round, so as not to add to it.
 * 5. Before every call there must be room in the budget of calls that hang (stuck-budget.ts). Where there is none, the
 *    rest keep their last samples, which is counted.
 *
 * A programming error in one shard costs that shard, and is passed on.
 */
import type { HypervisorError, Hypervisor } from '../domain/hypervisor.js';
import type { StatsBatch } from '../domain/stats.js';
import { delay } from '../util/delay.js';
import type { Metrics } from '../util/metrics.js';
import type { Clock } from '../util/time.js';
import { callBacked, noteMiss } from './backed-call.js';
import type { Gate } from './gate.js';
import { chunks, isSlow, planShards } from './shards.js';
import type { StuckBudget } from './stuck-budget.js';
import type { TrackedVm } from './tracked-vms.js';

/** The vcpu group is two thirds of a record's bytes and tells only a count that hardly ever changes. */
const VCPU_EVERY = 4;
/** A shard is filled up to this part of its deadline, by what its VMs took lately. */
const TARGET_SHARE = 0.25;
/** A slow VM gets so many times what it took lately. */
const SLOW_MARGIN = 4;
/** From so many shards on that missed their deadlines, it may be the daemon. */
const MANY_MISSES = 4;
/** Tries of one VM in one cycle: in a full shard, without the culprit, alone. */
const LAST_ATTEMPT = 2;

export interface BackedCycle {
  readonly number: number;
  /** Monotonic ms: no call begins after it. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  /** Takes an answer that was due at `untilMs`, monotonic; the shard counts as done when it resolves. */
  accept(batch: StatsBatch, stampMs: number, untilMs: number): Promise<void>;
  /** Takes a programming error; also after the cycle, of a call that outlasts it. */
  failed(error: unknown): void;
}

export interface BackedPollOptions {
  readonly hypervisor: Pick<Hypervisor, 'stats'>;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly gate: Gate;
  readonly budget: StuckBudget;
  readonly parallelism: number;
  /** Deadline of one shard's call; well below the cycle's, so that there is time to repeat. */
  readonly shardDeadlineMs: number;
  /** A slow VM's call is given up after this at the latest. */
  readonly patienceMs: number;
}

interface Shard {
  readonly vms: readonly TrackedVm[];
  readonly withVcpu: boolean;
  readonly attempt: number;
}

interface Round {
  readonly cycle: BackedCycle;
  readonly queue: Shard[];
  readonly slow: TrackedVm[];
  /** Undefined in the second part of the round: there is no third look. */
  readonly doubtful: TrackedVm[] | undefined;
  /** Shards by their outcome; a miss counts where nobody is to blame. */
  readonly shards: { answered: number; missed: number };
}

export class BackedPoll {
  #slowCalls = 0;
  readonly #slowWorkers = new Set<Promise<void>>();

  constructor(private readonly options: BackedPollOptions) {}

  /**
   * Resolves when every shard was answered or given up; never rejects.
   *
   * @returns false where it was broken off because the daemon is slow
   */
  async run(vms: readonly TrackedVm[], shardSize: number, cycle: BackedCycle): Promise<boolean> {
    const round = this.#plan(vms, shardSize, cycle);
    const slow = this.#startSlow(round);
    await this.#work(round);
    const { doubtful = [] } = round;
    if (doubtful.length > 0 && !cycle.signal.aborted) {
      await this.#guarded([], cycle, async () => {
        const passed = await this.options.gate.passDoubtful(doubtful, cycle);
        const queue = this.#shards(passed, shardSize, cycle);
        await this.#work({ ...round, queue, doubtful: undefined });
      });
    }
    if (slow) await this.#awaitUntilDeadline(slow, cycle);
    return !isDaemonSlow(round);
  }

  /** Resolves when no call of a slow VM is under way any more; abort their signal first. */
  async idle(): Promise<void> {
    await Promise.all(this.#slowWorkers);
  }

  /** Not for longer than the cycle's deadline. */
  async #awaitUntilDeadline(slow: Promise<unknown>, { deadlineMs, signal }: BackedCycle): Promise<void> {
    const leftMs = deadlineMs - this.options.clock.nowMs();
    if (leftMs <= 0) return;
    const settled = new AbortController();
    const over = delay(this.options.clock, leftMs, AbortSignal.any([settled.signal, signal]));
    await Promise.race([slow, over]);
    settled.abort();
  }

  #plan(vms: readonly TrackedVm[], size: number, cycle: BackedCycle): Round {
    const well = vms.filter(({ quarantine }) => !quarantine);
    const probes = vms.filter(({ quarantine }) => quarantine);
    const queue = this.#shards(well, size, cycle);
    for (const tracked of probes) queue.push({ vms: [tracked], withVcpu: false, attempt: LAST_ATTEMPT });
    const slow = well.filter((tracked) => isSlow(tracked, this.#targetMs));
    slow.sort((a, b) => a.lastGoodMs - b.lastGoodMs);
    return { cycle, queue, slow, doubtful: [], shards: { answered: 0, missed: 0 } };
  }

  #shards(vms: readonly TrackedVm[], size: number, cycle: BackedCycle): Shard[] {
    return planShards(vms, { size, targetMs: this.#targetMs }).map((shard, index) => ({
      vms: shard,
      withVcpu: (cycle.number + index) % VCPU_EVERY === 0,
      attempt: 0,
    }));
  }

  get #targetMs(): number {
    return this.options.shardDeadlineMs * TARGET_SHARE;
  }

  /** Works the queue off, with so many calls at a time as slow VMs leave. */
  async #work(round: Round): Promise<void> {
    const workers = Math.max(1, this.options.parallelism - this.#slowCalls);
    await Promise.all(Array.from({ length: workers }, () => this.#worker(round)));
    const unasked = round.queue.reduce((sum, { vms }) => sum + vms.length, 0);
    if (unasked > 0) this.options.metrics.sampler_withheld_vms_total.inc(unasked);
  }

  async #worker(round: Round): Promise<void> {
    // A worker that finds no room goes: others are under way, or nothing can be asked now.
    while (!round.cycle.signal.aborted && this.options.budget.hasRoom && !isDaemonSlow(round)) {
      const shard = round.queue.shift();
      if (!shard) return;
      await this.#guarded(shard.vms, round.cycle, () => this.#sample(shard, round));
    }
  }

  async #guarded(vms: readonly TrackedVm[], cycle: BackedCycle, work: () => Promise<void>): Promise<void> {
    for (const tracked of vms) tracked.inFlight = true;
    try {
      await work();
    } catch (error) {
      cycle.failed(error);
    } finally {
      for (const tracked of vms) tracked.inFlight = false;
    }
  }

  async #sample(shard: Shard, round: Round): Promise<void> {
    const { clock, gate, shardDeadlineMs } = this.options;
    const { cycle } = round;
    const [first] = shard.vms;
    if (first?.quarantine && !(await gate.passProbe(first, cycle))) return;
    const vms = first?.quarantine ? shard.vms : gate.pass(shard.vms, round.doubtful);
    const deadlineMs = Math.min(shardDeadlineMs, cycle.deadlineMs - clock.nowMs());
    const fault = await this.#call(vms, shard.withVcpu, deadlineMs, cycle);
    if (!fault) {
      round.shards.answered++;
      return;
    }
    const rest = fault.kind === 'timeout' ? await gate.blame(vms, cycle) : vms;
    if (fault.kind === 'timeout' && rest.length === vms.length) {
      round.shards.missed++;
      noteMiss(vms, deadlineMs);
    }
    round.queue.unshift(...this.#again({ ...shard, vms: rest }, fault, rest.length < vms.length));
  }

  /** What to ask again after a fault. */
  #again({ vms, withVcpu, attempt }: Shard, fault: HypervisorError, culpritFound: boolean): Shard[] {
    if (vms.length === 0 || attempt >= LAST_ATTEMPT) return [];
    if (fault.kind !== 'timeout') {
      // Too large an answer, or one domain whose record cannot be had: the VMs keep their last sample if it fails again.
      const halves = chunks(vms, Math.ceil(vms.length / 2));
      return halves.map((half) => ({ vms: half, withVcpu, attempt: LAST_ATTEMPT }));
    }
    if (culpritFound && attempt + 1 < LAST_ATTEMPT) return [{ vms, withVcpu, attempt: attempt + 1 }];
    if (vms.length === 1 && !culpritFound) return [];
    return vms.map((tracked) => ({ vms: [tracked], withVcpu, attempt: LAST_ATTEMPT }));
  }

  #call(
    vms: readonly TrackedVm[],
    withVcpu: boolean,
    deadlineMs: number,
    cycle: BackedCycle,
  ): Promise<HypervisorError | undefined> {
    // An answer that came in time may have to wait for its turn.
    const untilMs = Math.max(cycle.deadlineMs, this.options.clock.nowMs() + deadlineMs);
    return callBacked(this.options, vms, withVcpu, {
      deadlineMs,
      signal: cycle.signal,
      accept: (batch, stampMs) => cycle.accept(batch, stampMs, untilMs),
    });
  }

  /** @returns resolves when the slow VMs of this round are done; undefined without any */
  #startSlow(round: Round): Promise<unknown> | undefined {
    const most = Math.max(1, Math.floor(this.options.parallelism / 2));
    const workers: Promise<void>[] = [];
    for (let n = this.#slowCalls; n < most && workers.length < round.slow.length; n++) {
      this.#slowCalls++;
      const worker = this.#slowWorker(round).finally(() => {
        this.#slowCalls--;
        this.#slowWorkers.delete(worker);
      });
      this.#slowWorkers.add(worker);
      workers.push(worker);
    }
    return workers.length > 0 ? Promise.all(workers) : undefined;
  }

  async #slowWorker({ cycle, slow }: Round): Promise<void> {
    const { budget, clock, gate, patienceMs, shardDeadlineMs } = this.options;
    const { signal } = cycle;
    while (!signal.aborted && budget.hasRoom && clock.nowMs() < cycle.deadlineMs) {
      const tracked = slow.shift();
      if (!tracked) return;
      await this.#guarded([tracked], cycle, async () => {
        const vms = gate.pass([tracked], []);
        const leftMs = cycle.deadlineMs - clock.nowMs();
        const deadlineMs = Math.max(leftMs, Math.min(patienceMs, SLOW_MARGIN * tracked.serviceMs));
        const fault = await this.#call(vms, false, deadlineMs, cycle);
        if (fault?.kind !== 'timeout') return;
        const rest = await gate.blame(vms, { signal, deadlineMs: clock.nowMs() + shardDeadlineMs });
        noteMiss(rest, deadlineMs);
      });
    }
  }
}

function isDaemonSlow({ shards: { answered, missed } }: Round): boolean {
  return missed >= MANY_MISSES && missed > answered;
}
