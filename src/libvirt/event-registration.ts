/** Asks a fresh connection for every event that the port has a name for. */
import type { Logger } from '../util/log.js';
import type { Connection } from './connection.js';
import { registered } from './domain-event-names.js';
import { LibvirtError } from './errors.js';

/**
 * Events that this daemon does not know are left out. Nothing is deregistered ever: callback ids die with the
 * connection.
 * @throws HypervisorError where the connection failed
 */
export async function registerEvents(connection: Connection, log: Logger): Promise<void> {
  await Promise.all([
    ...registered.map(async ({ eventId, olderEventId }) => {
      if (await register(connection, eventId)) return;
      if (olderEventId !== undefined && (await register(connection, olderEventId))) return;
      log.info({ eventId }, 'this libvirt does not send the event');
    }),
    // A proxy in front of the hypervisor's daemon stays when that daemon goes; this event tells.
    tolerated(connection.call('CONNECT_REGISTER_CLOSE_CALLBACK', undefined)),
  ]);
}

function register(connection: Connection, eventId: number): Promise<boolean> {
  return tolerated(connection.call('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY', { eventId }));
}

/** False where the daemon declined; whatever else went wrong is thrown. */
async function tolerated(answer: Promise<unknown>): Promise<boolean> {
  try {
    await answer;
    return true;
  } catch (error) {
    if (error instanceof LibvirtError) return false;
    throw error;
  }
}
