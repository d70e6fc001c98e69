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
  { member: label('"rxErrors":"'), column: NetColumn.rxErrs },
  { member: label('","rxDropped":"'), column: NetColumn.rxDrop },
  { member: label('","txErrors":"'), column: NetColumn.txErrs },
  { member: label('","txDropped":"'), column: NetColumn.txDrop },
  { member: label('","rx":"'), column: NetColumn.rxBytes },
  { member: label('","tx":"'), column: NetColumn.txBytes },
];
export const SAMPLE_TIME = label('","sampleTime":');

export const DISKS = label(',"disks":{');
export const NO_DISK = label(
  '"truesize":"0","apparentsize":"0","readRate":"0.0","writeRate":"0.0","readLatency":"0","writeLatency":"0",' +
    '"flushLatency":"0","readOps":"0","writeOps":"0","readBytes":"0","writtenBytes":"0"}',
);
export const DISK_RATES = [
  { member: label('"readRate":"'), column: BlockColumn.rdBytes },
  { member: label('","writeRate":"'), column: BlockColumn.wrBytes },
];
export const DISK_LATENCIES = [
  { member: label('","readLatency":"'), times: BlockColumn.rdTimes, reqs: BlockColumn.rdReqs },
  { member: label('","writeLatency":"'), times: BlockColumn.wrTimes, reqs: BlockColumn.wrReqs },
  { member: label('","flushLatency":"'), times: BlockColumn.flTimes, reqs: BlockColumn.flReqs },
];
export const TRUE_SIZE = label('","truesize":"');
export const DISK_TOTALS = [
  { member: label('","apparentsize":"'), column: BlockColumn.capacity },
  { member: label('","readOps":"'), column: BlockColumn.rdReqs },
  { member: label('","writeOps":"'), column: BlockColumn.wrReqs },
  { member: label('","readBytes":"'), column: BlockColumn.rdBytes },
  { member: label('","writtenBytes":"'), column: BlockColumn.wrBytes },
];

export const VCPU_COUNT = label(',"vcpuCount":"');
export const MEMORY = label(',"memoryStats":{"mem_total":"');
export const MEM_UNUSED = label('","mem_unused":"');
export const MEM_FREE = label('","mem_free":"');
export const SWAPS = [
  { member: label('","swap_in":'), column: Scalar.swapIn },
  { member: label(',"swap_out":'), column: Scalar.swapOut },
];
export const MAJOR_FAULTS = label(',"majflt":');
export const MINOR_FAULTS = label(',"minflt":');
export const PAGE_FAULTS = label(',"pageflt":');
export const MEM_USAGE = label(',"memUsage":"');
