/**
 * Long work in short slices, one slice per turn of the event loop, so that requests and events get in between.
 *
 * All work of one Turns goes through one queue: immediates that were queued together run without a pause, so
 * several independent loops would add up to one long stall.
 */
export class Turns {
  #tail: Promise<void> = Promise.resolve();
  #stopped = false;

  /**
   * Calls `work(from, to)` for successive ranges of 0..count, each in a turn of its own.
   *
   * @param size length of a range; what it costs is the stall
   * @returns resolves when all ranges are done, or none will be since stop() was called; rejects with what `work` threw
   */
  run(count: number, size: number, work: (from: number, to: number) => void): Promise<void> {
    const run = this.#tail.then(async () => {
      for (let from = 0; from < count; from += size) {
        await new Promise<void>((resolve) => setImmediate(resolve));
        if (this.#stopped) return;
        work(from, Math.min(count, from + size));
      }
    });
    this.#tail = run.catch(() => undefined);
    return run;
  }

  /** Resolves when no slice can run any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#tail;
  }
}
