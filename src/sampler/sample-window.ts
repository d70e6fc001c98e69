/**
 * The last two samples of one VM from one source, as positions in the columns of two batches.
 *
 * Nothing is copied: an entry is a batch and a row. A window keeps its two batches alive, no more. Sources have
 * windows of their own because their stamps differ: the monitor-free call carries the NICs, the monitor-backed
 * shards CPU, memory and disks. CPU has its own window, since a domain whose monitor is busy still tells its CPU time.
 */
import { BLOCK_COLUMNS, BlockColumn, Scalar, SCALARS, type StatsBatch } from '../domain/stats.js';

/** One VM's row in one batch. `stampMs`: monotonic ms, taken before the call. */
export interface Sample {
  batch: StatsBatch;
  row: number;
  stampMs: number;
}

export class SampleWindow {
  #first: Sample | undefined;
  #last: Sample | undefined;

  /** The older of two samples; undefined unless there are two. */
  get first(): Sample | undefined {
    return this.#first;
  }

  get last(): Sample | undefined {
    return this.#last;
  }

  /** Positive ms between the two samples; 0 unless there are two. */
  get intervalMs(): number {
    return this.#first && this.#last ? this.#last.stampMs - this.#first.stampMs : 0;
  }

  /** False, and nothing changes, where the sample is not newer than the last one. */
  push(batch: StatsBatch, row: number, stampMs: number): boolean {
    const last = this.#last;
    if (last && stampMs <= last.stampMs) return false;
    // The entry that falls out is filled again: a tick makes no garbage here.
    const entry = this.#first ?? { batch, row, stampMs };
    entry.batch = batch;
    entry.row = row;
    entry.stampMs = stampMs;
    this.#first = last;
    this.#last = entry;
    return true;
  }

  clear(): void {
    this.#first = undefined;
    this.#last = undefined;
  }

  /** Empties the window where the last sample was taken before `stampMs`: too old to speak of now. */
  expire(stampMs: number): void {
    if (this.#last && this.#last.stampMs < stampMs) this.clear();
  }
}

/** All windows of one VM, and what is carried on between samples. */
export class VmSamples {
  readonly net = new SampleWindow();
  readonly cpu = new SampleWindow();
  readonly monitor = new SampleWindow();
  /** vcpu.current as told last; NaN until then. That group is asked for less often than the others. */
  vcpuCount = NaN;

  pushFree(batch: StatsBatch, row: number, stampMs: number): boolean {
    return this.net.push(batch, row, stampMs);
  }

  /**
   * Takes a monitor-backed row. Where the domain's CPU time went backwards it is another QEMU process, and all
   * earlier samples belong to the one before: they are forgotten.
   *
   * @returns 'late' where it is older than what is held, 'partial' where the monitor's groups are missing
   */
  pushBacked(batch: StatsBatch, row: number, stampMs: number): 'good' | 'partial' | 'late' {
    const cpuTime = batch.scalars[row * SCALARS + Scalar.cpuTime]!;
    const last = this.cpu.last;
    if (
      last &&
      stampMs > last.stampMs &&
      cpuTime < last.batch.scalars[last.row * SCALARS + Scalar.cpuTime]!
    ) {
      this.clear();
    }
    if (!Number.isNaN(cpuTime)) this.cpu.push(batch, row, stampMs);
    if (!monitorAnswered(batch, row)) return 'partial';
    if (!this.monitor.push(batch, row, stampMs)) return 'late';
    const vcpuCount = batch.scalars[row * SCALARS + Scalar.vcpuCurrent]!;
    if (!Number.isNaN(vcpuCount)) this.vcpuCount = vcpuCount;
    return 'good';
  }

  /** Takes a row that has only CPU times. */
  pushCpu(batch: StatsBatch, row: number, stampMs: number): void {
    if (!Number.isNaN(batch.scalars[row * SCALARS + Scalar.cpuTime]!)) this.cpu.push(batch, row, stampMs);
  }

  clear(): void {
    this.net.clear();
    this.cpu.clear();
    this.monitor.clear();
    this.vcpuCount = NaN;
  }

  /**
   * @param stampMs samples taken before it are forgotten
   * @param keepMonitor but not those that came by the monitor
   */
  expire(stampMs: number, keepMonitor: boolean): void {
    this.net.expire(stampMs);
    this.cpu.expire(stampMs);
    if (!keepMonitor) this.monitor.expire(stampMs);
  }
}

/**
 * Whether a row holds what only the domain's monitor can tell. With a busy monitor libvirt still names the disks and
 * gives the balloon's size, but neither the disks' counters nor the balloon's statistics.
 */
export function monitorAnswered(batch: StatsBatch, row: number): boolean {
  const from = batch.blockStart[row]!;
  const to = batch.blockStart[row + 1]!;
  for (let disk = from; disk < to; disk++) {
    if (!Number.isNaN(batch.block[disk * BLOCK_COLUMNS + BlockColumn.rdReqs]!)) return true;
  }
  if (to > from) return false;
  const at = row * SCALARS;
  const { scalars } = batch;
  if (Number.isNaN(scalars[at + Scalar.balloonCurrent]!)) return !Number.isNaN(scalars[at + Scalar.cpuTime]!);
  return (
    !Number.isNaN(scalars[at + Scalar.rss]!) ||
    !Number.isNaN(scalars[at + Scalar.unused]!) ||
    !Number.isNaN(scalars[at + Scalar.available]!)
  );
}
