/**
 * CPU time of one domain by calls that touch no monitor, so that they answer however stuck its QEMU is.
 *
 * DOMAIN_GET_CPU_STATS reads control groups; where there are none (session daemons), DOMAIN_GET_INFO has the total,
 * which the daemon takes from the process.
 */
import { HypervisorError } from '../domain/hypervisor.js';
import type { CallOptions, CpuTime } from '../domain/hypervisor.js';
import type { DomainHandle } from './objects.js';
import type { TypedCall } from './procedures.js';
import { paramRecord } from './typed-params.js';

/** cpu_time, user_time, system_time of all CPUs together. */
const TOTAL = { nparams: 3, startCpu: -1, ncpus: 1, flags: 0 };

export async function cpuTime(call: TypedCall, dom: DomainHandle, options?: CallOptions): Promise<CpuTime> {
  try {
    const { params } = await call('DOMAIN_GET_CPU_STATS', { dom, ...TOTAL }, options);
    const { cpu_time: total, user_time: user, system_time: system } = paramRecord(params);
    return { totalNs: nanoseconds(total), userNs: nanoseconds(user), systemNs: nanoseconds(system) };
  } catch (error) {
    if (!(error instanceof HypervisorError) || error.kind !== 'unsupported') throw error;
    const info = await call('DOMAIN_GET_INFO', { dom }, options);
    return { totalNs: info.cpuTime, userNs: NaN, systemNs: NaN };
  }
}

function nanoseconds(value: unknown): number {
  return typeof value === 'number' || typeof value === 'bigint' ? Number(value) : NaN;
}
