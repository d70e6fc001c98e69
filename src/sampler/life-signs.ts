/**
 * Signs of life that need no monitor: the CPU time of VMs, asked one by one. A frozen QEMU uses none, and its daemon
 * still tells it. Also what is still known of VMs in quarantine.
 */
import { HypervisorError, type CpuTime, type Hypervisor } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import { Scalar, StatsBatchBuilder, type StatsBatch } from '../domain/stats.js';
import { delay } from '../util/delay.js';
import type { Clock } from '../util/time.js';
import type { TrackedVm } from './tracked-vms.js';

/** Fewer than a connection takes, so that other monitor-free calls find room. */
const AT_ONCE = 3;
/** How long a reading is waited for. One that takes longer (the domain is being destroyed) is not asked for again meanwhile. */
const PATIENCE_MS = 1000;
const READING_DEADLINE_MS = 60_000;
/** More VMs are not asked in one cycle: it is a call for each, twice. Those that waited longest come first. */
const MAX_READINGS = 1000;

export interface ReadingLimits {
  /** Monotonic ms. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

export class LifeSigns {
  readonly #unanswered = new Map<VmId, Promise<unknown>>();

  constructor(
    private readonly hypervisor: Pick<Hypervisor, 'cpuTime'>,
    private readonly clock: Clock,
  ) {}

  /** Resolves when no call is under way any more; abort their signal first. */
  async idle(): Promise<void> {
    await Promise.all(this.#unanswered.values());
  }

  /** CPU times as a batch whose rows have nothing else; VMs that could not be asked are left out. */
  async cpuTimes(vms: readonly TrackedVm[], limits: ReadingLimits): Promise<StatsBatch> {
    const readings = await this.#read(vms, limits);
    const batch = new StatsBatchBuilder(readings.size);
    for (const [id, { totalNs, userNs, systemNs }] of readings) {
      batch.beginVm(id);
      batch.setScalar(Scalar.cpuTime, totalNs);
      batch.setScalar(Scalar.cpuUser, userNs);
      batch.setScalar(Scalar.cpuSystem, systemNs);
    }
    return batch;
  }

  /** Those of the VMs whose CPU time moves within `momentMs`. */
  async moving(vms: readonly TrackedVm[], momentMs: number, limits: ReadingLimits): Promise<TrackedVm[]> {
    const candidates = [...vms].sort((a, b) => a.lastGoodMs - b.lastGoodMs).slice(0, MAX_READINGS);
    const before = await this.#read(candidates, limits);
    await delay(this.clock, momentMs, limits.signal);
    const after = await this.#read(candidates, limits);
    return candidates.filter(
      ({ id }) => (after.get(id)?.totalNs ?? 0) > (before.get(id)?.totalNs ?? Infinity),
    );
  }

  async #read(vms: readonly TrackedVm[], limits: ReadingLimits): Promise<Map<VmId, CpuTime>> {
    const readings = new Map<VmId, CpuTime>();
    const queue = vms.values();
    const reader = async (): Promise<void> => {
      for (const { id } of queue) {
        const patienceMs = Math.min(PATIENCE_MS, limits.deadlineMs - this.clock.nowMs());
        if (patienceMs <= 0 || limits.signal.aborted) return;
        const reading = await this.#reading(id, patienceMs, limits.signal);
        if (reading) readings.set(id, reading);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, reader));
    return readings;
  }

  /** Undefined where it could not be had, or not in time. */
  async #reading(id: VmId, patienceMs: number, signal: AbortSignal): Promise<CpuTime | undefined> {
    if (this.#unanswered.has(id)) return undefined;
    const settled = new AbortController();
    const reading = this.hypervisor
      .cpuTime(id, { deadlineMs: READING_DEADLINE_MS, signal })
      .catch((error: unknown) => {
        if (!(error instanceof HypervisorError)) throw error;
        return undefined;
      })
      .finally(() => this.#unanswered.delete(id));
    this.#unanswered.set(
      id,
      reading.catch(() => undefined),
    );
    const over = delay(this.clock, patienceMs, settled.signal).then(() => undefined);
    return Promise.race([reading, over]).finally(() => settled.abort());
  }
}
