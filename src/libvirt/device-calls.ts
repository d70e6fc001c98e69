/** The port's calls for devices, vCPUs, memory and the screen. */
import type { DeviceCalls } from '../domain/hypervisor-verbs.js';
import { isCode } from './domain-calls.js';
import type { DomainCalls } from './domain-calls.js';
import { AffectFlag, DeviceFlag } from './enumerations.js';
import { ErrorCode } from './errors.js';

/** A 4K screen as PPM takes 25 MB. */
const MAX_SCREENSHOT_BYTES = 64 * 1024 * 1024;
const FIRST_SCREEN = 0;

export function deviceCalls(domains: DomainCalls): DeviceCalls {
  const { verbs } = domains.lanes;
  const on = domains.on.bind(domains);
  return {
    attach(id, xml, options) {
      const attach = async (flags: number): Promise<void> => {
        await verbs.call('DOMAIN_ATTACH_DEVICE_FLAGS', { ...on(id, flags), xml }, options);
      };
      return domains.liveAndDefined(id, attach, options);
    },

    /**
     * The definition loses the device at once, whatever the guest does. A guest that lets go late is asked again: then
     * the definition lacks it already, for which libvirt refuses the whole call before it has done anything.
     */
    async detach(id, xml, options) {
      const detach = async (flags: number): Promise<void> => {
        await verbs.call('DOMAIN_DETACH_DEVICE_FLAGS', { ...on(id, flags), xml }, options);
      };
      try {
        await domains.liveAndDefined(id, detach, options);
      } catch (error) {
        if (!isCode(error, ErrorCode.deviceMissing)) throw error;
        await detach(AffectFlag.live);
      }
    },

    async update(id, xml, { force, persist }, options) {
      const update = async (affect: number): Promise<void> => {
        const flags = affect | (force ? DeviceFlag.force : 0);
        await verbs.call('DOMAIN_UPDATE_DEVICE_FLAGS', { ...on(id, flags), xml }, options);
      };
      if (!persist) return update(AffectFlag.live);
      try {
        await domains.liveAndDefined(id, update, options);
      } catch (error) {
        // The definition may lack the device; of disks libvirt says so with the code of any invalid argument.
        if (!isCode(error, ErrorCode.deviceMissing, ErrorCode.invalidArg)) throw error;
        await update(AffectFlag.live);
      }
    },

    setVcpus(id, count, options) {
      const set = async (flags: number): Promise<void> => {
        await verbs.call('DOMAIN_SET_VCPUS_FLAGS', { ...on(id, flags), vcpus: count }, options);
      };
      return domains.liveAndDefined(id, set, options);
    },

    async pinVcpu(id, vcpu, cpus, options) {
      const request = { ...on(id, AffectFlag.live), vcpu, cpuMap: bitmap(cpus) };
      await verbs.call('DOMAIN_PIN_VCPU_FLAGS', request, options);
    },

    async setMemory(id, memoryKiB, options) {
      const request = { ...on(id, AffectFlag.live), memory: memoryKiB };
      await verbs.call('DOMAIN_SET_MEMORY_FLAGS', request, options);
    },

    async screenshot(id, options) {
      const request = { ...on(id), screen: FIRST_SCREEN };
      const { result, data } = await verbs.download('DOMAIN_SCREENSHOT', request, {
        ...options,
        maxBytes: MAX_SCREENSHOT_BYTES,
      });
      return { mimeType: result.mimeType ?? 'application/octet-stream', data };
    },
  };
}

/** CPU 0 is bit 0 of byte 0. */
function bitmap(cpus: readonly number[]): Buffer {
  const map = Buffer.alloc(Math.floor(Math.max(0, ...cpus) / 8) + 1);
  for (const cpu of cpus) map[cpu >> 3]! |= 1 << (cpu & 7);
  return map;
}
