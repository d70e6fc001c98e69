/**
 * The sampling cycle. How it works:
 *
 * 1. At start, then each period at a fixed rate, and shortly after a VM began to run (for that VM), a cycle begins.
 * 2. One bulk call without monitors (state, NICs) for all; then, or beside it if it is slow, the monitor-backed groups
 *    (CPU, memory, disks) in shards (backed-poll.ts). Each call is stamped before it is made.
 * 3. As each answer comes, its rows go into the VMs' windows, and the records of those VMs are rendered, a few per turn
 *    of the event loop (turns.ts).
 * 4. At the end the VMs that were not in any answer are rendered too, the ages of samples are judged, and the
 *    snapshot's pages are joined ahead of the readers.
 *
 * It never waits for a stuck domain longer than half a period, never overlaps calls for one VM, and does not judge VMs
 * while the hypervisor is away: the records then stay as they are and their age shows.
 */
import type { Hypervisor } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import type { StatsSnapshot, VmSource } from '../domain/vm.js';
import type { Service } from '../util/lifecycle.js';
import { RateLimiter, type Logger } from '../util/log.js';
import type { Metrics } from '../util/metrics.js';
import type { Clock } from '../util/time.js';
import { BackedPoll } from './backed-poll.js';
import { FreePoll } from './free-poll.js';
import { Intake, type Cycle } from './intake.js';
import { defaultShardSize } from './shards.js';
import { TrackedVms, type TrackedVm } from './tracked-vms.js';
import { Turns } from './turns.js';

export interface SamplerOptions {
  readonly hypervisor: Pick<Hypervisor, 'status' | 'stats' | 'controlInfo' | 'addListener'>;
  readonly vms: VmSource;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly periodMs?: number;
  /** VMs per monitor-backed call; default grows with the number of VMs. */
  readonly shardSize?: number;
  /** Monitor-backed calls at a time. */
  readonly parallelism?: number;
  /** A VM whose monitor gave no sample for so long is reported as not responding. */
  readonly commandTimeoutMs?: number;
  /** Called only when it differs from the VM's `monitorResponsive`. */
  readonly onMonitorHealth: (id: VmId, responsive: boolean) => void;
}

const DEFAULT_PERIOD_MS = 15_000;
const DEFAULT_PARALLELISM = 4;
const DEFAULT_COMMAND_TIMEOUT_MS = 60_000;
/** How long shards' records wait for the monitor-free answer, so as not to be rendered twice. */
const FREE_GRACE_MS = 1000;
/** VMs that start together share one extra cycle. */
const NEWCOMER_DELAY_MS = 1000;
/** Pages that are joined in one turn of the event loop. */
const PAGES_PER_TURN = 4;

export class Sampler implements Service {
  readonly #options: SamplerOptions;
  readonly #periodMs: number;
  readonly #parallelism: number;
  readonly #turns = new Turns();
  readonly #tracked: TrackedVms;
  readonly #intake: Intake;
  readonly #free: FreePoll;
  readonly #backed: BackedPoll;
  readonly #warnings: RateLimiter;
  readonly #abort = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #newcomers = new Set<VmId>();
  readonly #cancellers: (() => void)[] = [];
  #cancelNewcomers: (() => void) | undefined;
  #cycles = 0;
  #lastCycle: { readonly endedMs: number; readonly tookMs: number } | undefined;

  constructor(options: SamplerOptions) {
    this.#options = options;
    const { clock, hypervisor, metrics, vms } = options;
    this.#periodMs = options.periodMs ?? DEFAULT_PERIOD_MS;
    this.#parallelism = options.parallelism ?? DEFAULT_PARALLELISM;
    this.#warnings = new RateLimiter(clock);
    const started = (id: VmId): void => this.#expectNewcomer(id);
    this.#tracked = new TrackedVms({ vms, clock, metrics, turns: this.#turns, started });
    this.#intake = new Intake({
      tracked: this.#tracked,
      turns: this.#turns,
      clock,
      metrics,
      commandTimeoutMs: options.commandTimeoutMs ?? DEFAULT_COMMAND_TIMEOUT_MS,
      onMonitorHealth: options.onMonitorHealth,
    });
    this.#free = new FreePoll(hypervisor, clock);
    this.#backed = new BackedPoll({
      hypervisor,
      clock,
      parallelism: this.#parallelism,
      shardDeadlineMs: this.#periodMs / 8,
    });
  }

  get snapshot(): StatsSnapshot {
    return this.#tracked.snapshot;
  }

  /** The last full cycle that ended: when, monotonic ms, and how long it took. */
  get lastCycle(): { readonly endedMs: number; readonly tookMs: number } | undefined {
    return this.#lastCycle;
  }

  /** Age of the oldest monitor-backed sample of a running or paused VM; 0 without such VMs. */
  oldestSampleAgeMs(): number {
    const nowMs = this.#options.clock.nowMs();
    return this.#tracked.active().reduce((age, { lastGoodMs }) => Math.max(age, nowMs - lastGoodMs), 0);
  }

  /** Takes over the VMs that are known, and begins the first cycle without waiting for it. */
  start(): Promise<void> {
    const { clock, hypervisor } = this.#options;
    this.#tracked.start();
    this.#cancellers.push(
      clock.every(this.#periodMs, () => this.#tick()),
      hypervisor.addListener({ connected: () => this.#tick() }),
    );
    this.#tick();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    for (const cancel of this.#cancellers.splice(0)) cancel();
    this.#cancelNewcomers?.();
    this.#tracked.stop();
    this.#abort.abort();
    await this.#turns.stop();
    await Promise.all(this.#running);
  }

  #tick(): void {
    const { hypervisor, metrics, log } = this.#options;
    metrics.sampler_oldest_sample_seconds.set(this.oldestSampleAgeMs() / 1000);
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
    this.#begin(this.#tracked.active(), true);
  }

  #expectNewcomer(id: VmId): void {
    this.#newcomers.add(id);
    this.#cancelNewcomers ??= this.#options.clock.after(NEWCOMER_DELAY_MS, () => {
      this.#cancelNewcomers = undefined;
      const vms = this.#tracked.active().filter((tracked) => this.#newcomers.has(tracked.id));
      this.#newcomers.clear();
      if (vms.length > 0 && this.#options.hypervisor.status.state === 'open') this.#begin(vms, false);
    });
  }

  #begin(vms: readonly TrackedVm[], full: boolean): void {
    const startMs = this.#options.clock.nowMs();
    const run = this.#cycle({
      number: ++this.#cycles,
      startMs,
      deadlineMs: startMs + this.#periodMs / 2,
      vms: vms.filter((tracked) => !tracked.inFlight),
      full,
    }).catch((error: unknown) => {
      this.#options.metrics.sampler_ticks_total.inc({ result: 'failed' });
      this.#options.log.error({ err: error }, 'a sampling cycle failed');
    });
    this.#running.add(run);
    void run.then(() => this.#running.delete(run));
  }

  async #cycle(cycle: Cycle): Promise<void> {
    const { clock, metrics } = this.#options;
    const common = { deadlineMs: cycle.deadlineMs, signal: this.#abort.signal };
    const ids = cycle.vms.map(({ id }) => id);
    const free = this.#free.run(ids, cycle.full, {
      ...common,
      accept: (batch, stampMs) => this.#intake.acceptFree(batch, stampMs, cycle),
    });
    const grace = delay(clock, FREE_GRACE_MS);
    const freeOrGrace = Promise.race([free, grace.over]);
    const size = this.#options.shardSize ?? defaultShardSize(ids.length, this.#parallelism);
    try {
      await this.#backed.run(cycle.vms, size, {
        ...common,
        number: cycle.number,
        accept: async (batch, stampMs) => {
          await freeOrGrace;
          await this.#intake.acceptBacked(batch, stampMs, cycle);
        },
        stuck: (tracked) => this.#intake.report(tracked, false),
      });
      await free;
    } finally {
      grace.cancel();
    }
    await this.#finish(cycle);
    metrics.sampler_tick_seconds.observe((clock.nowMs() - cycle.startMs) / 1000);
  }

  async #finish(cycle: Cycle): Promise<void> {
    const { clock, hypervisor, metrics } = this.#options;
    if (this.#abort.signal.aborted) return;
    if (hypervisor.status.state !== 'open') {
      metrics.sampler_ticks_total.inc({ result: 'unavailable' });
      return;
    }
    const lateVms = this.#intake.judgeAges(cycle, hypervisor.status.sinceMs);
    metrics.sampler_late_vms_total.inc(lateVms);
    await this.#intake.renderRest(cycle);
    const { snapshot } = this.#tracked;
    await this.#turns.run(snapshot.pageCount, PAGES_PER_TURN, (from, to) => {
      for (let page = from; page < to; page++) snapshot.join(page);
    });
    this.#tracked.flushTally();
    if (!cycle.full) return;
    const endedMs = clock.nowMs();
    snapshot.finishCycle(endedMs);
    this.#lastCycle = { endedMs, tookMs: endedMs - cycle.startMs };
    metrics.sampler_ticks_total.inc({ result: lateVms > 0 ? 'partial' : 'ok' });
  }
}

function delay(clock: Clock, delayMs: number): { readonly over: Promise<void>; readonly cancel: () => void } {
  let cancel = (): void => undefined;
  const over = new Promise<void>((resolve) => {
    cancel = clock.after(delayMs, resolve);
  });
  return { over, cancel };
}
