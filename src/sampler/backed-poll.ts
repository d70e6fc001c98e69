/**
 * One cycle's monitor-backed calls: shards in parallel, so that a stuck domain costs the others nothing. How it works:
 *
 * 1. Healthy VMs in shards (shards.ts), those in quarantine one by one. Just before each call the gate takes out who must
 *    not be asked; whoever needs a second look is asked at the end, after it.
 * 2. Of a shard that is overdue the gate is asked who holds it up. Those go into quarantine, and the others are asked
 *    again at once, a third time one by one. Where it is nobody, the call is slow, not dead: its answer counts until
 *    the end of the cycle, and meanwhile its VMs are asked one by one, so that only the slow one is late.
 * 3. A VM whose monitor was in use by somebody else just then (a verb, another client) is asked again a moment later.
 * 4. VMs known to be slow get calls of their own (slow-calls.ts).
 * 5. Where most shards of a round are overdue and it is nobody's fault, the daemon is slow: nothing more is asked in
 *    this round, so as not to add to it.
 * 6. Before every call there must be room in the budget of calls that hang (stuck-budget.ts). Where there is none, the
 *    rest keep their last samples, which is counted.
 *
 * A programming error in one shard costs that shard, and is passed on.
 */
import type { Hypervisor } from '../domain/hypervisor.js';
import type { StatsBatch } from '../domain/stats.js';
import { delay } from '../util/delay.js';
import type { Metrics } from '../util/metrics.js';
import type { Clock } from '../util/time.js';
import { BackedCall, noteMiss } from './backed-call.js';
import type { Gate } from './gate.js';
import { chunks, isSlow, planShards } from './shards.js';
import { SlowCalls } from './slow-calls.js';
import type { StuckBudget } from './stuck-budget.js';
import type { TrackedVm } from './tracked-vms.js';

/** The vcpu group is two thirds of a record's bytes and tells only a count that hardly ever changes. */
const VCPU_EVERY = 4;
/** A shard is filled up to this part of its deadline, by what its VMs took lately. */
const TARGET_SHARE = 0.25;
/** From so many shards on that missed their deadlines, it may be the daemon. */
const MANY_MISSES = 4;
/** Pauses before VMs are asked again whose monitors were in use: what uses one takes some ms as a rule. */
const BUSY_PAUSES_MS = [50, 150, 300];
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
  /** When a shard is overdue; well before the cycle's end, so that there is time to repeat. */
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
  /** Calls that are overdue and nobody's fault. */
  readonly pending: Promise<void>[];
}

export class BackedPoll {
  readonly #slow: SlowCalls;

  constructor(private readonly options: BackedPollOptions) {
    this.#slow = new SlowCalls(options, Math.max(1, Math.floor(options.parallelism / 2)));
  }

  /**
   * Resolves when every shard was answered or given up; never rejects.
   *
   * @returns false where it was broken off because the daemon is slow
   */
  async run(vms: readonly TrackedVm[], shardSize: number, cycle: BackedCycle): Promise<boolean> {
    const round = this.#plan(vms, shardSize, cycle);
    const slow = this.#slow.begin(round.slow, cycle);
    await this.#work(round);
    const { doubtful = [] } = round;
    if (doubtful.length > 0 && !cycle.signal.aborted) {
      await this.#guarded([], cycle, async () => {
        const passed = await this.options.gate.passDoubtful(doubtful, cycle);
        const queue = this.#shards(passed, shardSize, cycle);
        await this.#work({ ...round, queue, doubtful: undefined });
      });
    }
    await this.#askBusy(vms, shardSize, round);
    await Promise.all(round.pending);
    if (slow) await this.#awaitUntilDeadline(slow, cycle);
    return !isDaemonSlow(round);
  }

  async #askBusy(vms: readonly TrackedVm[], shardSize: number, round: Round): Promise<void> {
    const { cycle } = round;
    const { clock } = this.options;
    for (const pauseMs of BUSY_PAUSES_MS) {
      const isBusy = (tracked: TrackedVm): boolean =>
        tracked.partialCycle === cycle.number && !tracked.quarantine && tracked.inFlight === 0;
      if (clock.nowMs() + pauseMs >= cycle.deadlineMs || !vms.some(isBusy)) return;
      await delay(clock, pauseMs, cycle.signal);
      await this.#work({
        ...round,
        queue: this.#shards(vms.filter(isBusy), shardSize, cycle),
        doubtful: undefined,
      });
    }
  }

  /** Resolves when no call of a slow VM is under way any more; abort their signal first. */
  async idle(): Promise<void> {
    await this.#slow.idle();
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
    return { cycle, queue, slow, doubtful: [], shards: { answered: 0, missed: 0 }, pending: [] };
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
    const workers = Math.max(1, this.options.parallelism - this.#slow.underWay);
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
    for (const tracked of vms) tracked.inFlight++;
    try {
      await work();
    } catch (error) {
      cycle.failed(error);
    } finally {
      for (const tracked of vms) tracked.inFlight--;
    }
  }

  async #sample(shard: Shard, round: Round): Promise<void> {
    const { clock, gate, shardDeadlineMs } = this.options;
    const { cycle } = round;
    const [first] = shard.vms;
    if (first?.quarantine && !(await gate.passProbe(first, cycle))) return;
    const vms = first?.quarantine ? shard.vms : gate.pass(shard.vms, round.doubtful);
    if (vms.length === 0) return;
    const call = new BackedCall(this.options, vms, shard.withVcpu, {
      deadlineMs: cycle.deadlineMs - clock.nowMs(),
      patienceMs: shardDeadlineMs,
      signal: cycle.signal,
      // An answer that came in time may have to wait for its turn.
      accept: (batch, stampMs) => cycle.accept(batch, stampMs, cycle.deadlineMs),
    });
    // Halfway the kernel is asked already: who is frozen by now is not worth the other half.
    let fault = await call.outcome(shardDeadlineMs / 2);
    if (fault === 'overdue' && gate.pass(vms).length === vms.length) {
      fault = await call.outcome(shardDeadlineMs / 2);
    }
    if (fault === undefined) {
      round.shards.answered++;
    } else if (fault === 'overdue' || fault.kind === 'timeout') {
      await this.#overdue(call, shard, round);
    } else if (shard.attempt < LAST_ATTEMPT) {
      // Too large an answer, or one domain whose record cannot be had: the VMs keep their last sample if it fails again.
      const halves = chunks(vms, Math.ceil(vms.length / 2));
      round.queue.unshift(...halves.map((half) => ({ ...shard, vms: half, attempt: LAST_ATTEMPT })));
    }
  }

  async #overdue(call: BackedCall, shard: Shard, round: Round): Promise<void> {
    const { gate, shardDeadlineMs } = this.options;
    const rest = await gate.blame(call.vms, round.cycle);
    const isFault = rest.length < call.vms.length;
    if (isFault) {
      call.giveUp();
    } else {
      if (!call.vms.some(({ quarantine }) => quarantine)) round.shards.missed++;
      noteMiss(rest, shardDeadlineMs);
      round.pending.push(this.#await(call, round.cycle));
    }
    if (shard.attempt >= LAST_ATTEMPT || (rest.length === 1 && !isFault)) return;
    const attempt = isFault ? shard.attempt + 1 : LAST_ATTEMPT;
    const again = attempt < LAST_ATTEMPT ? [rest] : rest.map((tracked) => [tracked]);
    round.queue.unshift(...again.map((vms) => ({ ...shard, vms, attempt })));
  }

  /** Until the end of the cycle; who still holds it up then is to blame. */
  #await(call: BackedCall, cycle: BackedCycle): Promise<void> {
    const { clock, gate, shardDeadlineMs } = this.options;
    return this.#guarded(call.vms, cycle, async () => {
      const fault = await call.done;
      if (fault?.kind !== 'timeout') return;
      await gate.blame(call.vms, { signal: cycle.signal, deadlineMs: clock.nowMs() + shardDeadlineMs });
    });
  }
}

function isDaemonSlow({ shards: { answered, missed } }: Round): boolean {
  return missed >= MANY_MISSES && missed > answered;
}
