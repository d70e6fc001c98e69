/**
 * Where log lines go. A full disk or a reader that stands still costs lines, never the agent: writing happens in Node's
 * thread pool, up to a megabyte waits in memory, what comes then is dropped and counted. The first line that gets
 * through again says how many were lost.
 */
import { pino } from 'pino';

/** Lines that wait while nothing can be written, bytes. */
const MAX_WAITING_BYTES = 1024 * 1024;
/** How often a failed write is tried again without further lines. */
const RETRY_MS = 5000;
/** A write that takes longer waits for a reader: at the end of the process nobody waits for it. */
const STALLED_MS = 500;

type Destination = ReturnType<typeof pino.destination>;

export class LogOutput {
  readonly destination: Destination;
  #lost = 0;
  #lostInAll = 0;
  #failure: string | undefined;
  #lastWriteMs = performance.now();
  #waiting = false;
  #retry: NodeJS.Timeout | undefined;

  /**
   * @param fd 1 for a daemon, 2 for a command line program
   * @param onRecovered told when lines get through again after some were lost
   */
  constructor(
    fd: number,
    private readonly onRecovered: (lost: number) => void = () => undefined,
  ) {
    this.destination = pino.destination({ dest: fd, sync: false, maxLength: MAX_WAITING_BYTES });
    const write = this.destination.write.bind(this.destination);
    this.destination.write = (line: string) => {
      if (!this.#waiting) this.#lastWriteMs = performance.now();
      this.#waiting = true;
      return write(line);
    };
    const flushSync = this.destination.flushSync.bind(this.destination);
    // At the end of the process: neither a full disk nor a reader that stands still may change how it ends.
    this.destination.flushSync = () => {
      if (this.stalled) return;
      try {
        flushSync();
      } catch {
        this.#lostInAll++;
      }
    };
    this.destination.on('error', (error: Error) => this.#failed(error));
    this.destination.on('drop', () => {
      this.#lost++;
      this.#lostInAll++;
    });
    this.destination.on('write', () => this.#written());
    this.destination.on('drain', () => (this.#waiting = false));
  }

  /** Lines that were lost since the start. */
  get lostLines(): number {
    return this.#lostInAll;
  }

  /** Why lines are not written now; undefined while they are. */
  get problem(): string | undefined {
    return this.#failure ?? (this.stalled ? 'nobody reads it' : undefined);
  }

  private get stalled(): boolean {
    return this.#waiting && performance.now() - this.#lastWriteMs > STALLED_MS;
  }

  #failed(error: Error): void {
    this.#failure = error.message;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.destination.flush(), RETRY_MS).unref();
  }

  #written(): void {
    this.#lastWriteMs = performance.now();
    this.#failure = undefined;
    if (this.#lost === 0) return;
    const lost = this.#lost;
    this.#lost = 0;
    this.onRecovered(lost);
  }
}
