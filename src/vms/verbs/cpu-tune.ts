/**
 * VM.setCpuTuneQuota and VM.setCpuTunePeriod: CPU time of each vCPU per period, in µs.
 */
import type { VmId } from '../../domain/ids.js';
import type { OperationsParts } from '../operation.js';
import { operateWithOwnCode } from './own-code.js';

export type CpuTune = { readonly vcpuQuota: number } | { readonly vcpuPeriod: number };

/** The record follows at once. @throws VerbError cpuTuneErr, and those of every operation */
export async function setCpuTune(parts: OperationsParts, id: VmId, tune: CpuTune): Promise<void> {
  const verb = 'vcpuQuota' in tune ? 'VM.setCpuTuneQuota' : 'VM.setCpuTunePeriod';
  const { hypervisor, registry } = parts;
  await operateWithOwnCode(parts, { id, verb, otherwise: 'cpuTuneErr', evenMigrating: true }, async () => {
    await hypervisor.tuning.setScheduler(id, tune);
    registry.change(id, { facts: tune });
  });
}
