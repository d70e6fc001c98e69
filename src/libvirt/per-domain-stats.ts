/**
 * Statistics call by call, for daemons that answer bulk statistics only in part, such as libvirt's test driver.
 * Yields the same columns as the bulk decoder; far slower, so it is the second choice.
 *
 * A call that fails leaves its values out (NaN) and nothing else: not every driver has every call. A domain that
 * is gone is left out. Only the loss of the connection, or the caller's own abort, ends the whole.
 */
import { HypervisorError } from '../domain/hypervisor.js';
import type { CallOptions } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import {
  BLOCK_COLUMNS,
  NET_COLUMNS,
  Scalar,
  SCALARS,
  StatsBatchBuilder,
  StatsGroup,
} from '../domain/stats.js';
import type { StatsBatch } from '../domain/stats.js';
import { asking, setKnown, unknowns } from './per-domain-ask.js';
import type { Ask } from './per-domain-ask.js';
import { readDevices } from './per-domain-devices.js';
import type { DeviceValues } from './per-domain-devices.js';
import type { TypedCall } from './procedures.js';

/** One less than a connection takes, so that another call finds room. */
const DOMAINS_AT_ONCE = 3;
const MAX_MEMORY_STATS = 13;
const INFO_GROUPS = StatsGroup.cpu | StatsGroup.balloon | StatsGroup.vcpu;
/** cpu_time, user_time, system_time. */
const CPU_TOTAL_PARAMS = 3;

interface Sample {
  readonly scalars: Float64Array;
  readonly nets: readonly DeviceValues[];
  readonly blocks: readonly DeviceValues[];
}

/**
 * @param groups StatsGroup bits
 * @param options the deadline counts for each call
 */
export async function perDomainStats(
  call: TypedCall,
  ids: readonly VmId[],
  groups: number,
  options?: CallOptions,
): Promise<StatsBatch> {
  const samples = new Map<VmId, Sample>();
  const queue = new Set(ids).values();
  const reader = async (): Promise<void> => {
    for (const id of queue) {
      const sample = await sampleOf(asking(call, id, options), groups);
      if (sample) samples.set(id, sample);
    }
  };
  await Promise.all(Array.from({ length: DOMAINS_AT_ONCE }, reader));
  return batchOf(ids, samples);
}

async function sampleOf(ask: Ask, groups: number): Promise<Sample | undefined> {
  const scalars = unknowns(SCALARS);
  try {
    if (groups & StatsGroup.state) await readState(ask, scalars);
    if (groups & INFO_GROUPS) await readInfo(ask, scalars, groups);
    return { scalars, ...(await readDevices(ask, groups)) };
  } catch (error) {
    if (error instanceof HypervisorError && error.kind === 'no-domain') return undefined;
    throw error;
  }
}

async function readState(ask: Ask, scalars: Float64Array): Promise<void> {
  const state = await ask((call, dom, options) => call('DOMAIN_GET_STATE', { dom, flags: 0 }, options));
  if (!state) return;
  scalars[Scalar.state] = state.state;
  scalars[Scalar.reason] = state.reason;
}

/** INFO_GROUPS share DOMAIN_GET_INFO. */
async function readInfo(ask: Ask, scalars: Float64Array, groups: number): Promise<void> {
  const info = await ask((call, dom, options) => call('DOMAIN_GET_INFO', { dom }, options));
  if (groups & StatsGroup.cpu) {
    scalars[Scalar.cpuTime] = info?.cpuTime ?? NaN;
    await readCpu(ask, scalars);
  }
  if (groups & StatsGroup.balloon) {
    scalars[Scalar.balloonCurrent] = info?.memory ?? NaN;
    scalars[Scalar.balloonMaximum] = info?.maxMem ?? NaN;
    await readMemory(ask, scalars);
  }
  if (groups & StatsGroup.vcpu) {
    scalars[Scalar.vcpuCurrent] = info?.vcpus ?? NaN;
    const maximum = await ask((call, dom, options) => call('DOMAIN_GET_MAX_VCPUS', { dom }, options));
    scalars[Scalar.vcpuMaximum] = maximum?.num ?? NaN;
  }
}

const cpuColumns: ReadonlyMap<string, number> = new Map([
  ['cpu_time', Scalar.cpuTime],
  ['user_time', Scalar.cpuUser],
  ['system_time', Scalar.cpuSystem],
]);

async function readCpu(ask: Ask, scalars: Float64Array): Promise<void> {
  const total = { nparams: CPU_TOTAL_PARAMS, startCpu: -1, ncpus: 1, flags: 0 };
  const reply = await ask((call, dom, options) => call('DOMAIN_GET_CPU_STATS', { dom, ...total }, options));
  for (const { field, value } of reply?.params ?? []) setKnown(scalars, cpuColumns.get(field), Number(value));
}

/** Column by libvirt's tag: 0 swap_in ... 10 disk_caches. */
const memoryColumns = [
  Scalar.swapIn,
  Scalar.swapOut,
  Scalar.majorFault,
  Scalar.minorFault,
  Scalar.unused,
  Scalar.available,
  Scalar.balloonCurrent,
  Scalar.rss,
  Scalar.usable,
  Scalar.lastUpdate,
  Scalar.diskCaches,
];

async function readMemory(ask: Ask, scalars: Float64Array): Promise<void> {
  const wanted = { maxStats: MAX_MEMORY_STATS, flags: 0 };
  const reply = await ask((call, dom, options) => call('DOMAIN_MEMORY_STATS', { dom, ...wanted }, options));
  for (const { tag, value } of reply?.stats ?? []) setKnown(scalars, memoryColumns[tag], value);
}

function batchOf(ids: readonly VmId[], samples: ReadonlyMap<VmId, Sample>): StatsBatch {
  const batch = new StatsBatchBuilder(samples.size);
  for (const id of ids) {
    const sample = samples.get(id);
    if (!sample) continue;
    const vm = batch.beginVm(id);
    batch.scalars.set(sample.scalars, vm * SCALARS);
    for (const { name, values } of sample.nets) {
      const row = batch.addNet(name);
      batch.net.set(values, row * NET_COLUMNS);
    }
    for (const { name, path, values } of sample.blocks) {
      const row = batch.addBlock(name, path);
      batch.block.set(values, row * BLOCK_COLUMNS);
    }
  }
  return batch;
}
