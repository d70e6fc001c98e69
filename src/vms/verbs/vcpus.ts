/**
 * VM.setNumberOfCpus: vCPUs plugged into a running VM or out of it, and the host CPUs they may run on.
 */
import { VerbError } from '../../domain/errors.js';
import { HypervisorError } from '../../domain/hypervisor.js';
import type { VmId } from '../../domain/ids.js';
import type { Vm } from '../../domain/vm.js';
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
    if (count > vcpus) await devices.setVcpus(id, count);
    else if (count < vcpus) await takeAway(parts, vm, count);
    for (const [vcpu, cpus] of pins.entries()) await devices.pinVcpu(id, vcpu, cpus);
    await refreshAfterChange(parts, id);
  });
}

/** libvirt waits 5 s for the guest, and calls its silence a timeout, as it does that of a QEMU that hangs. */
async function takeAway({ hypervisor }: OperationsParts, vm: Vm, count: number): Promise<void> {
  try {
    await hypervisor.devices.setVcpus(vm.id, count);
  } catch (cause) {
    if (!(cause instanceof HypervisorError && cause.kind === 'timeout')) throw cause;
    throw new VerbError(
      'setNumberOfCpusErr',
      `the guest of ${nameOf(vm)} did not give vCPUs back in time; it may still do so, ask for its state (${cause.detail})`,
      { cause },
    );
  }
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
