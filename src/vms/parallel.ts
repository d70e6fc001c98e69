/**
 * Bounded parallelism: nothing here ever has more than `width` promises under way.
 */

/** Runs `task` over the items, `width` at a time, in order of the items; rejects with the first error. */
export async function forEachLimited<T>(
  items: Iterable<T>,
  width: number,
  task: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (let next = iterator.next(); !next.done; next = iterator.next()) await task(next.value);
  };
  await Promise.all(Array.from({ length: width }, worker));
}

export function* chunksOf<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size);
}

/** Lets sockets and timers have their turn in a long loop. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Items per turn where each takes about a microsecond. */
const PER_TURN = 1000;

/** Visits every item, with a turn for the event loop after each thousand. What it iterates may change meanwhile. */
export async function inTurns<T>(
  items: Iterable<T>,
  visit: (item: T, index: number) => unknown,
): Promise<void> {
  let index = 0;
  for (const item of items) {
    if (index > 0 && index % PER_TURN === 0) await nextTurn();
    visit(item, index++);
  }
}

/** A number of slots; who comes when all are taken waits in line. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}
