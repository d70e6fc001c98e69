/**
 * Handlers of single figures about one domain. They read the same table as the bulk records, so that a
 * value asked for in two ways is one value.
 */
import type { TypedParam } from '../libvirt/typed-params.js';
import type { Call, Handlers } from './call.js';
import type { SimulatedDomain } from './domain.js';
import { Fault } from './fault.js';

const ControlState = { ok: 0, occupied: 2 } as const;
const AddressSource = { lease: 0, agent: 1 } as const;

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

/** Weights and bandwidth of a running domain that nobody has set. */
const scheduler: readonly TypedParam[] = [
  { field: 'cpu_shares', type: 'ullong', value: 100 },
  ...['vcpu', 'emulator', 'global', 'iothread'].flatMap((part): TypedParam[] => [
    { field: `${part}_period`, type: 'ullong', value: 100_000 },
    { field: `${part}_quota`, type: 'llong', value: -1 },
  ]),
];
/** A stopped one's definition says nothing of them. */
const unscheduled = scheduler.map((param): TypedParam => ({ ...param, value: 0 }) as TypedParam);

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
  DOMAIN_GET_VCPUS_FLAGS: (call, { dom }) => ({ num: call.domain(dom).config.vcpus }),
  DOMAIN_GET_DISK_ERRORS(call, { dom, maxErrors }) {
    const domain = call.activeDomain(dom);
    const nerrors = maxErrors === 0 ? domain.config.disks.length : 0;
    return call.withMonitor(domain, () => ({ errors: [], nerrors }));
  },
  DOMAIN_GET_JOB_INFO: (call, { dom }) => call.withJob(call.activeDomain(dom), () => noJob),
  DOMAIN_GET_JOB_STATS: (call, { dom }) =>
    call.withJob(call.activeDomain(dom), () => ({ type: 0, params: [] })),
  DOMAIN_GET_BLOCK_JOB_INFO(call, { dom, path }) {
    const domain = call.activeDomain(dom);
    diskIndex(domain, path);
    return call.withJob(domain, () => ({ found: 0, type: 0, bandwidth: 0, cur: 0, end: 0 }));
  },
  DOMAIN_GET_SCHEDULER_TYPE(call, { dom }) {
    call.domain(dom);
    return { type: 'posix', nparams: scheduler.length };
  },
  DOMAIN_GET_SCHEDULER_PARAMETERS(call, { dom, nparams }) {
    return schedulerParams(call.domain(dom), nparams);
  },
  DOMAIN_GET_SCHEDULER_PARAMETERS_FLAGS(call, { dom, nparams }) {
    return schedulerParams(call.domain(dom), nparams);
  },
  DOMAIN_INTERFACE_ADDRESSES(call, { dom, source }) {
    const domain = call.activeDomain(dom);
    const fromAgent = source === AddressSource.agent;
    if (fromAgent && !domain.agentConnected) throw new Fault('agent', 'QEMU guest agent is not connected');
    const loopback = { name: 'lo', mac: '00:00:00:00:00:00', addresses: [address('127.0.0.1', 8)] };
    const nics = domain.config.nics.map((nic, index) => ({
      name: fromAgent ? `eth${index}` : (domain.taps[index] ?? ''),
      mac: nic.mac,
      addresses: [address(`10.${(domain.id >> 8) & 0xff}.${domain.id & 0xff}.${index + 2}`, 8)],
    }));
    return { interfaces: fromAgent ? [loopback, ...nics] : nics };
  },
} as const satisfies Handlers;

const noJob = {
  type: 0,
  timeElapsed: 0,
  timeRemaining: 0,
  dataTotal: 0,
  dataProcessed: 0,
  dataRemaining: 0,
  memTotal: 0,
  memProcessed: 0,
  memRemaining: 0,
  fileTotal: 0,
  fileProcessed: 0,
  fileRemaining: 0,
};

function address(text: string, prefix: number) {
  return { type: 0, address: text, prefix };
}

function schedulerParams({ active }: SimulatedDomain, nparams: number): { params: readonly TypedParam[] } {
  if (nparams <= 0) {
    throw new Fault('invalid-argument', 'nparams in virDomainGetSchedulerParameters must not be zero');
  }
  return { params: (active ? scheduler : unscheduled).slice(0, nparams) };
}
