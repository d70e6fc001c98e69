/**
 * Verbs that work on the disk images of a running VM.
 */
import { VerbError } from '../../domain/errors.js';
import type { VmVerbTable } from '../../protocol/verbs.js';
import type { OperationsParts } from '../operation.js';

export type DiskVerb = 'VM.diskSizeExtend' | 'VM.snapshot' | 'VM.merge';

export function diskVerbs(parts: OperationsParts): VmVerbTable<DiskVerb> {
  void parts;
  return {
    'VM.diskSizeExtend': () => notYet('VM.diskSizeExtend'),
    'VM.snapshot': () => notYet('VM.snapshot'),
    'VM.merge': () => notYet('VM.merge'),
  };
}

function notYet(verb: string): never {
  throw new VerbError('noimpl', verb);
}
