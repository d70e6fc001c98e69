/**
 * The hot path: one VM's record as JSON, from its fixed parts and its sample windows.
 *
 * No object is made for a record. Which member comes from which counter is in record-labels.ts; what stands where nothing is
 * known is VDSM's default; numbers get their form in record-bytes.ts. Invariants: `status` and `statusTime` are
 * always there; a Down record has its exit members only; a doubtful value is left out or the default, since one bad
 * record voids an engine's poll of the whole host.
 */
import { BLOCK_COLUMNS, BlockColumn, NET_COLUMNS, Scalar } from '../domain/stats.js';
import { elapsedSec } from '../domain/vm-record.js';
import { engineTime } from '../util/time.js';
import {
  corePercent,
  counterDelta,
  findBlock,
  findNet,
  meanLatencyNs,
  perSecond,
  scalar,
  type ResetTally,
} from './rates.js';
import { RecordBytes, type Span } from './record-bytes.js';
import {
  ACTUAL,
  CLOSE,
  CPU_SYS,
  CPU_USAGE,
  CPU_USER,
  DISKS,
  DISK_LATENCIES,
  DISK_RATES,
  DISK_TOTALS,
  ELAPSED,
  MAJOR_FAULTS,
  MEMBERS,
  MEMORY,
  MEM_FREE,
  MEM_UNUSED,
  MEM_USAGE,
  MINOR_FAULTS,
  NETWORK,
  NEXT,
  NIC_FIGURES,
  NOT_ACTUAL,
  NO_CPU,
  NO_DISK,
  NO_SPLIT,
  PAGE_FAULTS,
  QUOTE,
  QUOTE_CLOSE,
  SAMPLE_TIME,
  STATUS_TIME,
  SWAPS,
  TRUE_SIZE,
  VCPU_COUNT,
} from './record-labels.js';
import type { DeviceText, RecordText } from './record-text.js';
import type { Sample, SampleWindow, VmSamples } from './sample-window.js';

/** When a record is made. */
export interface RecordTime {
  /** Monotonic ms: becomes `statusTime`. */
  readonly nowMs: number;
  /** Epoch ms: for `elapsedTime`. */
  readonly wallMs: number;
}

/** Per second. These are JSON integers, and their sums too must fit the 32 bits that an engine reads them into. */
const MAX_EVENT_RATE = 2 ** 30 - 1;

/** Two samples of one source. */
interface Pair {
  readonly first: Sample;
  readonly last: Sample;
  readonly intervalMs: number;
}

/** One for all VMs: it keeps the memory that records are written to. */
export class RecordEncoder {
  readonly #out = new RecordBytes();

  /** @param tally counts counters that went backwards */
  constructor(private readonly tally: ResetTally) {}

  encode(fixed: RecordText, samples: VmSamples, time: RecordTime): Span {
    const out = this.#out;
    out.label(STATUS_TIME).integer(engineTime(time.nowMs)).label(MEMBERS).label(fixed.members);
    if (!fixed.down) {
      const memory = pair(samples.monitor);
      out.label(ELAPSED).integer(elapsedSec(fixed.vm, time.wallMs));
      this.#cpu(pair(samples.cpu));
      this.#network(fixed.nics, pair(samples.net));
      this.#disks(fixed.disks, memory);
      this.#memory(fixed, samples.vcpuCount, memory);
    }
    return out.label(CLOSE).end();
  }

  /**
   * cpuSys is what libvirt calls user and system time, cpuUser the rest of cpu.time (the guest's own): VDSM's naming.
   * An engine adds the two. Without the split all of it is cpuUser, so that the sum is still right.
   */
  #cpu(samples: Pair | undefined): void {
    const out = this.#out;
    if (!samples) {
      out.label(NO_CPU);
      return;
    }
    const { last, intervalMs } = samples;
    const total = this.#scalarDelta(samples, Scalar.cpuTime);
    const overhead =
      this.#scalarDelta(samples, Scalar.cpuUser) + this.#scalarDelta(samples, Scalar.cpuSystem);
    if (Number.isNaN(overhead)) {
      out.label(CPU_USER).fixed(corePercent(total, intervalMs), 2).label(NO_SPLIT);
      return;
    }
    out.label(CPU_USER).fixed(corePercent(Math.max(0, total - overhead), intervalMs), 2);
    out.label(CPU_SYS).fixed(corePercent(overhead, intervalMs), 2);
    out.label(CPU_USAGE).integer(scalar(last, Scalar.cpuUser) + scalar(last, Scalar.cpuSystem));
    out.label(Number.isNaN(total) ? NOT_ACTUAL : ACTUAL);
  }

  /** NICs that are not in both samples are left out; without any the member is. */
  #network(nics: readonly DeviceText[], samples: Pair | undefined): void {
    if (!samples) return;
    const { first, last } = samples;
    const { net } = last.batch;
    const out = this.#out;
    let begun = false;
    for (const { name, text } of nics) {
      const index = findNet(last, name);
      if (index < 0 || findNet(first, name) < 0) continue;
      out.label(begun ? NEXT : NETWORK).label(text);
      begun = true;
      for (const { member, column } of NIC_FIGURES) {
        out.label(member).integer(net[index * NET_COLUMNS + column]!);
      }
      out
        .label(SAMPLE_TIME)
        .fixed(last.stampMs / 1000, 6)
        .label(CLOSE);
    }
    if (begun) out.label(CLOSE);
  }

  /** Every disk of the VM, with zeros where it is not in both samples. */
  #disks(disks: readonly DeviceText[], samples: Pair | undefined): void {
    if (!samples || disks.length === 0) return;
    const out = this.#out;
    let begun = false;
    for (const { name, text } of disks) {
      out.label(begun ? NEXT : DISKS).label(text);
      begun = true;
      const before = findBlock(samples.first, name);
      const now = findBlock(samples.last, name);
      if (before < 0 || now < 0) out.label(NO_DISK);
      else {
        this.#diskRates(samples, before * BLOCK_COLUMNS, now * BLOCK_COLUMNS);
        this.#diskTotals(samples.last.batch.block, now * BLOCK_COLUMNS);
      }
    }
    out.label(CLOSE);
  }

  /** Rates in bytes per second, latencies in ns per request ("0" without one); positions in the block columns. */
  #diskRates({ first, last, intervalMs }: Pair, before: number, now: number): void {
    const out = this.#out;
    const { tally } = this;
    const a = first.batch.block;
    const b = last.batch.block;
    for (const { member, column } of DISK_RATES) {
      out
        .label(member)
        .float(perSecond(counterDelta(a[before + column]!, b[now + column]!, tally), intervalMs));
    }
    for (const { member, times, reqs } of DISK_LATENCIES) {
      const latencyNs = meanLatencyNs(
        counterDelta(a[before + times]!, b[now + times]!, tally),
        counterDelta(a[before + reqs]!, b[now + reqs]!, tally),
      );
      out.label(member);
      if (Number.isNaN(latencyNs)) out.integer(0);
      else out.float(latencyNs);
    }
  }

  /**
   * truesize is what the storage gives to the image: the file's or volume's size, which for thin images grows with
   * what is written; where the hypervisor cannot tell it, the highest written offset. apparentsize is what the guest
   * sees.
   */
  #diskTotals(block: Float64Array, now: number): void {
    const out = this.#out;
    const physical = block[now + BlockColumn.physical]!;
    out.label(TRUE_SIZE).integer(Number.isNaN(physical) ? block[now + BlockColumn.allocation]! : physical);
    for (const { member, column } of DISK_TOTALS) out.label(member).integer(block[now + column]!);
    out.label(QUOTE_CLOSE);
  }

  /** balloonInfo, vcpuCount, memoryStats and memUsage; the last always. */
  #memory(fixed: RecordText, vcpuCount: number, samples: Pair | undefined): void {
    const out = this.#out;
    let usage = fixed.guestMemUsage;
    if (samples) {
      if (fixed.balloon) {
        out.label(fixed.balloon).integer(scalar(samples.last, Scalar.balloonCurrent)).label(QUOTE_CLOSE);
      }
      if (!Number.isNaN(vcpuCount)) out.label(VCPU_COUNT).integer(vcpuCount).label(QUOTE);
      const freeKiB = this.#memoryStats(samples);
      if (Number.isNaN(usage)) usage = memoryUsage(freeKiB, fixed.memoryMiB);
    }
    out.label(MEM_USAGE).integer(usage).label(QUOTE);
  }

  /** Absent unless the balloon tells the guest's size. @returns free memory, KiB; NaN where it is not known */
  #memoryStats(samples: Pair): number {
    const { last } = samples;
    const available = scalar(last, Scalar.available);
    if (Number.isNaN(available)) return NaN;
    const out = this.#out;
    const unused = scalar(last, Scalar.unused);
    const free = unused + (scalar(last, Scalar.diskCaches) || 0);
    out.label(MEMORY).integer(available);
    if (!Number.isNaN(free)) out.label(MEM_UNUSED).integer(unused).label(MEM_FREE).integer(free);
    for (const { member, column } of SWAPS) out.label(member).integer(this.#eventRate(samples, column));
    const major = this.#eventRate(samples, Scalar.majorFault);
    const minor = this.#eventRate(samples, Scalar.minorFault);
    out.label(MAJOR_FAULTS).integer(major);
    out.label(MINOR_FAULTS).integer(minor);
    out.label(PAGE_FAULTS).integer(major + minor);
    out.label(CLOSE);
    return free;
  }

  #eventRate(samples: Pair, column: number): number {
    const perSec = perSecond(this.#scalarDelta(samples, column), samples.intervalMs);
    return perSec <= MAX_EVENT_RATE ? Math.round(perSec) : 0;
  }

  #scalarDelta({ first, last }: Pair, column: number): number {
    return counterDelta(scalar(first, column), scalar(last, column), this.tally);
  }
}

/** Whole per cent of the VM's maximum memory that is not free. */
function memoryUsage(freeKiB: number, memoryMiB: number): number {
  return memoryMiB > 0 ? Math.min(100, 100 - (freeKiB / 1024 / memoryMiB) * 100) : NaN;
}

/** Both samples or none: a single one says nothing of rates, and VDSM shows no part of it. */
function pair(window: SampleWindow): Pair | undefined {
  return window.first ? (window as Pair) : undefined;
}
