/** VMs and batches for the tests of the sampler: a VM like the one of the recorded samples, batches by field name. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DomainDescription } from '../../../src/domain/devices.js';
import type { VmId } from '../../../src/domain/ids.js';
import { BLOCK_COLUMNS, BlockColumn, NET_COLUMNS, NetColumn, Scalar } from '../../../src/domain/stats.js';
import { StatsBatchBuilder, type StatsBatch } from '../../../src/domain/stats.js';
import { defaultGuest } from '../../../src/domain/guest-info.js';
import type { Vm, VmSource } from '../../../src/domain/vm.js';
import { packageRoot } from '../../../src/util/package-root.js';

/** libvirt's field names of one VM and their values. */
export type Fields = Record<string, number | string>;

export function vmId(n: number): VmId {
  return `5a1e0000-0000-4000-8000-${n.toString(16).padStart(12, '0')}` as VmId;
}

export function readGolden(name: string): unknown {
  return JSON.parse(readFileSync(join(packageRoot, 'test/golden/vdsm-record', name), 'utf8'));
}

export const domain: DomainDescription = {
  id: vmId(0),
  name: 'vm-0000.example.com',
  type: 'kvm',
  xml: '<domain/>',
  devicesHash: '3156824018811082017',
  memoryKiB: 4194304,
  currentMemoryKiB: 4194304,
  vcpus: 2,
  maxVcpus: 16,
  acpi: true,
  balloonModel: 'virtio',
  disks: [0, 1].map((n) => ({
    target: `sd${'ab'[n]!}`,
    device: 'disk' as const,
    bus: 'scsi',
    source: `/images/${n}`,
    alias: `disk${n}`,
    imageId: `11110000-0000-4000-8000-00000000000${n}`,
  })),
  nics: [{ target: 'vnet0', mac: '56:6f:00:00:00:00', model: 'virtio', alias: 'net0', passthrough: false }],
  graphics: [{ type: 'vnc', port: '5900', tlsPort: '', listenAddress: '192.168.122.10' }],
  channels: [],
  guestAgentConnected: false,
  metadata: { minGuaranteedMemoryMb: 1024 },
};

export function makeVm(changes: Partial<Vm> = {}): Vm {
  return {
    id: vmId(0),
    name: 'vm-0000.example.com',
    internal: 'Up',
    cpuRunning: true,
    status: 'Up',
    domain,
    startedAtMs: 0,
    clientIp: '',
    clientPort: '',
    timeOffsetSec: 0,
    monitorResponsive: true,
    vcpuQuota: -1,
    vcpuPeriod: 100000,
    guest: defaultGuest,
    external: false,
    ...changes,
  };
}

const scalarFields: Record<string, number> = {
  'state.state': Scalar.state,
  'state.reason': Scalar.reason,
  'cpu.time': Scalar.cpuTime,
  'cpu.user': Scalar.cpuUser,
  'cpu.system': Scalar.cpuSystem,
  'balloon.current': Scalar.balloonCurrent,
  'balloon.maximum': Scalar.balloonMaximum,
  'balloon.swap_in': Scalar.swapIn,
  'balloon.swap_out': Scalar.swapOut,
  'balloon.major_fault': Scalar.majorFault,
  'balloon.minor_fault': Scalar.minorFault,
  'balloon.unused': Scalar.unused,
  'balloon.available': Scalar.available,
  'balloon.disk_caches': Scalar.diskCaches,
  'balloon.rss': Scalar.rss,
  'vcpu.current': Scalar.vcpuCurrent,
};
const netFields: Record<string, number> = {
  'rx.bytes': NetColumn.rxBytes,
  'rx.errs': NetColumn.rxErrs,
  'rx.drop': NetColumn.rxDrop,
  'tx.bytes': NetColumn.txBytes,
  'tx.errs': NetColumn.txErrs,
  'tx.drop': NetColumn.txDrop,
};
const blockFields: Record<string, number> = {
  'rd.reqs': BlockColumn.rdReqs,
  'rd.bytes': BlockColumn.rdBytes,
  'rd.times': BlockColumn.rdTimes,
  'wr.reqs': BlockColumn.wrReqs,
  'wr.bytes': BlockColumn.wrBytes,
  'wr.times': BlockColumn.wrTimes,
  'fl.reqs': BlockColumn.flReqs,
  'fl.times': BlockColumn.flTimes,
  allocation: BlockColumn.allocation,
  capacity: BlockColumn.capacity,
  physical: BlockColumn.physical,
};

/** A batch with these VMs, each by its id and libvirt's field names. */
export function batchOf(...vms: readonly (readonly [VmId, Fields])[]): StatsBatch {
  const batch = new StatsBatchBuilder();
  for (const [id, fields] of vms) {
    batch.beginVm(id);
    for (const [name, column] of Object.entries(scalarFields)) {
      const value = fields[name];
      if (typeof value === 'number') batch.setScalar(column, value);
    }
    for (let n = 0; `net.${n}.name` in fields; n++) {
      const row = batch.addNet(String(fields[`net.${n}.name`]));
      fill(batch.net, row * NET_COLUMNS, netFields, (name) => fields[`net.${n}.${name}`]);
    }
    for (let n = 0; `block.${n}.name` in fields; n++) {
      const row = batch.addBlock(String(fields[`block.${n}.name`]), '');
      fill(batch.block, row * BLOCK_COLUMNS, blockFields, (name) => fields[`block.${n}.${name}`]);
    }
  }
  return batch;
}

function fill(
  target: Float64Array,
  at: number,
  columns: Record<string, number>,
  valueOf: (name: string) => number | string | undefined,
): void {
  for (const [name, column] of Object.entries(columns)) {
    const value = valueOf(name);
    if (typeof value === 'number') target[at + column] = value;
  }
}

/** The set of VMs, as the registry shows it, changed by the test. */
export class TestVms implements VmSource {
  readonly #vms = new Map<VmId, Vm>();
  readonly #listeners = new Set<(id: VmId, vm: Vm | undefined, before: Vm | undefined) => void>();

  constructor(...vms: Vm[]) {
    for (const vm of vms) this.#vms.set(vm.id, vm);
  }
  get(id: VmId): Vm | undefined {
    return this.#vms.get(id);
  }
  all(): Iterable<Vm> {
    return this.#vms.values();
  }
  get size(): number {
    return this.#vms.size;
  }
  get listenerCount(): number {
    return this.#listeners.size;
  }
  onChange(listener: (id: VmId, vm: Vm | undefined, before: Vm | undefined) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
  put(vm: Vm): void {
    const before = this.#vms.get(vm.id);
    this.#vms.set(vm.id, vm);
    for (const listener of this.#listeners) listener(vm.id, vm, before);
  }
  forget(id: VmId): void {
    const before = this.#vms.get(id);
    this.#vms.delete(id);
    for (const listener of this.#listeners) listener(id, undefined, before);
  }
}
