/** Connecting a UNIX socket, with the causes of failure in words. */
import { createConnection } from 'node:net';
import type { Socket } from 'node:net';
import { HypervisorError } from '../domain/hypervisor.js';

/** One read buffer per connection, used again for every chunk: a 20 MB reply makes no garbage but itself. */
const READ_BUFFER_BYTES = 65_536;

/**
 * @param receive gets each chunk; the bytes are valid only during the call
 * @throws HypervisorError 'denied' (EACCES), 'aborted', or 'unavailable'
 */
export function connectSocket(
  path: string,
  signal: AbortSignal | undefined,
  receive: (chunk: Buffer) => void,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(new HypervisorError('aborted', `connecting ${path} was given up`));
      return;
    }
    const socket = createConnection({
      path,
      onread: {
        buffer: Buffer.allocUnsafeSlow(READ_BUFFER_BYTES),
        callback(bytes, buffer) {
          receive(Buffer.from(buffer.buffer, buffer.byteOffset, bytes));
          return true;
        },
      },
    });
    const onError = (error: NodeJS.ErrnoException): void => {
      reject(connectError(path, error));
    };
    socket.once('error', onError);
    socket.once('connect', () => {
      socket.off('error', onError);
      resolve(socket);
    });
  });
}

function connectError(path: string, error: NodeJS.ErrnoException): HypervisorError {
  switch (error.code) {
    case 'ENOENT':
      return new HypervisorError('unavailable', `there is no socket ${path}`, { cause: error });
    case 'ECONNREFUSED':
      return new HypervisorError('unavailable', `no daemon listens on ${path}`, { cause: error });
    case 'EAGAIN':
      return new HypervisorError('unavailable', `the daemon at ${path} has too many clients waiting`, {
        cause: error,
      });
    case 'EACCES':
    case 'EPERM':
      return new HypervisorError(
        'denied',
        `access to ${path} is denied: run as root or join the group that owns it (often 'libvirt')`,
        { cause: error },
      );
    default:
      return new HypervisorError('unavailable', `cannot connect ${path}: ${error.message}`, { cause: error });
  }
}
