/** The port's calls for CPU bandwidth and limits of disks. libvirt demands the exact type of every value. */
import type { TuningCalls } from '../domain/hypervisor-verbs.js';
import type { DomainCalls } from './domain-calls.js';
import { AffectFlag } from './enumerations.js';
import { paramRecord } from './typed-params.js';
import type { TypedParam } from './typed-params.js';

const MAX_DISK_LIMITS = 32;

export function tuningCalls(domains: DomainCalls): TuningCalls {
  const { verbs } = domains.lanes;
  const on = domains.on.bind(domains);
  return {
    async setScheduler(id, { vcpuQuota, vcpuPeriod }, options) {
      const params: TypedParam[] = [];
      if (vcpuPeriod !== undefined) params.push({ field: 'vcpu_period', type: 'ullong', value: vcpuPeriod });
      if (vcpuQuota !== undefined) params.push({ field: 'vcpu_quota', type: 'llong', value: vcpuQuota });
      if (params.length === 0) return;
      const set = async (flags: number): Promise<void> => {
        await verbs.call('DOMAIN_SET_SCHEDULER_PARAMETERS_FLAGS', { ...on(id, flags), params }, options);
      };
      await domains.liveAndDefined(id, set, options);
    },

    async diskLimits(id, disk, options) {
      const request = { ...on(id, AffectFlag.live), disk, nparams: MAX_DISK_LIMITS };
      const { params } = await verbs.call('DOMAIN_GET_BLOCK_IO_TUNE', request, options);
      const numbers = params.filter(({ type }) => type === 'ullong');
      return paramRecord(numbers) as Record<string, number>;
    },

    async setDiskLimits(id, disk, limits, options) {
      const params = Object.entries(limits).map(([field, value]): TypedParam => ({
        field,
        type: 'ullong',
        value,
      }));
      if (params.length === 0) return;
      await verbs.call('DOMAIN_SET_BLOCK_IO_TUNE', { ...on(id, AffectFlag.live), disk, params }, options);
    },
  };
}
