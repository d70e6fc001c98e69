/**
 * The table of bulk statistics: which fields a domain of a given shape has, in libvirt 9.0's order and
 * types, and where each value comes from.
 *
 * Counters are `rate x factor x seconds run`: nothing is stored or ticked. `monitor` marks what libvirt
 * must ask QEMU for, `inactive` what it also tells of a domain that does not run (reference: recordings of
 * libvirt 9.0 with QEMU 7.2 on KVM).
 */
import { StatsGroup } from '../domain/stats.js';
import type { TypedParamType } from '../libvirt/typed-params.js';
import { Factor } from './domain.js';
import type { SimulatedDomain } from './domain.js';
import { kvmVcpuCounters, kvmVmCounters } from './kvm-counters.js';

/** Groups that the agent's own StatsGroup does not name. */
export const ExtraGroup = { perf: 64, iothread: 128, memory: 256, dirtyRate: 512, vm: 1024 } as const;
export const ALL_GROUPS = 2047;

export type Source =
  | { readonly kind: 'counter'; readonly perSec: number; readonly factor: number }
  | { readonly kind: 'gauge'; readonly read: (domain: SimulatedDomain) => number }
  | { readonly kind: 'text'; readonly read: (domain: SimulatedDomain) => string };

export interface StatsField {
  readonly name: string;
  readonly group: number;
  readonly type: TypedParamType;
  readonly source: Source;
  /** Only QEMU's monitor knows it. */
  readonly monitor: boolean;
  /** Told of inactive domains too. */
  readonly inactive: boolean;
}

/** What the set of fields depends on. */
export interface Shape {
  readonly vcpus: number;
  /** Of each disk: whether it has a medium. */
  readonly disks: readonly boolean[];
  readonly nics: number;
  /** Whether the balloon driver reports guest memory. */
  readonly guestMemory: boolean;
}

export function shapeOf(domain: SimulatedDomain): Shape {
  const { config } = domain;
  return {
    vcpus: config.vcpus,
    disks: config.disks.map((disk) => disk.path !== ''),
    nics: config.nics.length,
    guestMemory: (config.balloonPeriodSec ?? 0) > 0,
  };
}

export function fieldsOf(shape: Shape): StatsField[] {
  return [
    ...stateFields,
    ...cpuFields(shape.vcpus),
    ...(shape.guestMemory ? balloonFields : balloonFields.filter((field) => !guestOnly.has(field.name))),
    ...vcpuFields(shape.vcpus),
    gauge('net.count', StatsGroup.interface, 'uint', () => shape.nics),
    ...Array.from({ length: shape.nics }, (_, nic) => nicFields(nic)).flat(),
    gauge('block.count', StatsGroup.block, 'uint', () => shape.disks.length, { inactive: true }),
    ...shape.disks.flatMap((medium, disk) => diskFields(disk, medium)),
    ...dirtyRateFields,
    ...kvmVmCounters.map(([name, total]) =>
      gauge(`vm.${name}`, ExtraGroup.vm, 'ullong', () => total, fromMonitor),
    ),
  ];
}

interface Marks {
  readonly monitor?: boolean;
  readonly inactive?: boolean;
}
const fromMonitor: Marks = { monitor: true };
const always: Marks = { inactive: true };

function field(
  name: string,
  group: number,
  type: TypedParamType,
  source: Source,
  marks: Marks = {},
): StatsField {
  return { name, group, type, source, monitor: marks.monitor ?? false, inactive: marks.inactive ?? false };
}

function gauge(
  name: string,
  group: number,
  type: TypedParamType,
  read: (domain: SimulatedDomain) => number,
  marks?: Marks,
): StatsField {
  return field(name, group, type, { kind: 'gauge', read }, marks);
}

function counter(name: string, group: number, perSec: number, factor: number, marks?: Marks): StatsField {
  return field(name, group, 'ullong', { kind: 'counter', perSec, factor }, marks);
}

const stateFields = [
  gauge('state.state', StatsGroup.state, 'int', (domain) => domain.state, always),
  gauge('state.reason', StatsGroup.state, 'int', (domain) => domain.reason, always),
];

function cpuFields(vcpus: number): StatsField[] {
  const perSec = vcpus * 1.02e9;
  return [
    counter('cpu.time', StatsGroup.cpu, perSec, Factor.cpu, always),
    counter('cpu.user', StatsGroup.cpu, perSec * 0.7, Factor.cpu, always),
    counter('cpu.system', StatsGroup.cpu, perSec * 0.3, Factor.cpu, always),
    gauge('cpu.cache.monitor.count', StatsGroup.cpu, 'uint', () => 0),
    counter('cpu.haltpoll.success.time', StatsGroup.cpu, 2.1e5, Factor.cpu, fromMonitor),
    counter('cpu.haltpoll.fail.time', StatsGroup.cpu, 7.7e5, Factor.cpu, fromMonitor),
  ];
}

/** KiB that the guest's own programs take: a slow wave that stands still while the guest does. */
function usedKiB(domain: SimulatedDomain): number {
  const wave = 0.45 + 0.2 * Math.sin(domain.activeSec / 300 + domain.factors[Factor.disk]! * 10);
  return Math.floor(domain.config.currentMemoryKiB * wave);
}

function availableKiB(domain: SimulatedDomain): number {
  return Math.floor(domain.config.currentMemoryKiB * 0.96);
}

function cachesKiB(domain: SimulatedDomain): number {
  return Math.floor(domain.config.currentMemoryKiB * 0.15);
}

const balloon = (name: string, read: (domain: SimulatedDomain) => number, marks: Marks = fromMonitor) =>
  gauge(`balloon.${name}`, StatsGroup.balloon, 'ullong', read, marks);
const faults = (name: string, perSec: number) =>
  counter(`balloon.${name}`, StatsGroup.balloon, perSec, Factor.disk, fromMonitor);

const balloonFields = [
  balloon('current', (domain) => domain.config.currentMemoryKiB, always),
  balloon('maximum', (domain) => domain.config.memoryKiB, always),
  faults('swap_in', 0.5),
  faults('swap_out', 0.8),
  faults('major_fault', 0.3),
  faults('minor_fault', 420),
  balloon('unused', (domain) => availableKiB(domain) - usedKiB(domain) - cachesKiB(domain)),
  balloon('available', availableKiB),
  balloon('usable', (domain) => availableKiB(domain) - usedKiB(domain)),
  balloon('last-update', balloonUpdatedAtSec),
  balloon('disk_caches', cachesKiB),
  balloon('hugetlb_pgalloc', () => 0),
  balloon('hugetlb_pgfail', () => 0),
  balloon('rss', (domain) => Math.floor(domain.config.currentMemoryKiB * 0.9)),
];

/** Fields that come from the guest's balloon driver, and so need a statistics period. */
const guestOnly = new Set(
  balloonFields
    .map((entry) => entry.name)
    .filter((name) => !/\.(current|maximum|last-update|rss)$/.test(name)),
);

/** Epoch seconds of the driver's last report. */
function balloonUpdatedAtSec(domain: SimulatedDomain): number {
  const periodSec = domain.config.balloonPeriodSec ?? 0;
  return periodSec > 0 ? Math.floor(domain.guestWallSec / periodSec) * periodSec : 0;
}

function vcpuFields(vcpus: number): StatsField[] {
  const fields = [
    gauge('vcpu.current', StatsGroup.vcpu, 'uint', (domain) => domain.config.vcpus, always),
    gauge('vcpu.maximum', StatsGroup.vcpu, 'uint', (domain) => domain.config.maxVcpus, always),
  ];
  for (let vcpu = 0; vcpu < vcpus; vcpu++) {
    // The first vCPU works most; together they make the domain's load.
    const share = (2 * (vcpus - vcpu)) / (vcpus + 1);
    const count = (name: string, perSec: number, factor: number = Factor.cpu, marks?: Marks) =>
      counter(`vcpu.${vcpu}.${name}`, StatsGroup.vcpu, perSec * share, factor, marks);
    fields.push(
      gauge(`vcpu.${vcpu}.state`, StatsGroup.vcpu, 'int', () => 1),
      count('time', 1e9),
      count('wait', 0),
      count('delay', 1.5e6),
      ...kvmVcpuCounters.map(([name, perSec]) =>
        name.endsWith('.cur')
          ? gauge(`vcpu.${vcpu}.${name}`, StatsGroup.vcpu, 'boolean', () => 0, fromMonitor)
          : count(name, perSec, Factor.cpu, fromMonitor),
      ),
    );
  }
  return fields;
}

function nicFields(nic: number): StatsField[] {
  const count = (name: string, perSec: number) =>
    counter(`net.${nic}.${name}`, StatsGroup.interface, perSec, Factor.net);
  const name: Source = { kind: 'text', read: ({ config }) => config.nics[nic]?.tap ?? '' };
  return [
    field(`net.${nic}.name`, StatsGroup.interface, 'string', name),
    count('rx.bytes', 24_000),
    count('rx.pkts', 40),
    count('rx.errs', 0),
    count('rx.drop', 0.001),
    count('tx.bytes', 9000),
    count('tx.pkts', 32),
    count('tx.errs', 0),
    count('tx.drop', 0),
  ];
}

/** Bytes of the image that are in use: a third at first, growing with what is written, never over the capacity. */
function usedBytes(domain: SimulatedDomain, disk: number): number {
  const capacity = domain.config.disks[disk]?.capacityBytes ?? 0;
  const written = Math.floor(domain.activeSec * 64 * domain.factors[Factor.disk]!) * 4096;
  return Math.min(capacity, Math.floor(capacity / 3 / 65_536) * 65_536 + written);
}

function diskFields(disk: number, medium: boolean): StatsField[] {
  const named = (name: string, read: (domain: SimulatedDomain) => string, marks: Marks = always) =>
    field(`block.${disk}.${name}`, StatsGroup.block, 'string', { kind: 'text', read }, marks);
  const count = (name: string, perSec: number) =>
    counter(`block.${disk}.${name}`, StatsGroup.block, perSec / (disk + 1), Factor.disk, fromMonitor);
  const size = (name: string, read: (domain: SimulatedDomain) => number) =>
    gauge(`block.${disk}.${name}`, StatsGroup.block, 'ullong', read, { monitor: true, inactive: true });
  const fields = [
    named('name', (domain) => domain.config.disks[disk]?.target ?? ''),
    ...(medium
      ? [
          named('path', (domain) => domain.config.disks[disk]?.path ?? ''),
          gauge(
            `block.${disk}.backingIndex`,
            StatsGroup.block,
            'uint',
            (d) => d.config.disks[disk]?.index ?? 0,
          ),
        ]
      : []),
    count('rd.reqs', 12),
    count('rd.bytes', 196_608),
    count('rd.times', 4.1e6),
    count('wr.reqs', 18),
    count('wr.bytes', 147_456),
    count('wr.times', 1.3e7),
    count('fl.reqs', 1.5),
    count('fl.times', 6.5e6),
  ];
  if (!medium) return fields;
  return [
    ...fields,
    size('allocation', (domain) => usedBytes(domain, disk)),
    size('capacity', (domain) => domain.config.disks[disk]?.capacityBytes ?? 0),
    size('physical', (domain) => usedBytes(domain, disk) + 204_800),
  ];
}

const dirtyRateFields = [
  gauge('dirtyrate.calc_status', ExtraGroup.dirtyRate, 'int', () => 0, fromMonitor),
  gauge('dirtyrate.calc_start_time', ExtraGroup.dirtyRate, 'llong', () => 0, fromMonitor),
  gauge('dirtyrate.calc_period', ExtraGroup.dirtyRate, 'int', () => 0, fromMonitor),
  field(
    'dirtyrate.calc_mode',
    ExtraGroup.dirtyRate,
    'string',
    { kind: 'text', read: () => 'page-sampling' },
    fromMonitor,
  ),
];
