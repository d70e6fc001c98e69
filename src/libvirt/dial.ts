/**
 * Finds the socket of a target that lets us in: those with full access in order, then, where access is denied,
 * the read-only ones.
 */
import { HypervisorError } from '../domain/hypervisor.js';
import { Connection } from './connection.js';
import type { ConnectionDeps, ConnectionListener } from './connection.js';
import type { LibvirtTarget } from './uri.js';

export interface DialRequest {
  readonly target: LibvirtTarget;
  readonly lane: string;
  /** Ask for read-only access from the start. */
  readonly readOnly?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** @throws HypervisorError 'unavailable' with every socket's fault in its message, or 'aborted' */
export async function dial(
  request: DialRequest,
  deps: ConnectionDeps,
  listener: ConnectionListener,
): Promise<Connection> {
  const { target, lane, signal, readOnly = false } = request;
  const faults: HypervisorError[] = [];
  const attempt = async (path: string, asReadOnly: boolean): Promise<Connection | undefined> => {
    const open = { path, name: target.name, readOnly: asReadOnly, lane, signal };
    return Connection.open(open, deps, listener).catch((error: unknown) => {
      if (!(error instanceof HypervisorError) || signal?.aborted) throw error;
      faults.push(error);
      return undefined;
    });
  };
  for (const path of target.socketPaths) {
    const connection = await attempt(path, readOnly);
    if (connection) return connection;
  }
  if (!faults.some(({ kind }) => kind === 'denied')) throw failure(target, faults);
  for (const path of target.readOnlySocketPaths) {
    const connection = await attempt(path, true);
    if (connection) return connection;
  }
  throw failure(target, faults);
}

/** 'unavailable' whatever the cause: nothing can be called. The cause is the fault that says most. */
function failure(target: LibvirtTarget, faults: readonly HypervisorError[]): HypervisorError {
  const telling = faults.find(({ kind }) => kind !== 'unavailable');
  const causes = faults.map(({ message }) => message).join('; ');
  return new HypervisorError('unavailable', `cannot open ${target.uri}: ${causes}`, {
    cause: telling ?? faults[0],
  });
}
