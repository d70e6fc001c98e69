/** Opens the WebSocket to an agent, over TCP, TLS or a UNIX socket. Knows nothing of what is said on it. */
import { connect } from 'node:net';
import { WebSocket } from 'ws';
import type { Clock } from '../util/time.js';
import type { AgentAddress, SocketOptions } from './address.js';
import { ConnectionError } from './errors.js';

/** 6,000 records are about 13 MB; more than this is no sane answer. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

/**
 * Resolves to an open socket without listeners.
 * @throws ConnectionError, or the signal's reason
 */
export function openSocket(target: AgentAddress, options: SocketOptions, clock: Clock): Promise<WebSocket> {
  const { socketPath } = target;
  const socket = new WebSocket(target.url, {
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
    ...options.tls,
    ...(socketPath === undefined ? {} : { createConnection: () => connect(socketPath) }),
  });
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      cancelTimeout();
      options.signal?.removeEventListener('abort', aborted);
      socket.removeAllListeners();
      if (error === undefined) {
        resolve(socket);
        return;
      }
      // terminate() of a connecting socket reports an error of its own, which nobody needs.
      socket.on('error', () => undefined);
      socket.terminate();
      reject(error);
    };
    const aborted = (): void => settle(options.signal?.reason as Error);
    const timeoutMs = options.connectTimeoutMs ?? 10_000;
    const cancelTimeout = clock.after(timeoutMs, () =>
      settle(new ConnectionError(`${target.label} did not answer within ${timeoutMs / 1000} s`, 'ETIMEDOUT')),
    );
    socket.once('open', () => settle());
    socket.once('error', (error: NodeJS.ErrnoException) =>
      settle(
        new ConnectionError(`cannot connect to ${target.label}: ${connectText(error)}`, error.code, {
          cause: error,
        }),
      ),
    );
    if (options.signal?.aborted) aborted();
    else options.signal?.addEventListener('abort', aborted, { once: true });
  });
}

/** A host name with several addresses fails with an AggregateError, whose own message is empty. */
function connectText(error: NodeJS.ErrnoException): string {
  if (error instanceof AggregateError) return error.errors.map((each: Error) => each.message).join('; ');
  return error.message || (error.code ?? 'unknown error');
}
