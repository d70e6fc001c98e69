/**
 * One monitor-backed call for some VMs: what is asked, until when its answer counts, and how long it took per VM.
 */
import { HypervisorError, type Hypervisor, type HypervisorErrorKind } from '../domain/hypervisor.js';
import { StatsGroup, type StatsBatch } from '../domain/stats.js';
import type { Clock } from '../util/time.js';
import { pacedBy } from './shards.js';
import type { StuckBudget } from './stuck-budget.js';
import type { TrackedVm } from './tracked-vms.js';

/** Failures that say nothing of the domains asked for. */
const notTheDomains: ReadonlySet<HypervisorErrorKind> = new Set(['unavailable', 'aborted', 'busy']);

export interface CallLimits {
  /** For the answer, ms from now. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  /** Takes the answer. */
  readonly accept: (batch: StatsBatch, stampMs: number) => Promise<void>;
}

export interface BackedCallParts {
  readonly hypervisor: Pick<Hypervisor, 'stats'>;
  readonly budget: StuckBudget;
  readonly clock: Clock;
}

/**
 * @param withVcpu also ask for the vcpu group; it is asked anyway of VMs of which it is not known
 * @returns the error that is worth a second try; undefined where all is well or nothing can be done
 */
export async function callBacked(
  parts: BackedCallParts,
  vms: readonly TrackedVm[],
  withVcpu: boolean,
  limits: CallLimits,
): Promise<HypervisorError | undefined> {
  const { clock, hypervisor, budget } = parts;
  const { deadlineMs, signal } = limits;
  const stampMs = clock.nowMs();
  if (deadlineMs <= 0 || vms.length === 0) return undefined;
  const asksVcpu = withVcpu || vms.some((tracked) => !tracked.vcpuAsked);
  if (asksVcpu) for (const tracked of vms) tracked.vcpuAsked = true;
  const groups = StatsGroup.cpu | StatsGroup.balloon | StatsGroup.block | (asksVcpu ? StatsGroup.vcpu : 0);
  const ids = vms.map((tracked) => tracked.id);
  let batch: StatsBatch;
  try {
    batch = await budget.spend(deadlineMs, () =>
      hypervisor.stats({ groups, ids, lane: 'backed' }, { deadlineMs, signal }),
    );
  } catch (error) {
    if (!(error instanceof HypervisorError)) throw error;
    return notTheDomains.has(error.kind) ? undefined : error;
  }
  noteService(vms, (clock.nowMs() - stampMs) / vms.length);
  await limits.accept(batch, stampMs);
  return undefined;
}

/**
 * Nobody else is to blame for a missed deadline: they take so long at least, if not each then together; which of several
 * is slow shows in smaller shards.
 */
export function noteMiss(vms: readonly TrackedVm[], tookMs: number): void {
  const leastMs = tookMs / vms.length;
  for (const tracked of vms) tracked.serviceMs = Math.max(tracked.serviceMs, leastMs);
}

function noteService(vms: readonly TrackedVm[], measuredMs: number): void {
  for (const tracked of vms) tracked.serviceMs = pacedBy(tracked.serviceMs, measuredMs);
}
