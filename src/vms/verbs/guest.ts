/**
 * Verbs that need the guest or its screen.
 */
import type { VmVerbTable } from '../../protocol/verbs.js';
import type { OperationsParts } from '../operation.js';
import { freezeVerb, thawVerb } from './freeze.js';
import { Screenshots } from './screenshot.js';

export type GuestVerb = 'VM.freeze' | 'VM.thaw' | 'VM.screenshot';

export function guestVerbs(parts: OperationsParts): VmVerbTable<GuestVerb> {
  const screenshots = new Screenshots(parts);
  return {
    'VM.freeze': (id) => freezeVerb(parts, id),
    'VM.thaw': (id) => thawVerb(parts, id),
    'VM.screenshot': (id) => screenshots.take(id),
  };
}
