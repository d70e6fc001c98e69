/**
 * Verbs of policy programs: balloon, CPU bandwidth, disk limits. The table.
 */
import type { VmVerbTable } from '../../protocol/verbs.js';
import type { OperationsParts } from '../operation.js';
import { setBalloonTarget } from './balloon.js';
import { setCpuTune } from './cpu-tune.js';
import { ioTuneOf, setIoTune } from './io-tune.js';
import { ioTunePolicyOf, updateVmPolicy } from './policies.js';

export type TuningVerb =
  | 'VM.setBalloonTarget'
  | 'VM.setCpuTuneQuota'
  | 'VM.setCpuTunePeriod'
  | 'VM.setIoTune'
  | 'VM.getIoTune'
  | 'VM.getIoTunePolicy'
  | 'VM.updateVmPolicy';

const done = { code: 0, message: 'Done' } as const;

export function tuningVerbs(parts: OperationsParts): VmVerbTable<TuningVerb> {
  return {
    'VM.setBalloonTarget': (id, { target }) => setBalloonTarget(parts, id, target).then(() => done),
    'VM.setCpuTuneQuota': (id, { quota }) => setCpuTune(parts, id, { vcpuQuota: quota }).then(() => done),
    'VM.setCpuTunePeriod': (id, { period }) => setCpuTune(parts, id, { vcpuPeriod: period }).then(() => done),
    'VM.setIoTune': (id, { tunables }) => setIoTune(parts, id, tunables).then(() => done),
    'VM.getIoTune': (id) => ioTuneOf(parts, id),
    'VM.getIoTunePolicy': (id) => ioTunePolicyOf(parts, id),
    'VM.updateVmPolicy': (id, { params }) => updateVmPolicy(parts, id, params).then(() => done),
  };
}
