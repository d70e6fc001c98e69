/**
 * The hot path: one VM's record as JSON text, from its fixed parts and its sample windows.
 *
 * No object is made for a record; the text is put together from numbers. Which member comes from which counter, and
 * what stands where nothing is known, is the table of VDSM's record; numbers get their form in number-text.ts.
 * Invariants: `status` and `statusTime` are always there; a Down record has its exit members only; a doubtful
 * value is left out or the default, since one bad record voids an engine's poll of the whole host.
 */
import { BLOCK_COLUMNS, BlockColumn, NET_COLUMNS, NetColumn, Scalar } from '../domain/stats.js';
import { engineTime } from '../util/time.js';
import { fixed2Text, floatText, integerText } from './number-text.js';
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
import { elapsedText, type DeviceText, type RecordText } from './record-text.js';
import type { Sample, SampleWindow, VmSamples } from './sample-window.js';

/** When a record is made. */
export interface RecordTime {
  /** Monotonic ms: becomes `statusTime`. */
  readonly nowMs: number;
  /** Epoch ms: for `elapsedTime`. */
  readonly wallMs: number;
}

/**
 * @param samples undefined for a VM that was never sampled
 * @param tally counts counters that went backwards
 */
export function recordJson(
  fixed: RecordText,
  samples: VmSamples | undefined,
  time: RecordTime,
  tally: ResetTally,
): string {
  const statusTime = `{"statusTime":"${engineTime(time.nowMs)}",`;
  if (fixed.down) return `${statusTime}${fixed.members}}`;
  return (
    statusTime +
    fixed.members +
    `,${elapsedText(fixed.vm, time.wallMs)}` +
    cpuMembers(samples?.cpu, tally) +
    networkMember(fixed.nics, samples?.net) +
    diskMember(fixed.disks, samples?.monitor, tally) +
    memoryMembers(fixed, samples, tally) +
    '}'
  );
}

/**
 * cpuSys is what libvirt calls user and system time, cpuUser the rest of cpu.time (the guest's own): VDSM's naming.
 * An engine adds the two. Without the split all of it is cpuUser, so that the sum is still right.
 */
function cpuMembers(window: SampleWindow | undefined, tally: ResetTally): string {
  const { first, last, intervalMs } = pair(window);
  if (!first || !last) return NO_CPU;
  const total = counterDelta(scalar(first, Scalar.cpuTime), scalar(last, Scalar.cpuTime), tally);
  const user = counterDelta(scalar(first, Scalar.cpuUser), scalar(last, Scalar.cpuUser), tally);
  const system = counterDelta(scalar(first, Scalar.cpuSystem), scalar(last, Scalar.cpuSystem), tally);
  const overhead = user + system;
  if (Number.isNaN(overhead)) {
    return `,"cpuUser":"${fixed2Text(corePercent(total, intervalMs))}","cpuSys":"0.00","cpuUsage":"0.00","cpuActual":false`;
  }
  const rest = Math.max(0, total - overhead);
  const usage = scalar(last, Scalar.cpuUser) + scalar(last, Scalar.cpuSystem);
  return (
    `,"cpuUser":"${fixed2Text(corePercent(rest, intervalMs))}` +
    `","cpuSys":"${fixed2Text(corePercent(overhead, intervalMs))}` +
    `","cpuUsage":"${integerText(usage)}","cpuActual":${Number.isNaN(total) ? 'false' : 'true'}`
  );
}

const NO_CPU = ',"cpuUser":"0.00","cpuSys":"0.00","cpuUsage":"0.00","cpuActual":false';

/** NICs that are not in both samples are left out; without any the member is. */
function networkMember(nics: readonly DeviceText[], window: SampleWindow | undefined): string {
  const { first, last } = pair(window);
  if (!first || !last) return '';
  const { net } = last.batch;
  const sampleTime = floatText(last.stampMs / 1000);
  let text = '';
  for (const nic of nics) {
    const index = findNet(last, nic.name);
    if (index < 0 || findNet(first, nic.name) < 0) continue;
    const at = index * NET_COLUMNS;
    text +=
      (text === '' ? ',"network":{' : ',') +
      `${nic.text}"rxErrors":"${integerText(net[at + NetColumn.rxErrs]!)}` +
      `","rxDropped":"${integerText(net[at + NetColumn.rxDrop]!)}` +
      `","txErrors":"${integerText(net[at + NetColumn.txErrs]!)}` +
      `","txDropped":"${integerText(net[at + NetColumn.txDrop]!)}` +
      `","rx":"${integerText(net[at + NetColumn.rxBytes]!)}` +
      `","tx":"${integerText(net[at + NetColumn.txBytes]!)}","sampleTime":${sampleTime}}`;
  }
  return text === '' ? '' : `${text}}`;
}

/** Every disk of the VM, with zeros where it is not in both samples. */
function diskMember(
  disks: readonly DeviceText[],
  window: SampleWindow | undefined,
  tally: ResetTally,
): string {
  const { first, last, intervalMs } = pair(window);
  if (!first || !last) return '';
  let text = '';
  for (const disk of disks) {
    const before = findBlock(first, disk.name);
    const now = findBlock(last, disk.name);
    text += (text === '' ? ',"disks":{' : ',') + disk.text;
    text +=
      before < 0 || now < 0
        ? NO_DISK
        : diskFigures({ first, last, intervalMs, before, now, tally }) + diskTotals(last, now);
  }
  return text === '' ? '' : `${text}}`;
}

const NO_DISK =
  '"truesize":"0","apparentsize":"0","readRate":"0.0","writeRate":"0.0","readLatency":"0","writeLatency":"0",' +
  '"flushLatency":"0","readOps":"0","writeOps":"0","readBytes":"0","writtenBytes":"0"}';

/** Rates in bytes per second, latencies in ns per request. */
function diskFigures(disk: {
  first: Sample;
  last: Sample;
  intervalMs: number;
  /** Index of the disk in the first and in the last batch. */
  before: number;
  now: number;
  tally: ResetTally;
}): string {
  const { intervalMs, tally } = disk;
  const first = disk.first.batch.block;
  const last = disk.last.batch.block;
  const a = disk.before * BLOCK_COLUMNS;
  const b = disk.now * BLOCK_COLUMNS;
  const delta = (column: number): number => counterDelta(first[a + column]!, last[b + column]!, tally);
  const latency = (times: number, reqs: number): string =>
    floatText(meanLatencyNs(delta(times), delta(reqs)), '0');
  return (
    `"readRate":"${floatText(perSecond(delta(BlockColumn.rdBytes), intervalMs))}` +
    `","writeRate":"${floatText(perSecond(delta(BlockColumn.wrBytes), intervalMs))}` +
    `","readLatency":"${latency(BlockColumn.rdTimes, BlockColumn.rdReqs)}` +
    `","writeLatency":"${latency(BlockColumn.wrTimes, BlockColumn.wrReqs)}` +
    `","flushLatency":"${latency(BlockColumn.flTimes, BlockColumn.flReqs)}"`
  );
}

/**
 * truesize is what the storage gives to the image: the file's or volume's size, which for thin images grows with
 * what is written; where the hypervisor cannot tell it, the highest written offset. apparentsize is what the guest sees.
 */
function diskTotals(last: Sample, index: number): string {
  const { block } = last.batch;
  const at = index * BLOCK_COLUMNS;
  const physical = block[at + BlockColumn.physical]!;
  return (
    `,"truesize":"${integerText(Number.isNaN(physical) ? block[at + BlockColumn.allocation]! : physical)}` +
    `","apparentsize":"${integerText(block[at + BlockColumn.capacity]!)}` +
    `","readOps":"${integerText(block[at + BlockColumn.rdReqs]!)}` +
    `","writeOps":"${integerText(block[at + BlockColumn.wrReqs]!)}` +
    `","readBytes":"${integerText(block[at + BlockColumn.rdBytes]!)}` +
    `","writtenBytes":"${integerText(block[at + BlockColumn.wrBytes]!)}"}`
  );
}

/** balloonInfo, vcpuCount, memoryStats and memUsage; the last always. */
function memoryMembers(fixed: RecordText, samples: VmSamples | undefined, tally: ResetTally): string {
  const { first, last, intervalMs } = pair(samples?.monitor);
  if (!samples || !first || !last) return `,"memUsage":"${fixed.guestMemUsage ?? '0'}"`;
  const balloon = fixed.balloon
    ? `,${fixed.balloon}"${integerText(scalar(last, Scalar.balloonCurrent))}"}`
    : '';
  const vcpus = Number.isNaN(samples.vcpuCount) ? '' : `,"vcpuCount":"${integerText(samples.vcpuCount)}"`;
  const available = scalar(last, Scalar.available);
  if (Number.isNaN(available)) return `${balloon}${vcpus},"memUsage":"${fixed.guestMemUsage ?? '0'}"`;

  const unused = scalar(last, Scalar.unused);
  const free = unused + (scalar(last, Scalar.diskCaches) || 0);
  const rate = (column: number): number => {
    const perSec = perSecond(counterDelta(scalar(first, column), scalar(last, column), tally), intervalMs);
    return perSec <= MAX_EVENT_RATE ? Math.round(perSec) : 0;
  };
  const major = rate(Scalar.majorFault);
  const minor = rate(Scalar.minorFault);
  const freeMembers = Number.isNaN(free)
    ? ''
    : `,"mem_unused":"${integerText(unused)}","mem_free":"${integerText(free)}"`;
  return (
    balloon +
    vcpus +
    `,"memoryStats":{"mem_total":"${integerText(available)}"${freeMembers}` +
    `,"swap_in":${rate(Scalar.swapIn)},"swap_out":${rate(Scalar.swapOut)}` +
    `,"majflt":${major},"minflt":${minor},"pageflt":${major + minor}}` +
    `,"memUsage":"${fixed.guestMemUsage ?? memUsageText(free, fixed.memoryMiB)}"`
  );
}

/** Per second. These are JSON integers, and their sums too must fit the 32 bits that an engine reads them into. */
const MAX_EVENT_RATE = 2 ** 30 - 1;

/** Whole per cent of the VM's maximum memory that is not free. */
function memUsageText(freeKiB: number, memoryMiB: number): string {
  const percent = memoryMiB > 0 ? 100 - (freeKiB / 1024 / memoryMiB) * 100 : NaN;
  return integerText(Math.min(100, percent));
}

const NO_PAIR = { first: undefined, last: undefined, intervalMs: 0 } as const;

/** Both samples or none: a single one says nothing of rates, and VDSM shows no part of it. */
function pair(window: SampleWindow | undefined): {
  readonly first: Sample | undefined;
  readonly last: Sample | undefined;
  readonly intervalMs: number;
} {
  return window?.first ? window : NO_PAIR;
}
