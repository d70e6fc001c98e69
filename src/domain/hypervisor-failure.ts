/**
 * Which error of the catalogue stands for a failure of the hypervisor. One table for all verbs; never 1100, which an
 * engine takes for a network failure of the whole host.
 */
import type { ErrorKey } from './errors.js';
import { HypervisorError } from './hypervisor.js';
import type { HypervisorErrorKind } from './hypervisor.js';

const keyOfKind: Readonly<Record<Exclude<HypervisorErrorKind, 'failed' | 'no-device'>, ErrorKey>> = {
  unavailable: 'resourceUnavailable',
  timeout: 'resourceUnavailable',
  busy: 'resourceUnavailable',
  'no-domain': 'noVM',
  'invalid-state': 'unexpected',
  exists: 'exist',
  denied: 'operationNotSupported',
  unsupported: 'operationNotSupported',
  agent: 'nonresp',
  aborted: 'resourceUnavailable',
};

/** @param otherwise the verb's own key for a failure that has no better name */
export function keyOfFailure(kind: HypervisorErrorKind, otherwise: ErrorKey): ErrorKey {
  return kind === 'failed' || kind === 'no-device' ? otherwise : keyOfKind[kind];
}

const unanswered: ReadonlySet<HypervisorErrorKind> = new Set(['timeout', 'unavailable', 'aborted']);

/** True where the hypervisor may have done what was asked all the same: its answer did not come, or will not. */
export function isUnanswered(error: unknown): boolean {
  return error instanceof HypervisorError && unanswered.has(error.kind);
}
