/** A call's share in an attempt to connect, which others wait for too: it may give up earlier. */
import { HypervisorError } from '../domain/hypervisor.js';
import type { Clock } from '../util/time.js';
import type { Connection } from './connection.js';
import { secondsText } from './deadlines.js';

export interface Bounds {
  readonly clock: Clock;
  /** Infinity: none. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** @throws HypervisorError 'unavailable', 'aborted', or what the attempt ends with */
export function awaitConnection(attempt: Promise<Connection>, bounds: Bounds): Promise<Connection> {
  const { clock, deadlineMs, signal } = bounds;
  return new Promise((resolve, reject) => {
    const giveUp = (kind: 'unavailable' | 'aborted', message: string): void => {
      reject(new HypervisorError(kind, `${message} while libvirt was being connected`));
    };
    const onAbort = (): void => giveUp('aborted', 'the caller gave up');
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    const cancel = Number.isFinite(deadlineMs)
      ? clock.after(deadlineMs, () => giveUp('unavailable', `${secondsText(deadlineMs)} passed`))
      : undefined;
    void attempt.then(resolve, reject).finally(() => {
      cancel?.();
      signal?.removeEventListener('abort', onAbort);
    });
  });
}
