/**
 * What becomes of answers: rows go into the VMs' windows, records are rendered a few per turn of the event loop, and the
 * health of monitors is judged by whether and when they answered. Makes no calls.
 */
import type { VmId } from '../domain/ids.js';
import type { StatsBatch } from '../domain/stats.js';
import type { Vm } from '../domain/vm.js';
import type { Metrics } from '../util/metrics.js';
import type { Clock } from '../util/time.js';
import { isActive, type TrackedVm, type TrackedVms } from './tracked-vms.js';
import type { Turns } from './turns.js';

/** One cycle: full ones are the ticks, others serve VMs that have just begun to run. */
export interface Cycle {
  readonly number: number;
  /** Monotonic ms. */
  readonly startMs: number;
  readonly deadlineMs: number;
  readonly vms: readonly TrackedVm[];
  readonly full: boolean;
}

/** Rows whose windows are moved, and records that are rendered, in one turn: about 1 ms. */
const ROWS_PER_TURN = 1000;
const RECORDS_PER_TURN = 64;

export class Intake {
  constructor(
    private readonly parts: {
      readonly tracked: TrackedVms;
      readonly turns: Turns;
      readonly clock: Clock;
      readonly metrics: Metrics;
      /** A VM whose monitor gave no sample for so long is reported as not responding. */
      readonly commandTimeoutMs: number;
      readonly onMonitorHealth: (id: VmId, responsive: boolean) => void;
      /** A VM in quarantine gave a good sample. */
      readonly recovered: (tracked: TrackedVm) => void;
    },
  ) {}

  async acceptFree(batch: StatsBatch, stampMs: number, cycle: Cycle): Promise<void> {
    if (this.#isLate(cycle.deadlineMs)) return;
    await this.parts.turns.run(batch.vmCount, ROWS_PER_TURN, (from, to) => {
      for (let row = from; row < to; row++) {
        const tracked = this.parts.tracked.get(batch.vmIds[row]!);
        if (!tracked || stampMs < tracked.sinceMs) continue;
        tracked.samples.pushFree(batch, row, stampMs);
        // Its record of this cycle does not have these figures: it is rendered again at the end.
        if (tracked.cycle === cycle.number) tracked.cycle = 0;
      }
    });
  }

  /** @param untilMs when the answer was due, monotonic */
  async acceptBacked(batch: StatsBatch, stampMs: number, cycle: Cycle, untilMs: number): Promise<void> {
    if (this.#isLate(untilMs)) return;
    await this.parts.turns.run(batch.vmCount, RECORDS_PER_TURN, (from, to) => {
      for (let row = from; row < to; row++) {
        const tracked = this.parts.tracked.get(batch.vmIds[row]!);
        if (!tracked || stampMs < tracked.sinceMs) continue;
        if (tracked.samples.pushBacked(batch, row, stampMs) === 'good') {
          tracked.lastGoodMs = stampMs;
          if (tracked.quarantine) this.parts.recovered(tracked);
          this.report(tracked, true);
          tracked.partialCycle = 0;
        } else tracked.partialCycle = cycle.number;
        tracked.cycle = cycle.number;
        this.parts.tracked.render(tracked);
      }
    });
  }

  /** Of VMs in quarantine: their CPU time, which needs no monitor. Their records are rendered at the end of the cycle. */
  acceptCpu(batch: StatsBatch, stampMs: number): void {
    for (let row = 0; row < batch.vmCount; row++) {
      const tracked = this.parts.tracked.get(batch.vmIds[row]!);
      if (tracked && stampMs >= tracked.sinceMs) tracked.samples.pushCpu(batch, row, stampMs);
    }
  }

  /** After the deadline figures are as old as the next cycle's would be young: the answer is dropped. */
  #isLate(untilMs: number): boolean {
    const late = this.parts.clock.nowMs() > untilMs;
    if (late) this.parts.metrics.sampler_dropped_batches_total.inc();
    return late;
  }

  /** Renders what no answer of the cycle has: VMs that are Down, stuck or late; after a tick every record is new. */
  async renderRest(cycle: Cycle): Promise<void> {
    const { tracked: vms, turns } = this.parts;
    const rest = (cycle.full ? vms.all() : cycle.vms).filter((vm) => vm.cycle !== cycle.number);
    await turns.run(rest.length, RECORDS_PER_TURN, (from, to) => {
      for (const tracked of rest.slice(from, to)) if (vms.get(tracked.id) === tracked) vms.render(tracked);
    });
  }

  /**
   * Reports VMs whose monitor has been silent for too long, and forgets figures of that age; those in quarantine keep
   * what they told last.
   *
   * @param openSinceMs since when the hypervisor can be asked: silence before is not the VM's
   * @returns how many VMs are late; those in quarantine are not counted
   */
  judgeAges(cycle: Cycle, openSinceMs: number): number {
    const nowMs = this.parts.clock.nowMs();
    const oldestMs = nowMs - this.parts.commandTimeoutMs;
    let late = 0;
    for (const tracked of cycle.vms) {
      tracked.samples.expire(oldestMs, tracked.quarantine !== undefined);
      if (tracked.lastGoodMs >= cycle.startMs || !isActive(tracked.vm)) continue;
      if (!tracked.quarantine) late++;
      const silentSinceMs = Math.max(tracked.lastGoodMs, openSinceMs);
      if (silentSinceMs <= oldestMs && isMonitorable(tracked.vm)) this.report(tracked, false);
    }
    return late;
  }

  /** Passes on whether a VM's monitor answers, where that is news. */
  report(tracked: TrackedVm, responsive: boolean): void {
    if (this.parts.tracked.get(tracked.id) !== tracked || !isActive(tracked.vm)) return;
    if (tracked.vm.monitorResponsive !== responsive) this.parts.onMonitorHealth(tracked.id, responsive);
  }
}

/** While a domain is moved, saved or restored, its monitor belongs to that. */
function isMonitorable(vm: Vm): boolean {
  return vm.internal === 'Up' || vm.internal === 'Paused' || vm.internal === 'Powering down';
}
