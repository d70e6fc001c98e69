/**
 * `--wait`: follows a VM's events from before the call until its work is done, and shows each status on standard error.
 * Goes on over reconnections. wait-rules.ts says when it is done.
 */
import { systemClock } from '../../util/time.js';
import { DeadlineError, VdsmError } from '../errors.js';
import { VmMonitor } from '../vm-monitor.js';
import type { VmMonitorListener } from '../vm-monitor.js';
import type { Target } from './target.js';
import { paint, statusColour } from './io.js';
import type { CliIo } from './io.js';
import type { Outcome, Told, WaitRule } from './wait-rules.js';

export interface WaitRequest {
  readonly rule: WaitRule;
  readonly params: Readonly<Record<string, unknown>>;
  /** Of waiting, after the verb's answer. */
  readonly limitSec: number;
}

/**
 * Makes the call and waits for what it began.
 * @param call resolves with the id of the VM
 * @throws VdsmError (code 1) where the work failed, DeadlineError where it takes too long, and what the call throws
 */
export async function waitFor(
  io: CliIo,
  target: Target,
  request: WaitRequest,
  call: () => Promise<string>,
): Promise<void> {
  const monitor = new VmMonitor(target.address, { pollIntervalMs: 0, callTimeoutMs: target.timeoutMs });
  const told = new Map<string, Told[]>();
  const wake = new Wakener();
  const note = (id: string, entry: Told): void => {
    told.set(id, [...(told.get(id) ?? []), entry]);
    wake.wake();
  };
  const connected = firstConnection(monitor);
  monitor.addListener({ change: ({ vmId, to, fields }) => note(vmId, { status: to, fields }) });
  monitor.start();
  try {
    await connected;
    told.clear();
    const startedMs = systemClock.nowMs();
    const id = await call();
    const line = progress(io, startedMs);
    const outcomeNow = (): Outcome => {
      const seen = told.get(id) ?? [];
      line(seen);
      return seen.length === 0 ? 'waiting' : request.rule.outcome(seen, request.params);
    };
    await settled(outcomeNow, wake, io, request);
  } finally {
    await monitor.stop();
  }
}

async function settled(
  outcomeNow: () => Outcome,
  wake: Wakener,
  io: CliIo,
  { rule, limitSec }: WaitRequest,
): Promise<void> {
  const endMs = systemClock.nowMs() + limitSec * 1000;
  for (;;) {
    const outcome = outcomeNow();
    if (outcome === 'arrived') return;
    if (outcome !== 'waiting') throw new VdsmError(1, outcome.failed);
    io.interrupted.throwIfAborted();
    const leftMs = endMs - systemClock.nowMs();
    if (leftMs <= 0)
      throw new DeadlineError(`after ${limitSec} s it is not so that ${rule.until}; it may still come`);
    await wake.sleep(leftMs, io.interrupted);
  }
}

/** One line per status, with the time since the call. */
function progress(io: CliIo, startedMs: number): (told: readonly Told[]) => void {
  let shown = 0;
  return (told) => {
    for (const { status = 'gone' } of told.slice(shown)) {
      const seconds = ((systemClock.nowMs() - startedMs) / 1000).toFixed(1);
      io.err.write(`${seconds.padStart(7)} s  ${paint(io.err, statusColour(status), status)}\n`);
    }
    shown = told.length;
  };
}

/** Resolves when the monitor has its first snapshot; rejects where it cannot connect at all. */
function firstConnection(monitor: VmMonitor): Promise<void> {
  return new Promise((resolve, reject) => {
    const listener: VmMonitorListener = {
      synchronised: () => resolve(),
      disconnected: ({ error }) => reject(error),
    };
    monitor.addListener(listener);
  });
}

class Wakener {
  #wake: () => void = () => undefined;

  wake(): void {
    this.#wake();
  }

  sleep(limitMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        cancel();
        signal.removeEventListener('abort', finish);
        resolve();
      };
      this.#wake = finish;
      const cancel = systemClock.after(limitMs, finish);
      signal.addEventListener('abort', finish, { once: true });
      if (signal.aborted) finish();
    });
  }
}
