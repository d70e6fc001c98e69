/**
 * Calls for VMs that are known to be slow: one VM each, half of the parallel calls at most, the oldest sample first.
 *
 * Such a call has more time, and may outlast its cycle: a QEMU that always takes longer than half a period is still
 * sampled, and late is all it is. While its call is under way the VM is in no other.
 */
import type { Hypervisor } from '../domain/hypervisor.js';
import type { StatsBatch } from '../domain/stats.js';
import type { Clock } from '../util/time.js';
import { BackedCall, noteMiss } from './backed-call.js';
import type { Gate } from './gate.js';
import type { StuckBudget } from './stuck-budget.js';
import type { TrackedVm } from './tracked-vms.js';

/** A slow VM gets so many times what it took lately. */
const MARGIN = 4;

export interface SlowCallsOptions {
  readonly hypervisor: Pick<Hypervisor, 'stats'>;
  readonly clock: Clock;
  readonly gate: Gate;
  readonly budget: StuckBudget;
  readonly shardDeadlineMs: number;
  /** A call is given up after this at the latest. */
  readonly patienceMs: number;
}

/** As backed-poll.ts has it. */
interface SlowCycle {
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  accept(batch: StatsBatch, stampMs: number, untilMs: number): Promise<void>;
  failed(error: unknown): void;
}

export class SlowCalls {
  readonly #workers = new Set<Promise<void>>();

  constructor(
    private readonly options: SlowCallsOptions,
    private readonly parallelism: number,
  ) {}

  /** Calls that this and earlier cycles began. */
  get underWay(): number {
    return this.#workers.size;
  }

  /** Resolves when no call is under way any more; abort their signal first. */
  async idle(): Promise<void> {
    await Promise.all(this.#workers);
  }

  /**
   * Begins with as many as there is room for; no call is begun after the cycle's deadline.
   *
   * @returns resolves when those of this cycle are done; undefined where none was begun
   */
  begin(vms: readonly TrackedVm[], cycle: SlowCycle): Promise<unknown> | undefined {
    const queue = [...vms];
    const workers: Promise<void>[] = [];
    while (this.#workers.size < this.parallelism && workers.length < vms.length) {
      const worker = this.#work(queue, cycle).finally(() => this.#workers.delete(worker));
      this.#workers.add(worker);
      workers.push(worker);
    }
    return workers.length > 0 ? Promise.all(workers) : undefined;
  }

  async #work(queue: TrackedVm[], cycle: SlowCycle): Promise<void> {
    const { budget, clock } = this.options;
    // In a turn of its own: a worker that ends at once is known by then.
    await Promise.resolve();
    while (!cycle.signal.aborted && budget.hasRoom && clock.nowMs() < cycle.deadlineMs) {
      const tracked = queue.shift();
      if (!tracked) return;
      tracked.inFlight++;
      try {
        await this.#sample(tracked, cycle);
      } catch (error) {
        cycle.failed(error);
      } finally {
        tracked.inFlight--;
      }
    }
  }

  async #sample(tracked: TrackedVm, cycle: SlowCycle): Promise<void> {
    const { clock, gate, patienceMs, shardDeadlineMs } = this.options;
    const doubtful: TrackedVm[] = [];
    const passed = gate.pass([tracked], doubtful);
    const vms = doubtful.length > 0 ? await gate.passDoubtful(doubtful, cycle) : passed;
    const nowMs = clock.nowMs();
    const deadlineMs = Math.max(cycle.deadlineMs - nowMs, Math.min(patienceMs, MARGIN * tracked.serviceMs));
    const call = new BackedCall(this.options, vms, false, {
      deadlineMs,
      patienceMs: deadlineMs,
      signal: cycle.signal,
      accept: (batch, stampMs) =>
        cycle.accept(batch, stampMs, Math.max(cycle.deadlineMs, nowMs + deadlineMs)),
    });
    if ((await call.done)?.kind !== 'timeout') return;
    const limits = { signal: cycle.signal, deadlineMs: clock.nowMs() + shardDeadlineMs };
    noteMiss(await gate.blame(call.vms, limits), deadlineMs);
  }
}
