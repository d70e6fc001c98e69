/**
 * Verbs of policy programs: balloon, CPU bandwidth, disk limits.
 */
import { VerbError } from '../../domain/errors.js';
import type { VerbResult, VmVerbTable } from '../../protocol/verbs.js';
import type { OperationsParts } from '../operation.js';

export type TuningVerb =
  | 'VM.setBalloonTarget'
  | 'VM.setCpuTuneQuota'
  | 'VM.setCpuTunePeriod'
  | 'VM.setIoTune'
  | 'VM.getIoTune'
  | 'VM.getIoTunePolicy'
  | 'VM.updateVmPolicy';

export function tuningVerbs(parts: OperationsParts): VmVerbTable<TuningVerb> {
  void parts;
  return {
    'VM.setBalloonTarget': () => notYet('VM.setBalloonTarget'),
    'VM.setCpuTuneQuota': () => notYet('VM.setCpuTuneQuota'),
    'VM.setCpuTunePeriod': () => notYet('VM.setCpuTunePeriod'),
    'VM.setIoTune': () => notYet('VM.setIoTune'),
    'VM.getIoTune': () => notYet('VM.getIoTune'),
    'VM.getIoTunePolicy': () => notYet('VM.getIoTunePolicy'),
    'VM.updateVmPolicy': () => notYet('VM.updateVmPolicy'),
  };
}

/** Of all VMs; those that do not answer are left out. */
export function allIoTunePolicies(
  parts: OperationsParts,
): Promise<VerbResult<'Host.getAllVmIoTunePolicies'>> {
  void parts;
  return Promise.resolve({});
}

function notYet(verb: string): never {
  throw new VerbError('noimpl', verb);
}
