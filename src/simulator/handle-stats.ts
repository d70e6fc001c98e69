/**
 * Handlers of single figures about one domain. They read the same table as the bulk records, so that a
 * value asked for in two ways is one value.
 */
import type { TypedParam } from '../libvirt/typed-params.js';
import type { Call, Handlers } from './call.js';
import type { SimulatedDomain } from './domain.js';
import { Fault } from './fault.js';

const ControlState = { ok: 0, occupied: 2 } as const;

/** virDomainMemoryStats tags and the balloon fields that they equal. */
const memoryTags: readonly (readonly [number, string])[] = [
  [6, 'current'],
  [0, 'swap_in'],
  [1, 'swap_out'],
  [2, 'major_fault'],
  [3, 'minor_fault'],
  [4, 'unused'],
  [5, 'available'],
  [8, 'usable'],
  [9, 'last-update'],
  [10, 'disk_caches'],
  [11, 'hugetlb_pgalloc'],
  [12, 'hugetlb_pgfail'],
  [7, 'rss'],
];

const blockParams: readonly (readonly [string, string])[] = [
  ['wr_bytes', 'wr.bytes'],
  ['wr_operations', 'wr.reqs'],
  ['rd_bytes', 'rd.bytes'],
  ['rd_operations', 'rd.reqs'],
  ['flush_operations', 'fl.reqs'],
  ['wr_total_times', 'wr.times'],
  ['rd_total_times', 'rd.times'],
  ['flush_total_times', 'fl.times'],
];

function read(call: Call, domain: SimulatedDomain): (name: string) => number {
  const table = call.host.stats.of(domain);
  return (name) => table.value(domain, name);
}

function diskIndex(domain: SimulatedDomain, path: string): number {
  const index = domain.config.disks.findIndex(
    (disk) => path !== '' && (disk.target === path || disk.path === path),
  );
  if (index < 0) throw new Fault('invalid-argument', `invalid path ${path} not assigned to domain`);
  return index;
}

export const statsHandlers = {
  DOMAIN_GET_STATE(call, { dom }) {
    const { state, reason } = call.domain(dom);
    return { state, reason };
  },
  DOMAIN_GET_INFO(call, { dom }) {
    const domain = call.domain(dom);
    const { memoryKiB, currentMemoryKiB, vcpus } = domain.config;
    const cpuTime = read(call, domain)('cpu.time');
    return { state: domain.state, maxMem: memoryKiB, memory: currentMemoryKiB, vcpus, cpuTime };
  },
  DOMAIN_GET_CONTROL_INFO(call, { dom }) {
    const { occupiedMs } = call.activeDomain(dom).monitor;
    if (occupiedMs === undefined) return { state: ControlState.ok, details: 0, stateTime: 0 };
    return { state: ControlState.occupied, details: 0, stateTime: occupiedMs };
  },
  DOMAIN_MEMORY_STATS(call, { dom, maxStats }) {
    const domain = call.activeDomain(dom);
    return call.withMonitor(domain, () => {
      const table = call.host.stats.of(domain);
      const told = memoryTags.filter(([, name]) => table.has(`balloon.${name}`));
      const stats = told.map(([tag, name]) => ({ tag, value: table.value(domain, `balloon.${name}`) }));
      return { stats: stats.slice(0, maxStats) };
    });
  },
  DOMAIN_GET_BLOCK_INFO(call, { dom, path }) {
    const domain = call.domain(dom);
    const disk = `block.${diskIndex(domain, path)}`;
    return call.withMonitor(domain, () => {
      const value = read(call, domain);
      return {
        allocation: value(`${disk}.allocation`),
        capacity: value(`${disk}.capacity`),
        physical: value(`${disk}.physical`),
      };
    });
  },
  DOMAIN_BLOCK_STATS(call, { dom, path }) {
    const domain = call.activeDomain(dom);
    const disk = `block.${diskIndex(domain, path)}`;
    return call.withMonitor(domain, () => {
      const value = read(call, domain);
      return {
        rdReq: value(`${disk}.rd.reqs`),
        rdBytes: value(`${disk}.rd.bytes`),
        wrReq: value(`${disk}.wr.reqs`),
        wrBytes: value(`${disk}.wr.bytes`),
        errs: -1,
      };
    });
  },
  DOMAIN_BLOCK_STATS_FLAGS(call, { dom, path, nparams }) {
    const domain = call.activeDomain(dom);
    const disks = path === '' ? domain.config.disks.map((_disk, index) => index) : [diskIndex(domain, path)];
    return call.withMonitor(domain, () => {
      if (nparams === 0) return { params: [], nparams: blockParams.length };
      const value = read(call, domain);
      const params = blockParams.map(([field, name]): TypedParam => {
        const sum = disks.reduce((total, disk) => total + value(`block.${disk}.${name}`), 0);
        return { field, type: 'llong', value: sum };
      });
      return { params: params.slice(0, nparams), nparams: Math.min(nparams, params.length) };
    });
  },
  DOMAIN_INTERFACE_STATS(call, { dom, device }) {
    const domain = call.activeDomain(dom);
    const macIndex = domain.config.nics.findIndex((nic) => nic.mac === device.toLowerCase());
    const index = Math.max(macIndex, domain.taps.indexOf(device));
    if (index < 0) throw new Fault('invalid-argument', `invalid path, '${device}' is not a known interface`);
    const value = (name: string) => read(call, domain)(`net.${index}.${name}`);
    return {
      rxBytes: value('rx.bytes'),
      rxPackets: value('rx.pkts'),
      rxErrs: value('rx.errs'),
      rxDrop: value('rx.drop'),
      txBytes: value('tx.bytes'),
      txPackets: value('tx.pkts'),
      txErrs: value('tx.errs'),
      txDrop: value('tx.drop'),
    };
  },
  DOMAIN_GET_CPU_STATS(call, { dom, nparams, startCpu, ncpus }) {
    const domain = call.activeDomain(dom);
    if (startCpu !== -1 || ncpus !== 1) {
      throw new Fault('operation-unsupported', 'per-CPU statistics are not available on this host');
    }
    const value = read(call, domain);
    const params = ['time', 'user', 'system'].map((part): TypedParam => {
      const field = part === 'time' ? 'cpu_time' : `${part}_time`;
      return { field, type: 'ullong', value: value(`cpu.${part}`) };
    });
    return { params: nparams === 0 ? [] : params.slice(0, nparams), nparams: params.length };
  },
  DOMAIN_GET_VCPUS(call, { dom, maxInfo, mapLength }) {
    const domain = call.activeDomain(dom);
    const value = read(call, domain);
    const count = Math.max(0, Math.min(maxInfo, domain.config.vcpus));
    const info = Array.from({ length: count }, (_, number) => ({
      number,
      state: 1,
      cpuTime: value(`vcpu.${number}.time`),
      cpu: number % 64,
    }));
    const mapBytes = Math.min(Math.max(0, maxInfo * mapLength), 65_536);
    return { info, cpuMaps: Buffer.alloc(mapBytes, 0xff) };
  },
  DOMAIN_GET_DISK_ERRORS(call, { dom, maxErrors }) {
    const domain = call.activeDomain(dom);
    return call.withMonitor(domain, () => {
      if (maxErrors === 0) return { errors: [], nerrors: domain.config.disks.length };
      const errors = [...domain.diskErrors].map(([disk, error]) => ({ disk, error })).slice(0, maxErrors);
      return { errors, nerrors: errors.length };
    });
  },
} as const satisfies Handlers;
