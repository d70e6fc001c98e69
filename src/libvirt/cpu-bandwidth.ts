/** The CPU bandwidth of a domain, of drivers that know it, by whichever procedure they have. */
import { HypervisorError } from '../domain/hypervisor.js';
import type { CallOptions } from '../domain/hypervisor.js';
import { refusesFlags } from './domain-calls.js';
import type { DomainHandle } from './objects.js';
import type { TypedCall } from './procedures.js';
import { paramRecord } from './typed-params.js';
import type { TypedParam } from './typed-params.js';

const MAX_PARAMS = 16;

/** µs; quota -1 is none. Undefined members: not known. */
export interface CpuBandwidth {
  readonly vcpuQuota?: number;
  readonly vcpuPeriod?: number;
}

interface Params {
  readonly params: readonly TypedParam[];
}

export async function cpuBandwidth(
  call: TypedCall,
  dom: DomainHandle,
  options?: CallOptions,
): Promise<CpuBandwidth> {
  const { params } = await schedulerParams(call, dom, options).catch(noParamsIfUnsupported);
  const { vcpu_quota: vcpuQuota, vcpu_period: vcpuPeriod } = paramRecord(params);
  return {
    ...(typeof vcpuQuota === 'number' && { vcpuQuota }),
    ...(typeof vcpuPeriod === 'number' && { vcpuPeriod }),
  };
}

/** libvirt's test driver refuses a flag that its own daemon adds to the newer call. */
async function schedulerParams(call: TypedCall, dom: DomainHandle, options?: CallOptions): Promise<Params> {
  const request = { dom, nparams: MAX_PARAMS, flags: 0 };
  try {
    return await call('DOMAIN_GET_SCHEDULER_PARAMETERS_FLAGS', request, options);
  } catch (error) {
    if (!refusesFlags(error)) throw error;
    return call('DOMAIN_GET_SCHEDULER_PARAMETERS', request, options);
  }
}

/** Session daemons have no control groups, hence no CPU bandwidth to tell. */
function noParamsIfUnsupported(error: unknown): Params {
  if (error instanceof HypervisorError && error.kind === 'unsupported') return { params: [] };
  throw error;
}
