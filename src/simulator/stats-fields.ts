/**
 * The table of bulk statistics: which fields a domain of a given shape has, in libvirt 9.0's order and
 * types, and where each value comes from.
 *
 * Counters are `rate x factor x seconds run`, those of a device that was plugged in since then: nothing is stored or
 * ticked. `monitor` marks what libvirt must ask QEMU for, `inactive` what it also tells of a domain that does not run
 * (reference: recordings of libvirt 9.0 with QEMU 7.2 on KVM).
 */
import { StatsGroup } from '../domain/stats.js';
import { diskIndex } from './domain-config.js';
import { Factor } from './domain.js';
import type { SimulatedDomain } from './domain.js';
import { diskFields, nicFields } from './stats-device-fields.js';
import { always, counter, field, fromMonitor, gauge } from './stats-field.js';
import type { Marks, StatsField } from './stats-field.js';
import { kvmVcpuCounters, kvmVmCounters } from './kvm-counters.js';

/** Groups that the agent's own StatsGroup does not name. */
export const ExtraGroup = { perf: 64, iothread: 128, memory: 256, dirtyRate: 512, vm: 1024 } as const;
export const ALL_GROUPS = 2047;

/** What the set of fields depends on. */
export interface Shape {
  readonly vcpus: number;
  /** Those that do the domain's work. */
  readonly busyVcpus: number;
  readonly disks: readonly {
    /** Of the target's name: how busy the disk is, wherever it stands among the others. */
    readonly rank: number;
    readonly medium: boolean;
  }[];
  readonly nics: number;
  /** Whether the balloon driver reports guest memory. */
  readonly guestMemory: boolean;
}

export function shapeOf(domain: SimulatedDomain): Shape {
  const { config } = domain;
  return {
    vcpus: config.vcpus,
    busyVcpus: config.bootVcpus ?? config.vcpus,
    disks: config.disks.map(({ target, path }) => ({ rank: diskIndex(target), medium: path !== '' })),
    nics: config.nics.length,
    guestMemory: (config.balloonPeriodSec ?? 0) > 0,
  };
}

export function fieldsOf(shape: Shape): StatsField[] {
  return [
    ...stateFields,
    ...cpuFields(shape.busyVcpus),
    ...(shape.guestMemory ? balloonFields : balloonFields.filter((field) => !guestOnly.has(field.name))),
    ...vcpuFields(shape),
    gauge('net.count', StatsGroup.interface, 'uint', () => shape.nics),
    ...Array.from({ length: shape.nics }, (_, nic) => nicFields(nic)).flat(),
    gauge('block.count', StatsGroup.block, 'uint', () => shape.disks.length, { inactive: true }),
    ...shape.disks.flatMap(({ rank, medium }, disk) => diskFields(disk, rank, medium)),
    ...dirtyRateFields,
    ...kvmVmCounters.map(([name, total]) =>
      gauge(`vm.${name}`, ExtraGroup.vm, 'ullong', () => total, fromMonitor),
    ),
  ];
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

function vcpuFields({ vcpus, busyVcpus }: Shape): StatsField[] {
  const fields = [
    gauge('vcpu.current', StatsGroup.vcpu, 'uint', (domain) => domain.config.vcpus, always),
    gauge('vcpu.maximum', StatsGroup.vcpu, 'uint', (domain) => domain.config.maxVcpus, always),
  ];
  for (let vcpu = 0; vcpu < vcpus; vcpu++) {
    // The first vCPU works most; together they make the domain's load.
    const share = (2 * Math.max(0, busyVcpus - vcpu)) / (busyVcpus + 1);
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
