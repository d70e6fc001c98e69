/**
 * A clock that moves only when a test says so. Timers due at the same moment run in the order they were set.
 */
import type { Clock } from '../../src/util/time.js';

interface Timer {
  dueMs: number;
  readonly periodMs: number | undefined;
  readonly callback: () => void;
}

export class ManualClock implements Clock {
  readonly #timers = new Set<Timer>();
  #nowMs: number;
  #wallMs: number;

  constructor(startMs = 1_000_000, wallMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs;
    this.#wallMs = wallMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#wallMs;
  }

  /** Timers that have not been cancelled and have not run out: 0 after a clean stop. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Moves the wall clock alone, as an administrator would. */
  stepWall(ms: number): void {
    this.#wallMs += ms;
  }

  after(delayMs: number, callback: () => void): () => void {
    return this.#add({ dueMs: this.#nowMs + Math.max(0, delayMs), periodMs: undefined, callback });
  }

  every(periodMs: number, callback: () => void): () => void {
    return this.#add({ dueMs: this.#nowMs + periodMs, periodMs, callback });
  }

  /** Moves time on, running what falls due on the way, and lets promises settle after each step. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    for (let next = this.#nextUntil(endMs); next; next = this.#nextUntil(endMs)) {
      this.#moveTo(next.dueMs);
      if (next.periodMs === undefined) this.#timers.delete(next);
      else next.dueMs += next.periodMs;
      next.callback();
      await settle();
    }
    this.#moveTo(endMs);
    await settle();
  }

  #add(timer: Timer): () => void {
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  }

  #nextUntil(endMs: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueMs <= endMs && (!next || timer.dueMs < next.dueMs)) next = timer;
    }
    return next;
  }

  #moveTo(ms: number): void {
    this.#wallMs += ms - this.#nowMs;
    this.#nowMs = ms;
  }
}

/** Lets promise chains and setImmediate callbacks that are under way come to rest. */
export async function settle(rounds = 5): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
