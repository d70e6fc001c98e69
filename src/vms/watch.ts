/**
 * Finds out whether something happened to a VM while its state was being read, so that an answer that is older than
 * the news is never taken for the truth: open a watch, read, and apply only what was not touched.
 */
import type { VmId } from '../domain/ids.js';

export interface Watch {
  touched(id: VmId): boolean;
  /** Must be called; the watch collects until then. */
  end(): void;
}

export class WatchBoard {
  readonly #open = new Set<Set<VmId>>();

  watch(): Watch {
    const touched = new Set<VmId>();
    this.#open.add(touched);
    return {
      touched: (id) => touched.has(id),
      end: () => void this.#open.delete(touched),
    };
  }

  touch(id: VmId): void {
    for (const touched of this.#open) touched.add(id);
  }
}
