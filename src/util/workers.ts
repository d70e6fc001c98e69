/**
 * Threads for heavy pure JavaScript: a thin wrapper around Piscina for one worker file. Threads start with the
 * first task, end when idle, and never keep the process alive without one.
 *
 * Only for work without I/O: stop() ends a thread in the middle of its task.
 */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';

const IDLE_MS = 1000;

export class WorkerPool {
  #pool: Piscina | undefined;
  #stopped = false;

  /**
   * @param file compiled worker file
   * @param task name of the function it exports
   * @param maxThreads default: one thread less than cores, 4 at most
   */
  constructor(
    private readonly file: URL,
    private readonly task: string,
    private readonly maxThreads = Math.min(4, Math.max(1, availableParallelism() - 1)),
  ) {}

  /** Calls the function in a thread; rejects with what it throws, and with AbortError where the signal ends it. */
  async run(argument: unknown, signal?: AbortSignal): Promise<unknown> {
    if (this.#stopped) throw new Error('The worker pool is stopped.');
    this.#pool ??= new Piscina({
      filename: fileURLToPath(this.file),
      name: this.task,
      minThreads: 0,
      maxThreads: this.maxThreads,
      idleTimeout: IDLE_MS,
      // A thread that waits in Atomics.wait cannot be told apart from one that hangs.
      atomics: 'disabled',
    });
    return (await this.#pool.run(argument, signal ? { signal } : {})) as unknown;
  }

  /** Idempotent. Unfinished tasks reject. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const pool = this.#pool;
    this.#pool = undefined;
    await pool?.destroy();
  }
}
