/**
 * VM.setNumberOfCpus: vCPUs plugged into a running VM or out of it, and the host CPUs they may run on.
 */
import { VerbError } from '../../domain/errors.js';
import type { VmId } from '../../domain/ids.js';
import { nameOf } from '../operation.js';
import type { OperationsParts } from '../operation.js';
import { operateWithOwnCode } from './own-code.js';
import { parseCpuset } from './cpuset.js';
import { refreshAfterChange } from './live-devices.js';

/**
 * Without cpusets the pinning stays as it is. The guest must take part where vCPUs are taken away.
 * @param cpusets host CPUs of each vCPU, one text per vCPU
 * @throws VerbError invalidParameter (cpusets), setNumberOfCpusErr, and those of every operation
 */
export async function setNumberOfCpus(
  parts: OperationsParts,
  id: VmId,
  count: number,
  cpusets: readonly string[] = [],
): Promise<void> {
  const pins = pinsOf(cpusets, count);
  const request = { id, verb: 'VM.setNumberOfCpus', otherwise: 'setNumberOfCpusErr' } as const;
  await operateWithOwnCode(parts, request, async (vm) => {
    const { devices } = parts.hypervisor;
    const { maxVcpus, vcpus } = await parts.hypervisor.describe(id);
    if (count > maxVcpus) {
      throw new VerbError(
        'setNumberOfCpusErr',
        `${nameOf(vm)} can have ${maxVcpus} vCPUs at most, not ${count}; its maximum is set where it is created`,
      );
    }
    if (count !== vcpus) await devices.setVcpus(id, count);
    for (const [vcpu, cpus] of pins.entries()) await devices.pinVcpu(id, vcpu, cpus);
    await refreshAfterChange(parts, id);
  });
}

function pinsOf(cpusets: readonly string[], count: number): (readonly number[])[] {
  if (cpusets.length > 0 && cpusets.length !== count) {
    throw new VerbError('invalidParameter', `cpusets must have one member for each of ${count} vCPUs`);
  }
  return cpusets.map((text) => {
    const cpus = parseCpuset(text);
    if (cpus) return cpus;
    throw new VerbError(
      'invalidParameter',
      `'${text.slice(0, 100)}' in cpusets is no list of CPUs like 0-1,4`,
    );
  });
}
