/**
 * Watches the event loop: a timer that should fire every tenth of a second tells by how much it is late. Short stalls go
 * into a histogram only; a long one is logged, and health names the last for a while.
 *
 * A stall that falls between two firings is seen for what it delays the next: up to a tenth of a second less than it was.
 */
import type { Service } from './lifecycle.js';
import type { Logger } from './log.js';
import { RateLimiter } from './log.js';
import type { Metrics } from './metrics.js';
import type { Clock } from './time.js';

const EVERY_MS = 100;
/** Shorter delays are timers' and schedulers' own. */
const NOTED_MS = 5;
/** From here on requests notice. */
const LONG_MS = 500;
const REMEMBERED_MS = 60_000;

export interface Stall {
  /** Monotonic ms of its end. */
  readonly atMs: number;
  readonly tookMs: number;
}

export class StallWatch implements Service {
  #last: Stall | undefined;
  #cancel: (() => void) | undefined;
  readonly #quiet: RateLimiter;

  constructor(
    private readonly parts: {
      readonly clock: Clock;
      readonly log: Logger;
      readonly metrics: Pick<Metrics, 'event_loop_stall_seconds'>;
    },
  ) {
    this.#quiet = new RateLimiter(parts.clock);
  }

  /** The last long stall, for a minute. */
  get recent(): Stall | undefined {
    const isRecent = this.#last && this.parts.clock.nowMs() - this.#last.atMs < REMEMBERED_MS;
    return isRecent ? this.#last : undefined;
  }

  start(): Promise<void> {
    let dueMs = this.parts.clock.nowMs() + EVERY_MS;
    this.#cancel = this.parts.clock.every(EVERY_MS, () => {
      const nowMs = this.parts.clock.nowMs();
      this.#note(nowMs - dueMs, nowMs);
      dueMs = nowMs + EVERY_MS;
    });
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#cancel?.();
    return Promise.resolve();
  }

  #note(lateMs: number, atMs: number): void {
    if (lateMs < NOTED_MS) return;
    this.parts.metrics.event_loop_stall_seconds.observe(lateMs / 1000);
    if (lateMs < LONG_MS) return;
    this.#last = { atMs, tookMs: lateMs };
    this.#quiet.run('stall', (swallowed) =>
      this.parts.log.warn(
        { stallMs: Math.round(lateMs), swallowed },
        'the event loop stood still: the machine is overloaded, or the agent has a fault',
      ),
    );
  }
}
