/**
 * Logging: pino's JSON lines to stdout, without transport threads (they lose lines at exit).
 * A logger is passed in, never imported as a singleton.
 */
import { pino } from 'pino';
import { LogOutput } from './log-output.js';
import type { Clock } from './time.js';

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';

/** The part of pino that the agent uses. */
export interface Logger {
  error(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  info(fields: object, message: string): void;
  debug(fields: object, message: string): void;
  child(bindings: Record<string, unknown>): Logger;
}

/** A logger, and where its lines go. @param fd 1 for a daemon, 2 for a command line program */
export function createLogger(
  level: LogLevel,
  fd: 1 | 2 = 1,
): { readonly log: Logger; readonly output: LogOutput } {
  const output = new LogOutput(fd, (lost) =>
    log.warn({ lost }, 'log lines were lost: they could not be written'),
  );
  const log = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    output.destination,
  );
  return { log, output };
}

export const silentLogger: Logger = {
  error: () => undefined,
  warn: () => undefined,
  info: () => undefined,
  debug: () => undefined,
  child: () => silentLogger,
};

/** At most one call per key and interval; tells how many were swallowed. For warnings that may come in floods. */
export class RateLimiter {
  readonly #keys = new Map<string, { until: number; swallowed: number }>();

  constructor(
    private readonly clock: Clock,
    private readonly intervalMs = 10_000,
    private readonly maxKeys = 1000,
  ) {}

  run(key: string, log: (swallowed: number) => void): void {
    const now = this.clock.nowMs();
    const entry = this.#keys.get(key);
    if (entry && now < entry.until) {
      entry.swallowed++;
      return;
    }
    if (this.#keys.size >= this.maxKeys) this.#keys.clear();
    this.#keys.set(key, { until: now + this.intervalMs, swallowed: 0 });
    log(entry?.swallowed ?? 0);
  }
}
