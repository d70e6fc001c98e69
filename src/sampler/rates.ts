/**
 * From two samples to differences, rates and shares. Pure; knows columns, not texts.
 *
 * A counter that went backwards was set to zero in between (a device was re-attached, a guest driver reloaded): how far
 * it came is not known, so there is no rate for this interval, rather than a negative or an absurd one.
 */
import { SCALARS } from '../domain/stats.js';
import type { Sample } from './sample-window.js';

/** Counts counters that went backwards; shared by all VMs of a tick. */
export interface ResetTally {
  resets: number;
}

/** last - first; NaN where either is missing or the counter went backwards (then counted). */
export function counterDelta(first: number, last: number, tally: ResetTally): number {
  if (last >= first) return last - first;
  if (last < first) tally.resets++;
  return NaN;
}

/** Per second; NaN where the difference is not known or no time has passed. */
export function perSecond(delta: number, intervalMs: number): number {
  return intervalMs > 0 ? (delta / intervalMs) * 1000 : NaN;
}

/** Per cent of one core. */
export function corePercent(cpuNs: number, intervalMs: number): number {
  return intervalMs > 0 ? cpuNs / (intervalMs * 1e4) : NaN;
}

/** Mean ns per request; NaN where there was no request or either difference is not known. */
export function meanLatencyNs(timesNs: number, requests: number): number {
  return requests > 0 ? timesNs / requests : NaN;
}

export function scalar(sample: Sample, column: number): number {
  return sample.batch.scalars[sample.row * SCALARS + column]!;
}

/**
 * Index of a NIC in `batch.net`, by host device name; -1 where this VM has none of that name. Indexes move with hot
 * plugging, so they are looked up in each sample.
 */
export function findNet({ batch, row }: Sample, name: string): number {
  return find(batch.netNames, batch.netStart, row, name);
}

/** Index of a disk in `batch.block`, by target device; as findNet. */
export function findBlock({ batch, row }: Sample, name: string): number {
  return find(batch.blockNames, batch.blockStart, row, name);
}

function find(names: readonly string[], starts: Uint32Array, row: number, name: string): number {
  const to = starts[row + 1]!;
  for (let index = starts[row]!; index < to; index++) if (names[index] === name) return index;
  return -1;
}
