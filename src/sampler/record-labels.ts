/**
 * The constant text of a live record, encoded once, with the counter that follows each label. The order here is the
 * order on the wire; a label closes the string that the value before it stands in.
 */
import { BlockColumn, NetColumn, Scalar } from '../domain/stats.js';
import { label } from './record-bytes.js';

export const STATUS_TIME = label('{"statusTime":"');
export const MEMBERS = label('",');
export const ELAPSED = label(',"elapsedTime":"');
export const CLOSE = label('}');
export const QUOTE = label('"');
export const QUOTE_CLOSE = label('"}');

export const NO_CPU = label('","cpuUser":"0.00","cpuSys":"0.00","cpuUsage":"0.00","cpuActual":false');
export const CPU_USER = label('","cpuUser":"');
export const CPU_SYS = label('","cpuSys":"');
export const CPU_USAGE = label('","cpuUsage":"');
export const ACTUAL = label('","cpuActual":true');
export const NO_SPLIT = label('","cpuSys":"0.00","cpuUsage":"0.00","cpuActual":false');
export const NOT_ACTUAL = label('","cpuActual":false');

export const NETWORK = label(',"network":{');
export const NEXT = label(',');
export const NIC_FIGURES = [
  [label('"rxErrors":"'), NetColumn.rxErrs],
  [label('","rxDropped":"'), NetColumn.rxDrop],
  [label('","txErrors":"'), NetColumn.txErrs],
  [label('","txDropped":"'), NetColumn.txDrop],
  [label('","rx":"'), NetColumn.rxBytes],
  [label('","tx":"'), NetColumn.txBytes],
] as const;
export const SAMPLE_TIME = label('","sampleTime":');

export const DISKS = label(',"disks":{');
export const NO_DISK = label(
  '"truesize":"0","apparentsize":"0","readRate":"0.0","writeRate":"0.0","readLatency":"0","writeLatency":"0",' +
    '"flushLatency":"0","readOps":"0","writeOps":"0","readBytes":"0","writtenBytes":"0"}',
);
export const DISK_RATES = [
  [label('"readRate":"'), BlockColumn.rdBytes],
  [label('","writeRate":"'), BlockColumn.wrBytes],
] as const;
export const DISK_LATENCIES = [
  [label('","readLatency":"'), BlockColumn.rdTimes, BlockColumn.rdReqs],
  [label('","writeLatency":"'), BlockColumn.wrTimes, BlockColumn.wrReqs],
  [label('","flushLatency":"'), BlockColumn.flTimes, BlockColumn.flReqs],
] as const;
export const TRUE_SIZE = label('","truesize":"');
export const DISK_TOTALS = [
  [label('","apparentsize":"'), BlockColumn.capacity],
  [label('","readOps":"'), BlockColumn.rdReqs],
  [label('","writeOps":"'), BlockColumn.wrReqs],
  [label('","readBytes":"'), BlockColumn.rdBytes],
  [label('","writtenBytes":"'), BlockColumn.wrBytes],
] as const;

export const VCPU_COUNT = label(',"vcpuCount":"');
export const MEMORY = label(',"memoryStats":{"mem_total":"');
export const MEM_UNUSED = label('","mem_unused":"');
export const MEM_FREE = label('","mem_free":"');
export const SWAPS = [
  [label('","swap_in":'), Scalar.swapIn],
  [label(',"swap_out":'), Scalar.swapOut],
] as const;
export const MAJOR_FAULTS = label(',"majflt":');
export const MINOR_FAULTS = label(',"minflt":');
export const PAGE_FAULTS = label(',"pageflt":');
export const MEM_USAGE = label(',"memUsage":"');
