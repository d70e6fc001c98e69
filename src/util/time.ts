/**
 * The clock, injected everywhere: monotonic for order and intervals, wall only for what people read.
 */
export interface Clock {
  /** CLOCK_MONOTONIC in ms, with fraction; goes on over restarts of the process, as the engine demands. */
  nowMs(): number;
  /** Wall clock, epoch ms. Never use it for intervals. */
  wallMs(): number;
  /** Calls back once; returns the canceller. */
  after(delayMs: number, callback: () => void): () => void;
  /** Calls back repeatedly at a fixed rate; returns the canceller. */
  every(periodMs: number, callback: () => void): () => void;
}

/** process.hrtime is CLOCK_MONOTONIC on Linux; performance.now() would restart with the process. */
export const systemClock: Clock = {
  nowMs: () => Number(process.hrtime.bigint()) / 1e6,
  wallMs: () => Date.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => {
      clearTimeout(timer);
    };
  },
  every(periodMs, callback) {
    const timer = setInterval(callback, periodMs);
    return () => {
      clearInterval(timer);
    };
  },
};

const ENGINE_OFFSET_MS = 2 ** 31 - 1;

/** `statusTime` / `notify_time`: VDSM's 2^31-1 + CLOCK_MONOTONIC in ms, an integer. */
export function engineTime(monotonicMs: number): number {
  return ENGINE_OFFSET_MS + Math.floor(monotonicMs);
}
