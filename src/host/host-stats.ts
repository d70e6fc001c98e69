/**
 * The answer of Host.getStats, made of two samples of the CPUs and of what memory, network and VMs are now. Pure.
 *
 * Types are those that an engine insists on: percentages and times are text, sizes whole numbers of MiB. What is
 * not known is left out (ksmCpu: nobody counts it; storage and multipath: this agent drives none).
 */
import type { Vm } from '../domain/vm.js';
import { networkStats, type InterfaceFacts } from './network.js';
import type { CpuTicks, NetCounters, ProcStat } from './proc.js';

/** CPU times at one moment. */
export interface HostSample {
  /** Monotonic. */
  readonly atMs: number;
  readonly stat: ProcStat;
}

export interface StatsFacts {
  readonly sample: HostSample;
  /** Absent: the counters' own beginning, so that the figures are averages since boot. */
  readonly previous: HostSample | undefined;
  /** Monotonic. */
  readonly nowMs: number;
  /** Epoch ms. */
  readonly wallMs: number;
  readonly meminfo: ReadonlyMap<string, number>;
  /** /proc/loadavg. */
  readonly loadavg: string;
  readonly interfaces: readonly InterfaceFacts[];
  readonly netCounters: ReadonlyMap<string, NetCounters>;
  readonly ksm: KsmFacts | undefined;
  /** The choice of /sys/kernel/mm/transparent_hugepage/enabled. */
  readonly thpState: string | undefined;
  /** Counters by size in KiB, and in it by the kernel's name. */
  readonly hugePages: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Memory by NUMA node. */
  readonly nodes: ReadonlyMap<number, ReadonlyMap<string, number>>;
  /** NUMA node by CPU. */
  readonly nodeOfCpu: ReadonlyMap<number, number>;
  readonly vms: Iterable<Vm>;
}

export interface KsmFacts {
  readonly running: boolean;
  readonly pagesToScan: number;
  readonly pagesSharing: number;
}

const PAGE_KIB = 4;

export function buildStats(facts: StatsFacts): Record<string, unknown> {
  const load = percentages(facts.sample.stat.all, facts.previous?.stat.all);
  const { bootTimeSec } = facts.sample.stat;
  return {
    ...load,
    cpuLoad: facts.loadavg.split(' ')[0] ?? '',
    cpuStatistics: cpuStatistics(facts),
    ...memoryMembers(facts),
    network: networkStats(facts.interfaces, facts.netCounters, facts.nowMs / 1000),
    ...vmMembers(facts.vms),
    // Age of the CPU figures in seconds.
    statsAge: ((facts.nowMs - facts.sample.atMs) / 1000).toFixed(2),
    dateTime: `${new Date(facts.wallMs).toISOString().slice(0, 19)} GMT`,
    ...(bootTimeSec !== undefined && { bootTime: String(bootTimeSec) }),
    storageDomains: {},
    netConfigDirty: 'False',
  };
}

/** Shares of the time between two samples, as text. Where a CPU came back and its counters began anew: idle. */
function percentages(
  now: CpuTicks,
  before: CpuTicks | undefined,
): Record<'cpuUser' | 'cpuSys' | 'cpuIdle', string> {
  const total = now.total - (before?.total ?? 0);
  const share = (ticks: number): string => (Math.min(1, Math.max(0, ticks / total)) * 100).toFixed(2);
  if (total <= 0) return { cpuUser: '0.00', cpuSys: '0.00', cpuIdle: '100.00' };
  return {
    cpuUser: share(now.user - (before?.user ?? 0)),
    cpuSys: share(now.system - (before?.system ?? 0)),
    cpuIdle: share(now.idle - (before?.idle ?? 0)),
  };
}

function cpuStatistics({ sample, previous, nodeOfCpu }: StatsFacts): Record<string, object> {
  return Object.fromEntries(
    [...sample.stat.cpus].map(([cpu, ticks]) => [
      String(cpu),
      { ...percentages(ticks, previous?.stat.cpus.get(cpu)), nodeIndex: nodeOfCpu.get(cpu) ?? 0 },
    ]),
  );
}

function memoryMembers({ meminfo, ksm, thpState, hugePages, nodes }: StatsFacts): Record<string, unknown> {
  const kib = (name: string): number => meminfo.get(name) ?? 0;
  const mib = (name: string): number => Math.floor(kib(name) / 1024);
  // As VDSM counts it: what the page cache holds is free.
  const freeKiB = kib('MemFree') + kib('Buffers') + kib('Cached');
  return {
    memFree: Math.floor(freeKiB / 1024),
    memAvailable: mib('MemAvailable'),
    memUsed: usedPercent(freeKiB, kib('MemTotal')).toString(),
    swapTotal: mib('SwapTotal'),
    swapFree: mib('SwapFree'),
    anonHugePages: String(mib('AnonHugePages')),
    hugepages: hugePages,
    ...(thpState !== undefined && { thpState }),
    ...(ksm && {
      ksmState: ksm.running,
      ksmPages: ksm.pagesToScan,
      memShared: Math.floor((ksm.pagesSharing * PAGE_KIB) / 1024),
    }),
    numaNodeMemFree: Object.fromEntries(
      [...nodes].map(([node, memory]) => {
        const [free = 0, total = 0] = [memory.get('MemFree'), memory.get('MemTotal')];
        return [
          String(node),
          { memFree: String(Math.floor(free / 1024)), memPercent: usedPercent(free, total) },
        ];
      }),
    ),
  };
}

/** Whole per cent; of nothing, nothing is used. */
function usedPercent(free: number, total: number): number {
  return total <= 0 ? 0 : Math.min(100, Math.max(0, Math.round((1 - free / total) * 100)));
}

function vmMembers(vms: Iterable<Vm>): Record<string, number> {
  let [count, active, incoming, outgoing] = [0, 0, 0, 0];
  for (const { status } of vms) {
    count++;
    if (status === 'Up' || status === 'Powering up' || status === 'RebootInProgress') active++;
    if (status === 'Migration Destination') incoming++;
    if (status === 'Migration Source') outgoing++;
  }
  return {
    vmCount: count,
    vmActive: active,
    vmMigrating: outgoing,
    incomingVmMigrations: incoming,
    outgoingVmMigrations: outgoing,
  };
}
