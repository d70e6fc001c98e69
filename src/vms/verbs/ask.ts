/**
 * Verbs that only look at a running VM: the checks and the errors of operation.ts without the VM's lock, since whoever
 * changes the VM meanwhile is not disturbed.
 */
import { VerbError } from '../../domain/errors.js';
import type { Vm } from '../../domain/vm.js';
import { notConnected, requireVm, verbError } from '../operation.js';
import type { OperationRequest, OperationsParts } from '../operation.js';

/** @throws VerbError recovery, noVM, down, resourceUnavailable (libvirt away), `otherwise` */
export async function ask<T>(
  parts: OperationsParts,
  { id, verb, otherwise }: Pick<OperationRequest, 'id' | 'verb' | 'otherwise'>,
  task: (vm: Vm) => Promise<T>,
): Promise<T> {
  const vm = requireVm(parts, id);
  if (vm.internal === 'Down') throw new VerbError('down', { vmId: id });
  const { status } = parts.hypervisor;
  if (status.state !== 'open') throw notConnected(vm, status.reason);
  try {
    return await task(vm);
  } catch (error) {
    throw verbError(error, vm, verb, otherwise);
  }
}
