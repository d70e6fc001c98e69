/**
 * Encoder of bulk statistics replies, for tests and benchmarks: what a daemon would send, byte by byte.
 *
 * Written apart from src/libvirt's codecs, so that an error there is not mirrored here.
 */
import type { VmId } from '../../src/domain/ids.js';

export const REPLY_HEADER_BYTES = 28;

export type ReplyParamType = 'int' | 'uint' | 'llong' | 'ullong' | 'double' | 'boolean' | 'string';

export interface ReplyParam {
  readonly field: string;
  readonly type: ReplyParamType;
  readonly value: number | bigint | boolean | string;
}

export interface ReplyRecord {
  readonly name: string;
  readonly id: VmId;
  readonly domainId: number;
  readonly params: readonly ReplyParam[];
}

const typeNumbers: Readonly<Record<ReplyParamType, number>> = {
  int: 1,
  uint: 2,
  llong: 3,
  ullong: 4,
  double: 5,
  boolean: 6,
  string: 7,
};

class Bytes {
  #buffer = Buffer.allocUnsafeSlow(4096);
  #length = 0;

  room(bytes: number): [Buffer, number] {
    const at = this.#length;
    this.#length += bytes;
    if (this.#length > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(this.#length * 2);
      larger.set(this.#buffer.subarray(0, at));
      this.#buffer = larger;
    }
    return [this.#buffer, at];
  }

  word(value: number): void {
    const [buffer, at] = this.room(4);
    buffer.writeUInt32BE(value >>> 0, at);
  }

  text(value: string): void {
    const length = Buffer.byteLength(value);
    this.word(length);
    const padded = (length + 3) & ~3;
    const [buffer, at] = this.room(padded);
    buffer.fill(0, at, at + padded);
    buffer.write(value, at, 'utf8');
  }

  done(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }
}

/** A whole packet: 28 bytes of header, of which only the length is set, then the body. */
export function encodeReply(records: readonly ReplyRecord[]): Buffer {
  const bytes = new Bytes();
  const [header, start] = bytes.room(REPLY_HEADER_BYTES);
  header.fill(0, start, REPLY_HEADER_BYTES);
  bytes.word(records.length);
  for (const { name, id, domainId, params } of records) {
    bytes.text(name);
    const [buffer, at] = bytes.room(16);
    buffer.write(id.replaceAll('-', ''), at, 'hex');
    bytes.word(domainId);
    bytes.word(params.length);
    for (const param of params) encodeParam(bytes, param);
  }
  const packet = bytes.done();
  packet.writeUInt32BE(packet.length, 0);
  return packet;
}

function encodeParam(bytes: Bytes, { field, type, value }: ReplyParam): void {
  bytes.text(field);
  bytes.word(typeNumbers[type]);
  if (type === 'string') {
    bytes.text(String(value));
    return;
  }
  if (type === 'int' || type === 'uint' || type === 'boolean') {
    bytes.word(Number(value));
    return;
  }
  const [buffer, at] = bytes.room(8);
  if (type === 'double') buffer.writeDoubleBE(Number(value), at);
  else buffer.writeBigUInt64BE(BigInt.asUintN(64, BigInt(value)), at);
}

/** Counters that a 6.x kernel's KVM has per vCPU, in the order of one run of libvirt. */
const kvmCounters = (
  'insn_emulation_fail halt_poll_invalid irq_window_exits pf_emulate pf_taken halt_wakeup ' +
  'halt_successful_poll nested_run pf_fast guest_mode! nmi_window_exits directed_yield_attempted io_exits ' +
  'signal_exits halt_poll_fail_ns mmio_exits hypercalls req_event fpu_reload halt_attempted_poll ' +
  'host_state_reload nmi_injections notify_window_exits preemption_reported halt_exits pf_spurious ' +
  'directed_yield_successful irq_exits irq_injections request_irq_exits exits pf_fixed pf_mmio_spte_created ' +
  'blocking! halt_poll_success_ns pf_guest preemption_other invlpg l1d_flush tlb_flush insn_emulation ' +
  'halt_wait_ns pf_mmio_cached halt_latency_ns ple_exits'
).split(' ');

export interface RealisticVm {
  readonly vcpus: number;
  readonly disks: number;
  readonly nics: number;
  readonly kvm: boolean;
}

const usual: RealisticVm = { vcpus: 2, disks: 2, nics: 1, kvm: true };

/** The record of VM `index` as a QEMU domain has it; counters grow with `tick`. 154 parameters by default. */
export function realisticRecord(index: number, tick = 0, vm: RealisticVm = usual): ReplyRecord {
  const params: ReplyParam[] = [];
  let next = index * 1000 + tick * 7919;
  const add = (field: string, type: ReplyParamType = 'ullong', value?: ReplyParam['value']): void => {
    params.push({ field, type, value: value ?? (next += 4_294_967) });
  };
  add('state.state', 'int', 1);
  add('state.reason', 'int', 1);
  for (const field of ['time', 'user', 'system']) add(`cpu.${field}`);
  add('cpu.cache.monitor.count', 'uint', 0);
  for (const result of ['success', 'fail']) add(`cpu.haltpoll.${result}.time`);
  const balloon =
    'current maximum swap_in swap_out major_fault minor_fault unused available usable last-update disk_caches hugetlb_pgalloc hugetlb_pgfail rss';
  for (const field of balloon.split(' ')) add(`balloon.${field}`);
  add('vcpu.current', 'uint', vm.vcpus);
  add('vcpu.maximum', 'uint', vm.vcpus);
  for (let n = 0; n < vm.vcpus; n++) addVcpu(add, n, vm.kvm);
  add('net.count', 'uint', vm.nics);
  for (let n = 0; n < vm.nics; n++) addNic(add, n, `vnet${index * vm.nics + n}`);
  add('block.count', 'uint', vm.disks);
  for (let n = 0; n < vm.disks; n++) addDisk(add, n, index);
  const id = `00000000-0000-4000-8000-${index.toString(16).padStart(12, '0')}` as VmId;
  return { name: `vm-${String(index).padStart(5, '0')}`, id, domainId: index + 1, params };
}

type Add = (field: string, type?: ReplyParamType, value?: ReplyParam['value']) => void;

function addVcpu(add: Add, n: number, kvm: boolean): void {
  add(`vcpu.${n}.state`, 'int', 1);
  for (const field of ['time', 'wait', 'delay']) add(`vcpu.${n}.${field}`);
  if (!kvm) return;
  for (const counter of kvmCounters) {
    if (counter.endsWith('!')) add(`vcpu.${n}.${counter.slice(0, -1)}.cur`, 'boolean', false);
    else add(`vcpu.${n}.${counter}.sum`);
  }
}

function addNic(add: Add, n: number, name: string): void {
  add(`net.${n}.name`, 'string', name);
  for (const direction of ['rx', 'tx']) {
    for (const field of ['bytes', 'pkts', 'errs', 'drop']) add(`net.${n}.${direction}.${field}`);
  }
}

function addDisk(add: Add, n: number, vm: number): void {
  const image = `${vm.toString(16).padStart(8, '0')}-0000-4000-8000-00000000000${n}`;
  add(`block.${n}.name`, 'string', `vd${String.fromCharCode(97 + n)}`);
  add(`block.${n}.path`, 'string', `/rhev/data-center/mnt/nas:_data/7a9a1478/images/${image}/${image}`);
  add(`block.${n}.backingIndex`, 'uint', n + 1);
  for (const operation of ['rd', 'wr']) {
    for (const field of ['reqs', 'bytes', 'times']) add(`block.${n}.${operation}.${field}`);
  }
  for (const field of ['fl.reqs', 'fl.times', 'allocation', 'capacity', 'physical'])
    add(`block.${n}.${field}`);
}
