/**
 * Bulk statistics as numbers in columns: what the hypervisor adapter fills and the sampler reads.
 *
 * One batch is one answer. Scalars are VM-major (`vm * SCALARS + column`), devices are flattened, with the
 * range of each VM in `netStart` / `blockStart`. A value the hypervisor left out is NaN. Counters are doubles:
 * exact up to 2^53, and beyond that off by at most 1 part in 2^53, which no rate can show.
 */
import type { VmId } from './ids.js';

/** libvirt's VIR_DOMAIN_STATS_* bits. */
export const StatsGroup = {
  state: 1,
  cpu: 2,
  balloon: 4,
  vcpu: 8,
  interface: 16,
  block: 32,
} as const;

/** Columns of one VM's scalars; libvirt's field in the comment, times in ns, memory in KiB. */
export const Scalar = {
  state: 0, // state.state
  reason: 1, // state.reason
  cpuTime: 2, // cpu.time
  cpuUser: 3, // cpu.user
  cpuSystem: 4, // cpu.system
  balloonCurrent: 5, // balloon.current
  balloonMaximum: 6, // balloon.maximum
  swapIn: 7, // balloon.swap_in
  swapOut: 8, // balloon.swap_out
  majorFault: 9, // balloon.major_fault
  minorFault: 10, // balloon.minor_fault
  unused: 11, // balloon.unused
  available: 12, // balloon.available
  usable: 13, // balloon.usable
  diskCaches: 14, // balloon.disk_caches
  lastUpdate: 15, // balloon.last-update, epoch seconds
  rss: 16, // balloon.rss
  vcpuCurrent: 17, // vcpu.current
  vcpuMaximum: 18, // vcpu.maximum
} as const;
export const SCALARS = 19;

/** Columns of one NIC: net.N.{rx,tx}.{bytes,pkts,errs,drop}. */
export const NetColumn = {
  rxBytes: 0,
  rxPkts: 1,
  rxErrs: 2,
  rxDrop: 3,
  txBytes: 4,
  txPkts: 5,
  txErrs: 6,
  txDrop: 7,
} as const;
export const NET_COLUMNS = 8;

/** Columns of one block device: block.N.*; times in ns, sizes in bytes. */
export const BlockColumn = {
  rdReqs: 0,
  rdBytes: 1,
  rdTimes: 2,
  wrReqs: 3,
  wrBytes: 4,
  wrTimes: 5,
  flReqs: 6,
  flTimes: 7,
  allocation: 8,
  capacity: 9,
  physical: 10,
  threshold: 11,
} as const;
export const BLOCK_COLUMNS = 12;

/** One decoded answer. The arrays may be longer than their counts say. */
export interface StatsBatch {
  readonly vmCount: number;
  readonly vmIds: readonly VmId[];
  readonly scalars: Float64Array;
  /** `netStart[i] .. netStart[i + 1]` are the NICs of VM i; length vmCount + 1. */
  readonly netStart: Uint32Array;
  /** Host device name (`vnet3`) per NIC; '' if the answer named none. */
  readonly netNames: readonly string[];
  readonly net: Float64Array;
  readonly blockStart: Uint32Array;
  /** Target device (`vda`) per disk. With a backing chain only the top image counts. */
  readonly blockNames: readonly string[];
  /** Source path per disk, '' without medium. */
  readonly blockPaths: readonly string[];
  readonly block: Float64Array;
}

/** Collects a batch VM by VM; grows as needed, so nothing need be known in advance. */
export class StatsBatchBuilder implements StatsBatch {
  vmCount = 0;
  readonly vmIds: VmId[] = [];
  scalars: Float64Array;
  netStart: Uint32Array;
  readonly netNames: string[] = [];
  net: Float64Array;
  blockStart: Uint32Array;
  readonly blockNames: string[] = [];
  readonly blockPaths: string[] = [];
  block: Float64Array;

  /** @param expectedVms room to allocate at once; a guess, not a limit */
  constructor(expectedVms = 16) {
    const vms = Math.max(1, expectedVms);
    this.scalars = new Float64Array(vms * SCALARS);
    this.netStart = new Uint32Array(vms + 1);
    this.blockStart = new Uint32Array(vms + 1);
    this.net = new Float64Array(vms * NET_COLUMNS);
    this.block = new Float64Array(vms * 2 * BLOCK_COLUMNS);
  }

  /** Opens the next VM's row, all NaN, without devices; returns its index. */
  beginVm(id: VmId): number {
    const index = this.vmCount++;
    this.vmIds.push(id);
    if (this.vmCount * SCALARS > this.scalars.length) this.scalars = grown(this.scalars);
    if (this.vmCount + 1 > this.netStart.length) {
      this.netStart = grownStarts(this.netStart);
      this.blockStart = grownStarts(this.blockStart);
    }
    this.scalars.fill(NaN, index * SCALARS, (index + 1) * SCALARS);
    this.netStart[index + 1] = this.netNames.length;
    this.blockStart[index + 1] = this.blockNames.length;
    return index;
  }

  /** Empties the row of the VM opened last, as beginVm left it. */
  restartVm(): void {
    const index = this.vmCount - 1;
    this.netNames.length = this.netStart[index]!;
    this.blockNames.length = this.blockStart[index]!;
    this.blockPaths.length = this.blockStart[index]!;
    this.scalars.fill(NaN, index * SCALARS, (index + 1) * SCALARS);
    this.netStart[index + 1] = this.netNames.length;
    this.blockStart[index + 1] = this.blockNames.length;
  }

  /** Sets a scalar of the VM opened last. */
  setScalar(column: number, value: number): void {
    this.scalars[(this.vmCount - 1) * SCALARS + column] = value;
  }

  /** Adds a NIC, all NaN, to the VM opened last; returns its row in `net`. */
  addNet(name: string): number {
    const row = this.netNames.push(name) - 1;
    if ((row + 1) * NET_COLUMNS > this.net.length) this.net = grown(this.net);
    this.net.fill(NaN, row * NET_COLUMNS, (row + 1) * NET_COLUMNS);
    this.netStart[this.vmCount] = row + 1;
    return row;
  }

  /** Adds a disk, all NaN, to the VM opened last; returns its row in `block`. */
  addBlock(name: string, path: string): number {
    const row = this.blockNames.push(name) - 1;
    this.blockPaths.push(path);
    if ((row + 1) * BLOCK_COLUMNS > this.block.length) this.block = grown(this.block);
    this.block.fill(NaN, row * BLOCK_COLUMNS, (row + 1) * BLOCK_COLUMNS);
    this.blockStart[this.vmCount] = row + 1;
    return row;
  }

  /** Keeps the first disk of each name of the VM opened last: lower images of a backing chain repeat its name. */
  dropRepeatedBlocks(): void {
    const first = this.blockStart[this.vmCount - 1]!;
    const end = this.blockNames.length;
    if (end - first < 2 || (end - first <= 8 && allDiffer(this.blockNames, first))) return;
    const seen = new Set<string>();
    let kept = first;
    for (let row = first; row < end; row++) {
      const name = this.blockNames[row]!;
      if (seen.has(name)) continue;
      seen.add(name);
      this.blockNames[kept] = name;
      this.blockPaths[kept] = this.blockPaths[row]!;
      this.block.copyWithin(kept * BLOCK_COLUMNS, row * BLOCK_COLUMNS, (row + 1) * BLOCK_COLUMNS);
      kept++;
    }
    this.blockNames.length = kept;
    this.blockPaths.length = kept;
    this.blockStart[this.vmCount] = kept;
  }
}

/** For a few; cheaper than a set. */
function allDiffer(names: readonly string[], first: number): boolean {
  for (let i = first + 1; i < names.length; i++) {
    for (let k = first; k < i; k++) if (names[i] === names[k]) return false;
  }
  return true;
}

function grown(array: Float64Array): Float64Array {
  const larger = new Float64Array(array.length * 2);
  larger.set(array);
  return larger;
}

function grownStarts(array: Uint32Array): Uint32Array {
  const larger = new Uint32Array(array.length * 2);
  larger.set(array);
  return larger;
}
