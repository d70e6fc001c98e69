/**
 * How VMs are divided among calls. Pure.
 *
 * A shard bounds what one stuck domain can delay, and what the daemon walks through one domain after the other. Each
 * call costs the agent something, so shards grow with the number of VMs.
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

/** The healthy in shards, then the suspects one by one: a suspect delays nobody but itself. */
export function planShards<T>(items: readonly T[], size: number, isSuspect: (item: T) => boolean): T[][] {
  const healthy = items.filter((item) => !isSuspect(item));
  return [...chunks(healthy, size), ...items.filter(isSuspect).map((item) => [item])];
}
