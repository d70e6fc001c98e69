/**
 * Places for starts: so many at a time as the daemon can work on at once, the rest in line, first come, first served.
 *
 * A start that takes long is not to starve the others: after OVERDUE_MS its place goes to the next one, though it works
 * on. Only a few may be overdue at a time; where more are, they keep their places, since each also holds one of the
 * daemon's workers. Whether and how long VMs wait is in the metrics and in Agent.getHealth.
 */
import type { Metrics } from '../util/metrics.js';
import type { Clock } from '../util/time.js';

export interface StartsUnderWay {
  readonly running: number;
  readonly waiting: number;
  readonly places: number;
  readonly longestWaitSec: number;
}

export interface StartPlacesParts {
  readonly places: number;
  readonly clock: Clock;
  readonly metrics: Pick<Metrics, 'vm_starts_running' | 'vm_starts_waiting' | 'vm_start_wait_seconds'>;
}

/** Even with much memory to prepare, few starts take longer. */
const OVERDUE_MS = 30_000;
const MAX_OVERDUE = 4;

interface Waiter {
  readonly sinceMs: number;
  readonly enter: () => void;
}

export class StartPlaces {
  readonly #waiting = new Set<Waiter>();
  #running = 0;
  #overdue = 0;

  constructor(private readonly parts: StartPlacesParts) {}

  get underWay(): StartsUnderWay {
    const { clock, places } = this.parts;
    const [first] = this.#waiting;
    return {
      running: this.#running,
      waiting: this.#waiting.size,
      places,
      longestWaitSec: first ? Math.round(clock.nowMs() - first.sinceMs) / 1000 : 0,
    };
  }

  /**
   * Resolves with a place, which is given back by the function, once.
   * @throws the signal's reason where it is aborted before
   */
  take(signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const { clock, metrics } = this.parts;
      const leave = (): void => {
        signal.removeEventListener('abort', onAbort);
        this.#waiting.delete(waiter);
        this.#show();
      };
      const onAbort = (): void => {
        leave();
        reject(signal.reason as Error);
      };
      const waiter: Waiter = {
        sinceMs: clock.nowMs(),
        enter: () => {
          leave();
          metrics.vm_start_wait_seconds.observe((clock.nowMs() - waiter.sinceMs) / 1000);
          resolve(this.#occupy());
        },
      };
      if (signal.aborted) {
        onAbort();
        return;
      }
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(waiter);
      this.#admit();
    });
  }

  #admit(): void {
    for (const waiter of this.#waiting) {
      if (this.#running - Math.min(this.#overdue, MAX_OVERDUE) >= this.parts.places) break;
      waiter.enter();
    }
    this.#show();
  }

  #occupy(): () => void {
    let isOverdue = false;
    let isGiven = false;
    this.#running++;
    const cancel = this.parts.clock.after(OVERDUE_MS, () => {
      isOverdue = true;
      this.#overdue++;
      this.#admit();
    });
    return () => {
      if (isGiven) return;
      isGiven = true;
      cancel();
      this.#running--;
      if (isOverdue) this.#overdue--;
      this.#admit();
    };
  }

  #show(): void {
    const { metrics } = this.parts;
    metrics.vm_starts_running.set(this.#running);
    metrics.vm_starts_waiting.set(this.#waiting.size);
  }
}
