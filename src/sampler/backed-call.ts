/**
 * One monitor-backed call for some VMs: what is asked, until when its answer counts, and how long it took per VM.
 *
 * A call has two limits. At the first, its patience, somebody asks who holds it up; if nobody does, it is only slow, and
 * its answer counts until its deadline: asking a second time would make a slow daemon slower.
 */
import { HypervisorError, type Hypervisor, type HypervisorErrorKind } from '../domain/hypervisor.js';
import { StatsGroup, type StatsBatch } from '../domain/stats.js';
import { delay } from '../util/delay.js';
import type { Clock } from '../util/time.js';
import { pacedBy } from './shards.js';
import type { StuckBudget } from './stuck-budget.js';
import type { TrackedVm } from './tracked-vms.js';

/** Failures that say nothing of the domains asked for. */
const notTheDomains: ReadonlySet<HypervisorErrorKind> = new Set(['unavailable', 'aborted', 'busy']);

export interface CallLimits {
  /** For the answer, ms from now. */
  readonly deadlineMs: number;
  /** After it the call is overdue, ms from now. */
  readonly patienceMs: number;
  readonly signal: AbortSignal;
  /** Takes the answer. */
  readonly accept: (batch: StatsBatch, stampMs: number) => Promise<void>;
}

/** Undefined: all is well, or nothing can be done. Else the error that is worth a second try. */
export type Fault = HypervisorError | undefined;

export interface BackedCallParts {
  readonly hypervisor: Pick<Hypervisor, 'stats'>;
  readonly budget: StuckBudget;
  readonly clock: Clock;
}

export class BackedCall {
  /** Resolves when the answer is taken, or there will be none; rejects for programming errors. */
  readonly done: Promise<Fault>;
  readonly #abort = new AbortController();

  /** @param withVcpu also ask for the vcpu group; it is asked anyway of VMs of which it is not known */
  constructor(
    private readonly parts: BackedCallParts,
    readonly vms: readonly TrackedVm[],
    withVcpu: boolean,
    private readonly limits: CallLimits,
  ) {
    this.done = limits.deadlineMs > 0 && vms.length > 0 ? this.#make(withVcpu) : Promise.resolve(undefined);
  }

  /** The outcome, or 'overdue' where there is none within that time from now. */
  async outcome(withinMs: number): Promise<Fault | 'overdue'> {
    const { clock } = this.parts;
    const settled = new AbortController();
    const overdue = delay(clock, withinMs, settled.signal).then(() => 'overdue' as const);
    try {
      return await Promise.race([this.done, overdue]);
    } finally {
      settled.abort();
    }
  }

  /** Its answer is of no use any more. The daemon works on, and the call counts as one that hangs. */
  giveUp(): void {
    this.#abort.abort();
  }

  async #make(withVcpu: boolean): Promise<Fault> {
    const { clock, hypervisor, budget } = this.parts;
    const { deadlineMs, patienceMs } = this.limits;
    const { vms } = this;
    const stampMs = clock.nowMs();
    const asksVcpu = withVcpu || vms.some((tracked) => !tracked.vcpuAsked);
    if (asksVcpu) for (const tracked of vms) tracked.vcpuAsked = true;
    const groups = StatsGroup.cpu | StatsGroup.balloon | StatsGroup.block | (asksVcpu ? StatsGroup.vcpu : 0);
    const ids = vms.map((tracked) => tracked.id);
    const giveUp = (): void => this.giveUp();
    this.limits.signal.addEventListener('abort', giveUp, { once: true });
    let batch: StatsBatch;
    try {
      batch = await budget.spend(patienceMs, () =>
        hypervisor.stats({ groups, ids, lane: 'backed' }, { deadlineMs, signal: this.#abort.signal }),
      );
    } catch (error) {
      if (!(error instanceof HypervisorError)) throw error;
      return notTheDomains.has(error.kind) ? undefined : error;
    } finally {
      this.limits.signal.removeEventListener('abort', giveUp);
    }
    const measuredMs = (clock.nowMs() - stampMs) / vms.length;
    for (const tracked of vms) tracked.serviceMs = pacedBy(tracked.serviceMs, measuredMs);
    await this.limits.accept(batch, stampMs);
    return undefined;
  }
}

/**
 * Nobody else is to blame for a call that is overdue: they take so long at least, if not each then together; which of
 * several is slow shows in smaller shards.
 */
export function noteMiss(vms: readonly TrackedVm[], tookMs: number): void {
  const leastMs = tookMs / vms.length;
  for (const tracked of vms) tracked.serviceMs = Math.max(tracked.serviceMs, leastMs);
}
