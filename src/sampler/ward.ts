/** Puts VMs into quarantine and takes them out again; see quarantine.ts. Keeps none itself. */
import { RateLimiter, type Logger } from '../util/log.js';
import type { Metrics } from '../util/metrics.js';
import type { Clock } from '../util/time.js';
import type { ProcessLook, QuarantinedVm, QuarantineReason } from './quarantine.js';
import type { TrackedVm } from './tracked-vms.js';

const MAX_PROBE_PERIODS = 8;

export interface WardParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly periodMs: number;
  readonly processes: ProcessLook;
  /** Passes on whether a VM's monitor answers. */
  readonly report: (tracked: TrackedVm, responsive: boolean) => void;
}

export class Ward {
  readonly #limiter: RateLimiter;

  constructor(private readonly parts: WardParts) {
    this.#limiter = new RateLimiter(parts.clock);
  }

  /**
   * Leaves the VM alone from now on.
   *
   * @param sure false: it may be slow only, and is not reported as not responding yet
   */
  put(tracked: TrackedVm, why: QuarantineReason, sure = true): void {
    const { clock, log, metrics, processes, report } = this.parts;
    const nowMs = clock.nowMs();
    if (tracked.quarantine) {
      tracked.quarantine.why = why;
    } else {
      tracked.quarantine = {
        why,
        sinceMs: nowMs,
        lastProbeMs: undefined,
        nextProbeMs: nowMs,
        failedProbes: 0,
      };
      metrics.sampler_quarantines_total.inc({ why });
      this.#limiter.run(`put ${why}`, (swallowed) => {
        const vm = { vmId: tracked.id, name: tracked.vm.name, why, pid: processes.pid(tracked.id) };
        log.warn({ ...vm, swallowed }, 'a QEMU does not answer: it is left alone until it shows life');
      });
    }
    if (sure) report(tracked, false);
  }

  /** Its process runs again: that is a sign of life, and worth a probe at once. */
  revived(tracked: TrackedVm): void {
    const { quarantine } = tracked;
    if (!quarantine || quarantine.why === 'hung') return;
    quarantine.why = 'hung';
    quarantine.nextProbeMs = this.parts.clock.nowMs();
  }

  isProbeDue(tracked: TrackedVm): boolean {
    return tracked.quarantine !== undefined && this.parts.clock.nowMs() >= tracked.quarantine.nextProbeMs;
  }

  /** A probe begins; unless a good sample comes of it, the next has to wait. */
  probe({ quarantine }: TrackedVm): void {
    if (!quarantine) return;
    const { clock, metrics, periodMs } = this.parts;
    metrics.sampler_probes_total.inc();
    quarantine.lastProbeMs = clock.nowMs();
    const periods = Math.min(MAX_PROBE_PERIODS, 2 ** quarantine.failedProbes);
    // Half a period less: ticks are not exact to the millisecond.
    quarantine.nextProbeMs = quarantine.lastProbeMs + (periods - 0.5) * periodMs;
    quarantine.failedProbes++;
  }

  /** A good sample came. */
  release(tracked: TrackedVm): void {
    const { quarantine } = tracked;
    if (!quarantine) return;
    tracked.quarantine = undefined;
    const { clock, log } = this.parts;
    const forSec = Math.round(clock.nowMs() - quarantine.sinceMs) / 1000;
    this.#limiter.run('release', (swallowed) =>
      log.info({ vmId: tracked.id, name: tracked.vm.name, forSec, swallowed }, 'a QEMU answers again'),
    );
  }

  describe(tracked: readonly TrackedVm[]): QuarantinedVm[] {
    return tracked.flatMap(({ id, quarantine }) => {
      if (!quarantine) return [];
      const { why, sinceMs, lastProbeMs, nextProbeMs } = quarantine;
      return [{ id, why, sinceMs, lastProbeMs, nextProbeMs, pid: this.parts.processes.pid(id) }];
    });
  }
}
