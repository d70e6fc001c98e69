/**
 * How VMs are divided among calls. Pure.
 *
 * A shard bounds what one stuck domain can delay, and what the daemon walks through one domain after the other. Each
 * call costs the agent something, so shards grow with the number of VMs, and shrink where QEMUs take their time: what
 * a shard is expected to take stays well below its deadline.
 */

const SMALLEST = 8;
const LARGEST = 64;
/** Shards that each of the parallel callers gets, roughly, before shards grow. */
const ROUNDS = 16;

/** VMs per shard where the configuration does not say. */
export function defaultShardSize(vmCount: number, parallelism: number): number {
  return Math.min(LARGEST, Math.max(SMALLEST, Math.ceil(vmCount / (parallelism * ROUNDS))));
}

/** Cuts into parts of at most `size`, of about equal length, in order. */
export function chunks<T>(items: readonly T[], size: number): T[][] {
  const count = Math.ceil(items.length / Math.max(1, size));
  return Array.from({ length: count }, (_, index) =>
    items.slice(Math.floor((index * items.length) / count), Math.floor(((index + 1) * items.length) / count)),
  );
}

export interface ShardLimits {
  /** VMs in one shard at most. */
  readonly size: number;
  /** What a shard may be expected to take, ms. */
  readonly targetMs: number;
}

/** What planning looks at: how long the VM's answer took lately, ms; 0 where that is not known. */
export interface Paced {
  readonly serviceMs: number;
}

/**
 * In order, so many in a shard as its limits allow. A VM that alone is expected to take longer than a shard may is not
 * in the answer: see isSlow.
 */
export function planShards<T extends Paced>(items: readonly T[], limits: ShardLimits): T[][] {
  const { targetMs } = limits;
  const count = Math.ceil(items.length / Math.max(1, limits.size));
  const size = Math.ceil(items.length / Math.max(1, count));
  const shards: T[][] = [];
  let shard: T[] = [];
  let expectedMs = 0;
  for (const item of items) {
    if (isSlow(item, targetMs)) continue;
    if (shard.length >= size || (shard.length > 0 && expectedMs + item.serviceMs > targetMs)) {
      shards.push(shard);
      shard = [];
      expectedMs = 0;
    }
    shard.push(item);
    expectedMs += item.serviceMs;
  }
  if (shard.length > 0) shards.push(shard);
  return shards;
}

/** A VM that needs a call, and time, of its own. */
export function isSlow({ serviceMs }: Paced, targetMs: number): boolean {
  return serviceMs > targetMs;
}

/**
 * The new estimate after an answer: quick to believe that a VM is slow, for that costs others their time, and slower to
 * forget it.
 */
export function pacedBy(serviceMs: number, measuredMs: number): number {
  return measuredMs > serviceMs ? (serviceMs + measuredMs) / 2 : Math.max(measuredMs, serviceMs / 2);
}
