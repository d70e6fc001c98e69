/**
 * Verbs that move a VM through its life: the table. VM.create is not in it, since it names no VM that there is.
 */
import { VerbError } from '../../domain/errors.js';
import type { VmVerbTable } from '../../protocol/verbs.js';
import type { Destruction } from '../destroy.js';
import { requireVm } from '../operation.js';
import type { OperationsParts } from '../operation.js';
import { cont, pause } from './cpus.js';
import { cancelHibernation, hibernate } from './hibernate.js';
import { reset, setDestroyOnReboot } from './reboot.js';
import type { Shutdowns } from './shutdown.js';

export type LifeVerb =
  | 'VM.pause'
  | 'VM.cont'
  | 'VM.destroy'
  | 'VM.shutdown'
  | 'VM.reset'
  | 'VM.setDestroyOnReboot'
  | 'VM.hibernate'
  | 'VM.getMigrationStatus'
  | 'VM.migrateCancel'
  | 'VM.migrateChangeParams';

export interface LifeParts {
  readonly shutdowns: Shutdowns;
  readonly destruction: Destruction;
}

export function lifeVerbs(
  parts: OperationsParts,
  { shutdowns, destruction }: LifeParts,
): VmVerbTable<LifeVerb> {
  return {
    'VM.pause': (id) => pause(parts, id).then(() => ({ vmList: {} })),
    'VM.cont': (id) => cont(parts, id).then(() => ({ vmList: {} })),
    'VM.destroy': async (id, { gracefulAttempts }) => {
      await destruction.run(requireVm(parts, id), gracefulAttempts);
      return true as const;
    },
    'VM.shutdown': (id, order) => {
      shutdowns.begin(id, order);
      return true;
    },
    'VM.reset': (id) => reset(parts, id).then(() => true as const),
    'VM.setDestroyOnReboot': (id) => setDestroyOnReboot(parts, id).then(() => true as const),
    'VM.hibernate': async (id, { hibernationVolHandle }) => {
      await hibernate(parts, shutdowns, id, hibernationVolHandle);
      return true as const;
    },
    // Outgoing migrations are not offered, so there is never one to tell of.
    'VM.getMigrationStatus': (id) => {
      throw new VerbError('migNotInProgress', { vmId: requireVm(parts, id).id });
    },
    'VM.migrateCancel': (id) => cancelHibernation(parts, id).then(() => true as const),
    'VM.migrateChangeParams': (id) => {
      throw new VerbError('migNotInProgress', { vmId: requireVm(parts, id).id });
    },
  };
}
