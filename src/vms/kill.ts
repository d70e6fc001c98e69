/**
 * Ends a domain that has nothing left to run for. The state machine knows why by then; the event of the domain's end
 * makes the VM Down.
 */
import { isUnanswered } from '../domain/hypervisor-failure.js';
import type { Hypervisor } from '../domain/hypervisor.js';
import type { Vm } from '../domain/vm.js';
import type { CauseName } from '../domain/vm-transitions.js';
import type { Logger } from '../util/log.js';
import type { Registry } from './registry.js';

export interface KillParts {
  readonly hypervisor: Pick<Hypervisor, 'destroy'>;
  readonly registry: Pick<Registry, 'move'>;
  readonly log: Logger;
}

/** Never rejects. False: it was not possible, which is logged; the reason is forgotten then. */
export async function kill(
  { hypervisor, registry, log }: KillParts,
  { id, name }: Pick<Vm, 'id' | 'name'>,
  cause: CauseName,
): Promise<boolean> {
  try {
    await hypervisor.destroy(id, { graceful: false });
    return true;
  } catch (error) {
    const fields = { vmId: id, name, cause, err: error };
    log.error(fields, 'A VM that was to be ended could not be destroyed');
    // It may end all the same, and then for the reason that is remembered.
    if (!isUnanswered(error)) registry.move(id, 'kill-failed');
    return false;
  }
}
