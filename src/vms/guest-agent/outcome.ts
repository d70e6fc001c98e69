/** What became of a command to a guest agent. */
import { HypervisorError } from '../../domain/hypervisor.js';
import type { HypervisorErrorKind } from '../../domain/hypervisor.js';

/**
 * - silent: no answer in time
 * - refused: the agent, or libvirt, answered with an error
 * - unasked: it was not to be had for a reason that is not the agent's
 */
export type Outcome = 'ok' | 'silent' | 'refused' | 'unasked';

type Failure = Exclude<Outcome, 'ok'>;

const failures: Readonly<Partial<Record<HypervisorErrorKind, Failure>>> = {
  agent: 'silent',
  timeout: 'silent',
  unavailable: 'unasked',
  busy: 'unasked',
  aborted: 'unasked',
  denied: 'unasked',
  'no-domain': 'unasked',
  'invalid-state': 'unasked',
};

export function outcomeOf(error: unknown): Failure {
  return (error instanceof HypervisorError ? failures[error.kind] : undefined) ?? 'refused';
}
