/**
 * Operations whose callers know one code for "it could not be done", whatever the hypervisor's reason: VDSM answers 49
 * where a NIC cannot be plugged in, be it unsupported, not allowed in this state or just failed.
 */
import { HypervisorError } from '../../domain/hypervisor.js';
import type { HypervisorErrorKind } from '../../domain/hypervisor.js';
import type { Vm } from '../../domain/vm.js';
import { operate } from '../operation.js';
import type { OperationRequest, OperationsParts } from '../operation.js';

const refusals: ReadonlySet<HypervisorErrorKind> = new Set(['unsupported', 'invalid-state', 'exists']);

/** As `operate`. @throws VerbError `otherwise` also for what the hypervisor refuses */
export function operateWithOwnCode<T>(
  parts: OperationsParts,
  request: OperationRequest & Required<Pick<OperationRequest, 'otherwise'>>,
  task: (vm: Vm) => Promise<T>,
): Promise<T> {
  return operate(parts, request, async (vm) => {
    try {
      return await task(vm);
    } catch (error) {
      if (!(error instanceof HypervisorError && refusals.has(error.kind))) throw error;
      const { message, detail } = error;
      throw new HypervisorError('failed', message, { cause: error, detail });
    }
  });
}
