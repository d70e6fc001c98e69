/**
 * Timers in a guest's own time, which stands still while its CPUs do: what is due goes on where it was when the
 * guest runs again.
 */
import type { Clock } from '../util/time.js';

interface Timer {
  remainingMs: number;
  sinceMs: number;
  readonly action: () => void;
  cancel: (() => void) | undefined;
}

export class GuestTimers {
  /** Made when needed: most of thousands of guests wait for nothing. */
  #timers: Set<Timer> | undefined;
  #runs = false;

  constructor(private readonly clock: Clock) {}

  /** Calls back after so much of the guest's time; returns the canceller. */
  after(delayMs: number, action: () => void): () => void {
    const timer: Timer = { remainingMs: delayMs, sinceMs: 0, action, cancel: undefined };
    this.#timers ??= new Set();
    this.#timers.add(timer);
    if (this.#runs) this.#arm(timer);
    return () => {
      timer.cancel?.();
      this.#timers?.delete(timer);
    };
  }

  set runs(runs: boolean) {
    if (this.#runs === runs) return;
    this.#runs = runs;
    for (const timer of this.#timers ?? []) {
      if (runs) this.#arm(timer);
      else this.#disarm(timer);
    }
  }

  /** The guest is no more, or starts anew. */
  clear(): void {
    for (const timer of this.#timers ?? []) timer.cancel?.();
    this.#timers = undefined;
  }

  #arm(timer: Timer): void {
    timer.sinceMs = this.clock.nowMs();
    timer.cancel = this.clock.after(timer.remainingMs, () => {
      this.#timers?.delete(timer);
      timer.action();
    });
  }

  #disarm(timer: Timer): void {
    timer.cancel?.();
    timer.cancel = undefined;
    timer.remainingMs = Math.max(0, timer.remainingMs - (this.clock.nowMs() - timer.sinceMs));
  }
}
