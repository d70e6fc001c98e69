/**
 * How long libvirt waits for a guest agent. Without a limit it waits for ever, and one silent agent after the other takes
 * a worker of the daemon. The limit is one for all calls to an agent, so work that takes longer sets its own meanwhile.
 */
import type { Hypervisor } from '../../domain/hypervisor.js';
import type { VmId } from '../../domain/ids.js';

/** libvirt's own limit for an agent's first sign of life, s. */
export const ANSWER_SEC = 5;

/**
 * Runs a task whose commands may keep the agent busy for `seconds`. An agent whose limit cannot be set has none, or the
 * usual one: the task is run all the same.
 */
export async function withPatience<T>(
  { guest }: Pick<Hypervisor, 'guest'>,
  id: VmId,
  seconds: number,
  task: () => Promise<T>,
): Promise<T> {
  const set = (limitSec: number): Promise<void> => guest.setAgentTimeout(id, limitSec).catch(() => undefined);
  await set(seconds);
  try {
    return await task();
  } finally {
    await set(ANSWER_SEC);
  }
}
