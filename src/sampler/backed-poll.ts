/**
 * One cycle's monitor-backed calls: shards in parallel, each with its own deadline, so that a stuck domain costs the
 * others nothing.
 *
 * A shard that fails is repeated at once without the domain that caused it, which control info names without touching a
 * monitor. Such a suspect gets calls of its own from then on, and none while control info says that its monitor is
 * still held: each unanswered call would hold one of the daemon's workers. Sampled VMs are handed on batch by batch;
 * what becomes of them is the caller's.
 */
import {
  HypervisorError,
  type ControlInfo,
  type Hypervisor,
  type HypervisorErrorKind,
  type StatsRequest,
} from '../domain/hypervisor.js';
import { StatsGroup, type StatsBatch } from '../domain/stats.js';
import type { Clock } from '../util/time.js';
import { chunks, planShards } from './shards.js';
import type { TrackedVm } from './tracked-vms.js';

/** The vcpu group is two thirds of a record's bytes and tells only a count that hardly ever changes. */
const VCPU_EVERY = 4;
const CONTROL_INFO_DEADLINE_MS = 1000;
/** Failures that say nothing of the domains asked for. */
const notTheDomains: ReadonlySet<HypervisorErrorKind> = new Set(['unavailable', 'aborted', 'busy']);

export interface BackedCycle {
  readonly number: number;
  /** Monotonic ms: answers after it are of no use. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  /** Takes an answer; the shard counts as done when it resolves. */
  accept(batch: StatsBatch, stampMs: number): Promise<void>;
  /** Called for a domain that made a call miss its deadline or whose monitor is still held. */
  stuck(tracked: TrackedVm): void;
}

export interface BackedPollOptions {
  readonly hypervisor: Pick<Hypervisor, 'stats' | 'controlInfo'>;
  readonly clock: Clock;
  readonly parallelism: number;
  /** Deadline of one shard's call; well below the cycle's, so that there is time to repeat. */
  readonly shardDeadlineMs: number;
}

export class BackedPoll {
  constructor(private readonly options: BackedPollOptions) {}

  /** Resolves when every shard was answered or given up; never rejects for a call that failed. */
  async run(vms: readonly TrackedVm[], shardSize: number, cycle: BackedCycle): Promise<void> {
    const queue = planShards(vms, shardSize, (tracked) => tracked.suspect).map((shard, index) => ({
      shard,
      withVcpu: (cycle.number + index) % VCPU_EVERY === 0,
    }));
    const worker = async (): Promise<void> => {
      for (let next = queue.shift(); next; next = queue.shift()) {
        if (cycle.signal.aborted) return;
        for (const tracked of next.shard) tracked.inFlight = true;
        try {
          await this.#sample(next.shard, next.withVcpu, cycle);
        } finally {
          for (const tracked of next.shard) tracked.inFlight = false;
        }
      }
    };
    await Promise.all(Array.from({ length: this.options.parallelism }, worker));
  }

  async #sample(shard: readonly TrackedVm[], withVcpu: boolean, cycle: BackedCycle): Promise<void> {
    const [only] = shard;
    if (only?.suspect && shard.length === 1 && isHeld(await this.#controlInfo(only, cycle), 0)) {
      cycle.stuck(only);
      return;
    }
    const fault = await this.#call(shard, withVcpu, cycle);
    if (!fault) return;
    for (const rest of await this.#withoutCulprits(shard, fault, cycle)) {
      // A second failure has no third try: the VMs keep their last sample, whose age shows.
      await this.#call(rest, withVcpu, cycle);
    }
  }

  /** @returns the error that is worth a second try */
  async #call(
    shard: readonly TrackedVm[],
    withVcpu: boolean,
    cycle: BackedCycle,
  ): Promise<HypervisorError | undefined> {
    const { clock, hypervisor, shardDeadlineMs } = this.options;
    const stampMs = clock.nowMs();
    const deadlineMs = Math.min(shardDeadlineMs, cycle.deadlineMs - stampMs);
    if (deadlineMs <= 0 || shard.length === 0) return undefined;
    let batch: StatsBatch;
    try {
      batch = await hypervisor.stats(request(shard, withVcpu), { deadlineMs, signal: cycle.signal });
    } catch (error) {
      if (!(error instanceof HypervisorError)) throw error;
      return notTheDomains.has(error.kind) ? undefined : error;
    }
    await cycle.accept(batch, stampMs);
    return undefined;
  }

  /** What to ask again: the shard without its stuck domains, or its halves where none stands out. */
  async #withoutCulprits(
    shard: readonly TrackedVm[],
    fault: HypervisorError,
    cycle: BackedCycle,
  ): Promise<TrackedVm[][]> {
    const heldForMs = this.options.shardDeadlineMs / 2;
    const infos = await Promise.all(shard.map((tracked) => this.#controlInfo(tracked, cycle)));
    const isCulprit = shard.map(
      (_, index) => isHeld(infos[index], heldForMs) || (shard.length === 1 && fault.kind === 'timeout'),
    );
    shard.forEach((tracked, index) => {
      if (!isCulprit[index]) return;
      tracked.suspect = true;
      cycle.stuck(tracked);
    });
    const rest = shard.filter((_, index) => !isCulprit[index]);
    if (rest.length === 0) return [];
    return rest.length < shard.length ? [rest] : chunks(rest, Math.ceil(rest.length / 2));
  }

  /** Undefined where the domain is gone or nothing is known of it. */
  async #controlInfo(tracked: TrackedVm, cycle: BackedCycle): Promise<ControlInfo | undefined> {
    const deadlineMs = Math.min(CONTROL_INFO_DEADLINE_MS, cycle.deadlineMs - this.options.clock.nowMs());
    if (deadlineMs <= 0) return undefined;
    try {
      return await this.options.hypervisor.controlInfo(tracked.id, { deadlineMs, signal: cycle.signal });
    } catch (error) {
      if (!(error instanceof HypervisorError)) throw error;
      return undefined;
    }
  }
}

/** Momentary use of a monitor is normal; only what lasts is a fault. */
function isHeld(info: ControlInfo | undefined, forMs: number): boolean {
  return (info?.state === 'occupied' || info?.state === 'error') && info.sinceMs >= forMs;
}

function request(shard: readonly TrackedVm[], withVcpu: boolean): StatsRequest {
  const asksVcpu = withVcpu || shard.some((tracked) => !tracked.vcpuAsked);
  if (asksVcpu) for (const tracked of shard) tracked.vcpuAsked = true;
  const groups = StatsGroup.cpu | StatsGroup.balloon | StatsGroup.block | (asksVcpu ? StatsGroup.vcpu : 0);
  return { groups, ids: shard.map((tracked) => tracked.id), lane: 'backed' };
}
