/**
 * What the operations share: their parts, and what a verb answers when the hypervisor fails: an error of the catalogue
 * with a sentence that names the VM and the way out.
 */
import { VerbError } from '../domain/errors.js';
import type { ErrorKey } from '../domain/errors.js';
import { keyOfFailure } from '../domain/hypervisor-failure.js';
import { HypervisorError } from '../domain/hypervisor.js';
import type { Hypervisor } from '../domain/hypervisor.js';
import type { Vm } from '../domain/vm.js';
import type { Logger } from '../util/log.js';
import type { Clock } from '../util/time.js';
import type { Registry } from './registry.js';

export interface OperationsParts {
  readonly hypervisor: Hypervisor;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly log: Logger;
  /** False until all VMs are known: verbs answer 99. */
  readonly isReady: () => boolean;
}

export type VmName = Pick<Vm, 'id' | 'name'>;

/**
 * @param verb as the caller knows it, e.g. VM.pause
 * @param otherwise the key for failures of the call itself
 */
export function verbError(
  error: unknown,
  vm: VmName,
  verb: string,
  otherwise: ErrorKey = 'general',
): VerbError {
  if (error instanceof VerbError) return error;
  const cause = { cause: error };
  if (!(error instanceof HypervisorError)) {
    return new VerbError(otherwise, `${verb} of ${nameOf(vm)} failed: ${textOf(error)}`, cause);
  }
  const key = keyOfFailure(error.kind, otherwise);
  if (key === 'noVM') return new VerbError('noVM', { vmId: vm.id }, cause);
  return new VerbError(key, sentence(error, vm, verb), cause);
}

export function notConnected(vm: VmName, reason: string | undefined): VerbError {
  const why = reason === undefined ? '' : ` (${reason})`;
  return new VerbError(
    'resourceUnavailable',
    `libvirt is not connected${why}: ${nameOf(vm)} cannot be changed now; try again when it is back`,
  );
}

export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function nameOf({ name, id }: VmName): string {
  return `VM ${name} (${id})`;
}

function sentence({ kind, message }: HypervisorError, vm: VmName, verb: string): string {
  switch (kind) {
    case 'unavailable':
      return `libvirt is not connected: ${verb} of ${nameOf(vm)} may not have happened; try again when it is back`;
    case 'timeout':
      return `${verb} of ${nameOf(vm)} got no answer in time; its QEMU may hang (${message})`;
    case 'denied':
      return `libvirt does not allow ${verb} of ${nameOf(vm)} to this agent (${message})`;
    default:
      return `${verb} of ${nameOf(vm)} failed: ${message}`;
  }
}
