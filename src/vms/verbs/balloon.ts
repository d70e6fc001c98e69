/**
 * VM.setBalloonTarget, and the memory that a guest is guaranteed: both are kept in the metadata, as the record's
 * balloonInfo has to show them after a restart of the agent too.
 */
import type { VmId } from '../../domain/ids.js';
import type { Vm } from '../../domain/vm.js';
import type { MetadataValues } from '../metadata-store.js';
import type { OperationsParts } from '../operation.js';
import { operateWithOwnCode } from './own-code.js';
import { refreshAfterChange } from './live-devices.js';

/**
 * No effect, and no error, on a VM without balloon or with ballooning disabled (VDSM: vm.py setBalloonTarget).
 * @throws VerbError balloonErr, and those of every operation
 */
export async function setBalloonTarget(parts: OperationsParts, id: VmId, targetKiB: number): Promise<void> {
  const request = { id, verb: 'VM.setBalloonTarget', otherwise: 'balloonErr', evenMigrating: true } as const;
  await operateWithOwnCode(parts, request, async (vm) => {
    const domain = vm.domain ?? (await parts.hypervisor.describe(id));
    const { balloonModel, metadata } = domain;
    if (balloonModel === '' || balloonModel === 'none' || metadata?.ballooningEnabled === false) return;
    await parts.hypervisor.devices.setMemory(id, targetKiB);
    const known = vm.balloonTargetKiB ?? metadata?.balloonTargetKiB;
    parts.registry.change(id, { facts: { balloonTargetKiB: targetKiB } });
    // Policy programs say the same thing every few seconds.
    if (known !== targetKiB) await keep(parts, vm, { balloonTarget: targetKiB });
  });
}

/** @param sizeMiB undefined: as it was */
export async function setGuaranteedMemory(
  parts: OperationsParts,
  id: VmId,
  sizeMiB: number | undefined,
): Promise<void> {
  const vm = parts.registry.get(id);
  if (sizeMiB === undefined || !vm) return;
  await keep(parts, vm, { minGuaranteedMemoryMb: sizeMiB });
  await refreshAfterChange(parts, id);
}

/** What the verb is for has happened: a failure to note it is no failure of the verb. */
async function keep(
  { metadata, log }: OperationsParts,
  { id, name }: Vm,
  values: MetadataValues,
): Promise<void> {
  try {
    await metadata.setValues(id, values);
  } catch (error) {
    log.warn({ vmId: id, name, values, err: error }, "A VM's memory values are lost at the agent's end");
  }
}
