/**
 * Verbs that need the guest or its screen.
 */
import { VerbError } from '../../domain/errors.js';
import type { VmVerbTable } from '../../protocol/verbs.js';
import type { OperationsParts } from '../operation.js';

export type GuestVerb = 'VM.freeze' | 'VM.thaw' | 'VM.screenshot';

export function guestVerbs(parts: OperationsParts): VmVerbTable<GuestVerb> {
  void parts;
  return {
    'VM.freeze': () => notYet('VM.freeze'),
    'VM.thaw': () => notYet('VM.thaw'),
    'VM.screenshot': () => notYet('VM.screenshot'),
  };
}

function notYet(verb: string): never {
  throw new VerbError('noimpl', verb);
}
