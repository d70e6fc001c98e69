/**
 * Verbs that move a VM through its life.
 */
import { VerbError } from '../../domain/errors.js';
import type { VmVerbTable } from '../../protocol/verbs.js';
import type { OperationsParts } from '../operation.js';

export type LifeVerb =
  | 'VM.shutdown'
  | 'VM.reset'
  | 'VM.setDestroyOnReboot'
  | 'VM.hibernate'
  | 'VM.getMigrationStatus'
  | 'VM.migrateCancel'
  | 'VM.migrateChangeParams';

export function lifeVerbs(parts: OperationsParts): VmVerbTable<LifeVerb> {
  void parts;
  return {
    'VM.shutdown': () => notYet('VM.shutdown'),
    'VM.reset': () => notYet('VM.reset'),
    'VM.setDestroyOnReboot': () => notYet('VM.setDestroyOnReboot'),
    'VM.hibernate': () => notYet('VM.hibernate'),
    'VM.getMigrationStatus': () => notYet('VM.getMigrationStatus'),
    'VM.migrateCancel': () => notYet('VM.migrateCancel'),
    'VM.migrateChangeParams': () => notYet('VM.migrateChangeParams'),
  };
}

function notYet(verb: string): never {
  throw new VerbError('noimpl', verb);
}
