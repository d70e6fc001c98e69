/**
 * Which VMs may be asked through their monitor now, and who is to blame when a call misses its deadline.
 *
 * Before a call the kernel is asked (quarantine.ts, ProcessLook), as late as possible: it tells a frozen QEMU without
 * a call that would hang. After a missed deadline it is asked again, and where it has nothing to say control info names
 * the domain whose monitor is held; that never blocks.
 *
 * Late is not dead: a VM is in quarantine only where the kernel shows it stopped or blocked, or where its monitor is
 * held by a call that it did not answer. Where its process is seen to live, it is reported as not responding only when
 * the monitor is still held in the next cycle.
 */
import { HypervisorError, type ControlInfo, type Hypervisor } from '../domain/hypervisor.js';
import type { Metrics } from '../util/metrics.js';
import type { Clock } from '../util/time.js';
import type { LifeSigns, ReadingLimits } from './life-signs.js';
import type { ProcessLook } from './quarantine.js';
import type { StuckBudget } from './stuck-budget.js';
import type { TrackedVm } from './tracked-vms.js';
import type { Ward } from './ward.js';

const CONTROL_INFO_DEADLINE_MS = 1000;
/** Between two looks at a QEMU that waits, or two readings of a CPU time. */
const MOMENT_MS = 250;

export interface GateParts {
  readonly hypervisor: Pick<Hypervisor, 'controlInfo'>;
  readonly processes: ProcessLook;
  readonly ward: Ward;
  readonly budget: StuckBudget;
  readonly life: LifeSigns;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly shardDeadlineMs: number;
}

export class Gate {
  constructor(private readonly parts: GateParts) {}

  /**
   * Those that may be asked in one call, right now. Calls nobody and makes no promise that outlasts this turn.
   *
   * @param doubtful takes those of whom only a second look can tell; absent: they had it
   */
  pass(vms: readonly TrackedVm[], doubtful?: TrackedVm[]): TrackedVm[] {
    const { processes, ward, budget } = this.parts;
    const goodSinceMs = budget.proofUnlessGoodSinceMs();
    return vms.filter((tracked) => {
      const state = processes.look(tracked.id, tracked.vm.name);
      if (state === 'stopped' || state === 'blocked') {
        ward.put(tracked, state);
        return false;
      }
      const unproven = state === 'unknown' && tracked.lastGoodMs < goodSinceMs;
      if (!doubtful || (state !== 'waiting' && !unproven)) return true;
      doubtful.push(tracked);
      return false;
    });
  }

  /** Second looks. @returns those that may be asked */
  async passDoubtful(doubtful: readonly TrackedVm[], limits: ReadingLimits): Promise<TrackedVm[]> {
    const { processes, life, metrics } = this.parts;
    const silent = doubtful.filter(({ id, vm }) => processes.look(id, vm.name) === 'unknown');
    const moving = new Set(await life.moving(silent, MOMENT_MS, limits));
    metrics.sampler_withheld_vms_total.inc(silent.length - moving.size);
    const unproven = new Set(silent.filter((tracked) => !moving.has(tracked)));
    return this.pass(doubtful.filter((tracked) => !unproven.has(tracked)));
  }

  /** Whether a VM in quarantine may be asked again: it is due, and shows life. */
  async passProbe(tracked: TrackedVm, limits: ReadingLimits): Promise<boolean> {
    const { processes, ward } = this.parts;
    const state = processes.look(tracked.id, tracked.vm.name);
    if (state === 'waiting') return false;
    if (state === 'stopped' || state === 'blocked') {
      ward.put(tracked, state);
      return false;
    }
    if (state === 'alive') ward.revived(tracked);
    if (isHeld(await this.#controlInfo(tracked, limits), 0)) {
      ward.put(tracked, 'hung');
      return false;
    }
    if (!ward.isProbeDue(tracked)) return false;
    ward.probe(tracked);
    return true;
  }

  /** Puts into quarantine whoever made a call miss its deadline. @returns the others */
  async blame(vms: readonly TrackedVm[], limits: ReadingLimits): Promise<TrackedVm[]> {
    const { processes, ward, shardDeadlineMs } = this.parts;
    const running = this.pass(vms);
    const infos = await Promise.all(running.map((tracked) => this.#controlInfo(tracked, limits)));
    return running.filter((tracked, index) => {
      // Momentary use of a monitor is normal; only what lasts is a fault.
      if (!isHeld(infos[index], shardDeadlineMs / 2)) return true;
      const state = processes.look(tracked.id, tracked.vm.name);
      const isFrozen = state === 'stopped' || state === 'blocked';
      ward.put(tracked, isFrozen ? state : 'hung', isFrozen || state === 'unknown');
      return false;
    });
  }

  /** Undefined where the domain is gone or nothing is known of it. */
  async #controlInfo(tracked: TrackedVm, limits: ReadingLimits): Promise<ControlInfo | undefined> {
    const { hypervisor, clock } = this.parts;
    const deadlineMs = Math.min(CONTROL_INFO_DEADLINE_MS, limits.deadlineMs - clock.nowMs());
    if (deadlineMs <= 0) return undefined;
    try {
      return await hypervisor.controlInfo(tracked.id, { deadlineMs, signal: limits.signal });
    } catch (error) {
      if (!(error instanceof HypervisorError)) throw error;
      return undefined;
    }
  }
}

function isHeld(info: ControlInfo | undefined, forMs: number): boolean {
  return (info?.state === 'occupied' || info?.state === 'error') && info.sinceMs >= forMs;
}
