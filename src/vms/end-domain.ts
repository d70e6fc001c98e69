/**
 * Ends a domain: QEMU is asked first and then killed. What VM.destroy does, and VM.shutdown with force; whoever calls it
 * has the VM's lock.
 */
import { isUnanswered } from '../domain/hypervisor-failure.js';
import { HypervisorError } from '../domain/hypervisor.js';
import type { Hypervisor } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import { isActive } from '../domain/vm-found.js';
import type { OperationsParts } from './operation.js';

const GRACE_MS = 16_000;
/** A QEMU that is well answers a command in less. */
const SILENT_MS = 3_000;

/**
 * Ends the domain if it runs, and commits Down, or that it goes on; without an answer it may end yet, and then as ordered.
 * @throws HypervisorError
 */
export async function endDomain(parts: OperationsParts, id: VmId, gracefulAttempts: number): Promise<void> {
  const { registry, hypervisor } = parts;
  if (registry.get(id)?.internal === 'Down') {
    // Somebody may have started it again, which has not come to us yet: removing its definition would not stop it.
    const state = await hypervisor.domainState(id).catch(unlessOver);
    if (!state || !isActive(state)) return;
  }
  registry.move(id, 'destroy-begun');
  try {
    if (!(await endGracefully(hypervisor, id, gracefulAttempts))) {
      await hypervisor.destroy(id, { graceful: false }).catch(unlessOver);
    }
  } catch (error) {
    registry.move(id, isUnanswered(error) ? 'destroy-unanswered' : 'destroy-failed');
    throw error;
  }
  registry.move(id, 'destroyed');
}

/**
 * True where QEMU has ended; false where it has to be killed.
 *
 * libvirt waits 15 s for a QEMU to end, and where another call hangs in its monitor then 30 s more for nothing.
 */
async function endGracefully(hypervisor: Hypervisor, id: VmId, attempts: number): Promise<boolean> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    if (await isStuck(hypervisor, id)) return false;
    try {
      await hypervisor.destroy(id, { graceful: true }, { deadlineMs: GRACE_MS }).catch(unlessOver);
      return true;
    } catch (error) {
      const kind = error instanceof HypervisorError ? error.kind : undefined;
      if (kind !== 'failed' && kind !== 'timeout') throw error;
    }
  }
  return false;
}

/** The loop that answers the monitor is the one that obeys SIGTERM: asking a QEMU to end that is silent is no use. */
async function isStuck(hypervisor: Hypervisor, id: VmId): Promise<boolean> {
  try {
    const { state, sinceMs } = await hypervisor.controlInfo(id);
    return state === 'occupied' && sinceMs >= SILENT_MS;
  } catch {
    return false;
  }
}

/** "Not there" and "not running" are what a destroy wants. */
export function unlessOver(error: unknown): undefined {
  if (error instanceof HypervisorError && (error.kind === 'no-domain' || error.kind === 'invalid-state')) {
    return undefined;
  }
  throw error;
}
