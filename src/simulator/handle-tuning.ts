/**
 * Handlers that change how much of the host a domain may use: CPU bandwidth, pins, vCPUs, memory, disk limits.
 */
import type { TypedParam } from '../libvirt/typed-params.js';
import { affected, changeConfig, configOf } from './affect.js';
import type { Call, Handlers } from './call.js';
import { cpuListOf, cpuMapOf } from './cpu-map.js';
import { changedLimits, readLimits } from './disk-limits.js';
import { requireDisk } from './block-jobs.js';
import type { SimulatedDomain } from './domain.js';
import { withDisk } from './domain-config.js';
import type { DomainConfig } from './domain-config.js';
import { tunable } from './events.js';
import { Fault } from './fault.js';
import { agentCall } from './agent-call.js';
import { checkedScheduler, readScheduler, schedulerParams } from './scheduler.js';

const MAXIMUM = 4;
const GUEST = 8;
const STRINGS_OKAY = 4;

export const tuningQueries = {
  DOMAIN_GET_SCHEDULER_TYPE(call, { dom }) {
    call.domain(dom);
    return { type: 'posix', nparams: schedulerParams.length };
  },
  DOMAIN_GET_SCHEDULER_PARAMETERS: (call, { dom, nparams }) => schedule(call.domain(dom), nparams, 0),
  DOMAIN_GET_SCHEDULER_PARAMETERS_FLAGS: (call, { dom, nparams, flags }) =>
    schedule(call.domain(dom), nparams, flags & ~STRINGS_OKAY),
  DOMAIN_GET_BLOCK_IO_TUNE(call, { dom, disk, nparams, flags }) {
    const domain = call.domain(dom);
    return call.withMonitor(domain, () => {
      const config = configOf(domain, flags);
      const limits = disk === undefined ? undefined : requireDisk(config, disk).limits;
      const params = readLimits(limits, (flags & STRINGS_OKAY) !== 0);
      return { params: nparams <= 0 ? [] : params.slice(0, nparams), nparams: params.length };
    });
  },
  DOMAIN_GET_VCPUS_FLAGS(call, { dom, flags }) {
    const domain = call.domain(dom);
    const { vcpus, maxVcpus } = configOf(domain, flags);
    return { num: (flags & MAXIMUM) === 0 ? vcpus : maxVcpus };
  },
  DOMAIN_GET_VCPU_PIN_INFO(call, { dom, count, mapLength, flags }) {
    const { pins, maxVcpus } = configOf(call.domain(dom), flags);
    const num = Math.max(0, Math.min(count, maxVcpus));
    const length = Math.max(0, Math.min(mapLength, 1024));
    return { cpuMaps: Buffer.concat(pinMaps(pins, num, length)), num };
  },
} as const satisfies Handlers;

function pinMaps(pins: DomainConfig['pins'], count: number, length: number): Buffer[] {
  return Array.from({ length: count }, (_, vcpu) => cpuMapOf(pins.get(vcpu), length));
}

function schedule(
  domain: SimulatedDomain,
  nparams: number,
  flags: number,
): { params: readonly TypedParam[] } {
  if (nparams <= 0) {
    throw new Fault('invalid-argument', 'nparams in virDomainGetSchedulerParameters must not be zero');
  }
  const config = configOf(domain, flags);
  return { params: readScheduler(config, domain.active && config === domain.config).slice(0, nparams) };
}

export const tuningHandlers = {
  DOMAIN_SET_SCHEDULER_PARAMETERS_FLAGS(call, { dom, params, flags }) {
    const domain = call.domain(dom);
    return call.withQuietChange(domain, () => {
      const where = affected(domain, flags);
      let told = new Map<string, number>();
      changeConfig(domain, where, (config, live) => {
        const changes = checkedScheduler(params, live);
        if (live) told = changes;
        return { ...config, scheduler: new Map([...config.scheduler, ...changes]) };
      });
      const changed = params.filter(({ field }) => told.has(field));
      if (changed.length === 0) return;
      call.host.emit(
        domain,
        tunable(changed.map((param) => ({ ...param, field: `cputune.${param.field}` }))),
      );
    });
  },
  DOMAIN_SET_BLOCK_IO_TUNE(call, { dom, disk: name, params, flags }) {
    const domain = call.domain(dom);
    return call.withChange(domain, () => {
      const where = affected(domain, flags);
      changeConfig(domain, where, (config) => {
        const disk = requireDisk(config, name);
        return withDisk(config, { ...disk, limits: changedLimits(disk.limits, params) });
      });
      if (!where.live || params.length === 0) return;
      const told = params.map((param) => ({ ...param, field: `blkdeviotune.${param.field}` }));
      call.host.emit(domain, tunable([{ field: 'blkdeviotune.disk', type: 'string', value: name }, ...told]));
    });
  },
  DOMAIN_PIN_VCPU: (call, { dom, vcpu, cpuMap }) => pin(call, call.domain(dom), { vcpu, cpuMap, flags: 1 }),
  DOMAIN_PIN_VCPU_FLAGS: (call, { dom, ...pinning }) => pin(call, call.domain(dom), pinning),
  DOMAIN_SET_VCPUS_FLAGS(call, { dom, vcpus, flags }) {
    const domain = call.domain(dom);
    if (vcpus === 0) throw new Fault('invalid-argument', 'nvcpus in virDomainSetVcpusFlags must not be zero');
    if ((flags & GUEST) !== 0) return agentCall(call, domain, () => undefined);
    return call.withChange(domain, () => setVcpus(call, domain, vcpus, flags));
  },
  DOMAIN_SET_MEMORY_FLAGS(call, { dom, memory, flags }) {
    const domain = call.domain(dom);
    return call.withChange(domain, () => setMemory(call, domain, memory, flags));
  },
  DOMAIN_SET_MEMORY_STATS_PERIOD(call, { dom, period: balloonPeriodSec, flags }) {
    if (balloonPeriodSec < 0) {
      throw new Fault('invalid-argument', 'period in virDomainSetMemoryStatsPeriod must be zero or greater');
    }
    const domain = call.domain(dom);
    return call.withChange(domain, () => {
      changeConfig(domain, affected(domain, flags), (config) => {
        if (config.balloonPeriodSec === undefined) {
          throw new Fault(
            'internal',
            'No memory balloon device configured, can not set the collection period',
          );
        }
        return { ...config, balloonPeriodSec };
      });
    });
  },
} as const satisfies Handlers;

interface Pinning {
  readonly vcpu: number;
  readonly cpuMap: Uint8Array;
  readonly flags: number;
}

function pin(call: Call, domain: SimulatedDomain, { vcpu, cpuMap, flags }: Pinning): void | Promise<void> {
  return call.withQuietChange(domain, () => {
    const where = affected(domain, flags);
    const cpus = cpuListOf(cpuMap);
    if (cpus === '') throw new Fault('invalid-argument', 'Empty cpu list for pinning');
    changeConfig(domain, where, (config, live) => {
      if (vcpu >= config.maxVcpus) {
        const which = live ? 'live' : 'persistent';
        throw new Fault(
          'invalid-argument',
          `vcpu ${vcpu} is out of range of ${which} cpu count ${config.maxVcpus}`,
        );
      }
      return { ...config, pins: new Map([...config.pins, [vcpu, cpus]]) };
    });
    if (!where.live) return;
    call.host.emit(domain, tunable([{ field: `cputune.vcpupin${vcpu}`, type: 'string', value: cpus }]));
  });
}

async function setVcpus(call: Call, domain: SimulatedDomain, count: number, flags: number): Promise<void> {
  const where = affected(domain, flags);
  const maximum = (flags & MAXIMUM) !== 0;
  if (maximum && where.live) {
    throw new Fault('invalid-argument', "maximum vcpu count of a live domain can't be modified");
  }
  const check = (config: DomainConfig, which: string) => {
    if (maximum || count <= config.maxVcpus) return;
    const limit = `${count} > ${config.maxVcpus}`;
    throw new Fault(
      'invalid-argument',
      `requested vcpus is greater than max allowable vcpus for the ${which} domain: ${limit}`,
    );
  };
  if (where.live) check(domain.config, 'live');
  if (where.definition) check(domain.definition, 'persistent');
  if (where.live && count < domain.config.vcpus) await unplugVcpus(call, domain);
  changeConfig(domain, where, (config) =>
    maximum
      ? { ...config, maxVcpus: count, vcpus: Math.min(count, config.vcpus) }
      : { ...config, vcpus: count },
  );
}

/** A guest lets vCPUs go as it does devices. */
async function unplugVcpus(call: Call, domain: SimulatedDomain): Promise<void> {
  const { unplug, unplugMs } = domain.guest;
  const gone = await call.within<true>(domain, call.host.patienceMs, (done) => {
    if (unplug === 'obeys') domain.guestTimers.after(unplugMs, () => done(true));
  });
  if (gone) return;
  throw new Fault(
    'timeout',
    'vcpu unplug request timed out. Unplug result must be manually inspected in the domain',
  );
}

function setMemory(call: Call, domain: SimulatedDomain, memoryKiB: number, flags: number): void {
  const where = affected(domain, flags);
  const maximum = (flags & MAXIMUM) !== 0;
  if (maximum && where.live) {
    throw new Fault('invalid-state', 'cannot resize the maximum memory on an active domain');
  }
  if (memoryKiB <= 0) {
    throw new Fault('invalid-argument', 'memory in virDomainSetMemoryFlags must not be zero');
  }
  changeConfig(domain, where, (config) => {
    if (maximum) {
      return { ...config, memoryKiB, currentMemoryKiB: Math.min(memoryKiB, config.currentMemoryKiB) };
    }
    if (memoryKiB > config.memoryKiB) {
      throw new Fault('invalid-argument', 'cannot set memory higher than max memory');
    }
    return { ...config, currentMemoryKiB: memoryKiB };
  });
  if (where.live) call.host.emit(domain, { kind: 'balloonChange', actual: memoryKiB });
}
