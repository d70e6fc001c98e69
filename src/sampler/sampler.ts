/**
 * The sampler: begins cycles and keeps them coming. What a cycle does is in cycle-runner.ts.
 *
 * A cycle begins at start, then each period at a fixed rate, and shortly after a VM began to run (for that VM).
 *
 * The promise: one frozen QEMU, one hung disk or a hundred of them cost no healthy VM a sample. It never waits for a
 * stuck domain longer than half a period, and leaves it alone afterwards (quarantine.ts); it does not judge VMs while
 * the hypervisor is away: the records then stay as they are and their age shows.
 *
 * A programming error does not end sampling: whatever a cycle throws is counted, logged and shown in health, and the
 * sampler begins anew after a sixteenth of a period, then an eighth and so on, if the next tick does not come first.
 */
import { setMaxListeners } from 'node:events';
import type { VmId } from '../domain/ids.js';
import type { StatsSnapshot } from '../domain/vm.js';
import type { Service } from '../util/lifecycle.js';
import { RateLimiter } from '../util/log.js';
import { assembleSampler, type SamplerOptions, type SamplerPieces } from './assembly.js';
import type { QuarantinedVm } from './quarantine.js';
import { MAX_STUCK_CALLS } from './stuck-budget.js';
import type { TrackedVm } from './tracked-vms.js';

export type { SamplerOptions } from './assembly.js';

/** A VM without a fresh sample for no reason that is known. */
export interface LateVm {
  readonly id: VmId;
  readonly ageMs: number;
}

/** Errors of our own since a cycle last ended well. */
export interface SamplerFailure {
  readonly sinceMs: number;
  readonly count: number;
  readonly message: string;
}

const DEFAULT_PERIOD_MS = 15_000;
/** VMs that start together share one extra cycle. */
const NEWCOMER_DELAY_MS = 1000;
/** A sample of this many periods is late: one and a shard's deadline are as it should be. */
const LATE_PERIODS = 1.5;
const FIRST_RESTART = 1 / 16;

export class Sampler implements Service {
  readonly #periodMs: number;
  readonly #pieces: SamplerPieces;
  readonly #warnings: RateLimiter;
  readonly #abort = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #newcomers = new Set<VmId>();
  readonly #cancellers: (() => void)[] = [];
  #cancelNewcomers: (() => void) | undefined;
  #cancelRestart: (() => void) | undefined;
  #cycles = 0;
  #failure: SamplerFailure | undefined;
  #lastCycle: { readonly endedMs: number; readonly tookMs: number } | undefined;

  constructor(private readonly options: SamplerOptions) {
    this.#periodMs = options.periodMs ?? DEFAULT_PERIOD_MS;
    this.#warnings = new RateLimiter(options.clock);
    // One for each call under way, which are bounded: Node would warn of the eleventh.
    setMaxListeners(0, this.#abort.signal);
    this.#pieces = assembleSampler(options, {
      periodMs: this.#periodMs,
      signal: this.#abort.signal,
      started: (id) => this.#expectNewcomer(id),
      failed: (error) => this.#failed(error),
    });
  }

  get snapshot(): StatsSnapshot {
    return this.#pieces.tracked.snapshot;
  }

  /** The last full cycle that ended: when, monotonic ms, and how long it took. */
  get lastCycle(): { readonly endedMs: number; readonly tookMs: number } | undefined {
    return this.#lastCycle;
  }

  get failure(): SamplerFailure | undefined {
    return this.#failure;
  }

  /** Calls that hang in libvirt, and how many may before monitors are not asked any more. */
  get stuckCalls(): { readonly now: number; readonly max: number } {
    return { now: this.options.hypervisor.stuckCalls, max: MAX_STUCK_CALLS };
  }

  /** VMs whose QEMU does not answer and is left alone. */
  quarantined(): QuarantinedVm[] {
    return this.#pieces.ward.describe(this.#pieces.tracked.active());
  }

  /** The oldest first. */
  late(): LateVm[] {
    const nowMs = this.options.clock.nowMs();
    return this.#sampled()
      .map(({ id, lastGoodMs }) => ({ id, ageMs: nowMs - lastGoodMs }))
      .filter(({ ageMs }) => ageMs > LATE_PERIODS * this.#periodMs)
      .sort((a, b) => b.ageMs - a.ageMs);
  }

  /** Age of the oldest monitor-backed sample of a running or paused VM that is not in quarantine; 0 without any. */
  oldestSampleAgeMs(): number {
    const nowMs = this.options.clock.nowMs();
    return this.#sampled().reduce((age, { lastGoodMs }) => Math.max(age, nowMs - lastGoodMs), 0);
  }

  /** Takes over the VMs that are known, and begins the first cycle without waiting for it. */
  start(): Promise<void> {
    const { clock, hypervisor } = this.options;
    this.#pieces.tracked.start();
    const tick = (): void => this.#guarded(() => this.#tick());
    this.#cancellers.push(clock.every(this.#periodMs, tick), hypervisor.addListener({ connected: tick }));
    tick();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    for (const cancel of this.#cancellers.splice(0)) cancel();
    this.#cancelNewcomers?.();
    const { tracked, turns, free, backed, life } = this.#pieces;
    tracked.stop();
    this.#abort.abort();
    await turns.stop();
    await Promise.all([...this.#running, free.idle(), backed.idle(), life.idle()]);
    this.#cancelRestart?.();
  }

  #sampled(): TrackedVm[] {
    return this.#pieces.tracked.active().filter(({ quarantine }) => !quarantine);
  }

  #tick(): void {
    const { hypervisor, metrics, log } = this.options;
    this.#cancelRestart?.();
    this.#cancelRestart = undefined;
    this.#measure();
    if (hypervisor.status.state !== 'open') {
      metrics.sampler_ticks_total.inc({ result: 'unavailable' });
      return;
    }
    if (this.#running.size > 0) {
      metrics.sampler_ticks_total.inc({ result: 'overlapped' });
      this.#warnings.run('overlap', (swallowed) =>
        log.warn({ swallowed }, 'a sampling cycle began before the last one had ended'),
      );
    }
    this.#cancelNewcomers?.();
    this.#cancelNewcomers = undefined;
    this.#newcomers.clear();
    this.#begin(this.#pieces.tracked.active(), true);
  }

  /** Gauges: just before a cycle ages are at their highest. */
  #measure(): void {
    const { metrics, hypervisor } = this.options;
    metrics.sampler_oldest_sample_seconds.set(this.oldestSampleAgeMs() / 1000);
    metrics.sampler_late_vms.set(this.late().length);
    metrics.sampler_quarantined_vms.set(this.quarantined().length);
    metrics.sampler_stuck_calls.set(hypervisor.stuckCalls);
  }

  #expectNewcomer(id: VmId): void {
    this.#newcomers.add(id);
    const begin = (): void => {
      this.#cancelNewcomers = undefined;
      const vms = this.#pieces.tracked.active().filter((tracked) => this.#newcomers.has(tracked.id));
      this.#newcomers.clear();
      if (vms.length > 0 && this.options.hypervisor.status.state === 'open') this.#begin(vms, false);
    };
    this.#cancelNewcomers ??= this.options.clock.after(NEWCOMER_DELAY_MS, () => this.#guarded(begin));
  }

  #begin(vms: readonly TrackedVm[], full: boolean): void {
    const startMs = this.options.clock.nowMs();
    const cycle = {
      number: ++this.#cycles,
      startMs,
      deadlineMs: startMs + this.#periodMs / 2,
      vms: vms.filter(({ inFlight }) => inFlight === 0),
      full,
    };
    const run = this.#pieces.runner.run(cycle).then(
      (endedMs) => {
        if (endedMs === undefined) return;
        this.#lastCycle = { endedMs, tookMs: endedMs - startMs };
        this.#failure = undefined;
        this.#measure();
      },
      (error: unknown) => this.#failed(error),
    );
    this.#running.add(run);
    void run.then(() => this.#running.delete(run));
  }

  /** Timers and listeners must not throw: that would end the process. */
  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    const { clock, log, metrics } = this.options;
    const { count, sinceMs } = this.#failure ?? { count: 0, sinceMs: clock.nowMs() };
    this.#failure = { sinceMs, count: count + 1, message: String(error) };
    metrics.sampler_ticks_total.inc({ result: 'failed' });
    this.#warnings.run('failed', (swallowed) =>
      log.error({ err: error, swallowed }, 'a sampling cycle failed; beginning anew'),
    );
    if (this.#abort.signal.aborted || this.#cancelRestart) return;
    const backoffMs = Math.min(1, FIRST_RESTART * 2 ** count) * this.#periodMs;
    this.#cancelRestart = clock.after(backoffMs, () => {
      this.#cancelRestart = undefined;
      if (this.#running.size === 0) this.#guarded(() => this.#tick());
    });
  }
}
