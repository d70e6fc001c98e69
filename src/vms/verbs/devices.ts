/**
 * Verbs that change the devices of a running VM.
 */
import { VerbError } from '../../domain/errors.js';
import type { VmVerbTable } from '../../protocol/verbs.js';
import type { OperationsParts } from '../operation.js';

export type DeviceVerb =
  | 'VM.setTicket'
  | 'VM.updateDevice'
  | 'VM.changeCD'
  | 'VM.changeFloppy'
  | 'VM.hotplugNic'
  | 'VM.hotunplugNic'
  | 'VM.hotplugDisk'
  | 'VM.hotunplugDisk'
  | 'VM.hotplugMemory'
  | 'VM.hotunplugMemory'
  | 'VM.setNumberOfCpus';

export function deviceVerbs(parts: OperationsParts): VmVerbTable<DeviceVerb> {
  void parts;
  return {
    'VM.setTicket': () => notYet('VM.setTicket'),
    'VM.updateDevice': () => notYet('VM.updateDevice'),
    'VM.changeCD': () => notYet('VM.changeCD'),
    'VM.changeFloppy': () => notYet('VM.changeFloppy'),
    'VM.hotplugNic': () => notYet('VM.hotplugNic'),
    'VM.hotunplugNic': () => notYet('VM.hotunplugNic'),
    'VM.hotplugDisk': () => notYet('VM.hotplugDisk'),
    'VM.hotunplugDisk': () => notYet('VM.hotunplugDisk'),
    'VM.hotplugMemory': () => notYet('VM.hotplugMemory'),
    'VM.hotunplugMemory': () => notYet('VM.hotunplugMemory'),
    'VM.setNumberOfCpus': () => notYet('VM.setNumberOfCpus'),
  };
}

function notYet(verb: string): never {
  throw new VerbError('noimpl', verb);
}
