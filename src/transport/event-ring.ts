/**
 * The last events, bounded in number and in bytes, for clients that come back. Sequence numbers are consecutive,
 * so an event's place is its number modulo the capacity and nothing is ever moved.
 */
export interface RingEntry {
  readonly seq: number;
  /** Encoded message; its length is what the byte bound counts. */
  readonly bytes: Buffer;
}

export class EventRing<E extends RingEntry> {
  readonly #slots: (E | undefined)[] = [];
  #oldest = 1;
  #newest = 0;
  #bytes = 0;

  constructor(
    private readonly maxEvents: number,
    private readonly maxBytes: number,
  ) {}

  /** Number of the last event pushed; 0 before the first. */
  get newest(): number {
    return this.#newest;
  }

  /** Bytes of the events held now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @param entry its seq must be `newest + 1` */
  push(entry: E): void {
    if (entry.seq !== this.#newest + 1)
      throw new RangeError(`event ${entry.seq} does not follow ${this.#newest}`);
    if (this.#newest - this.#oldest + 1 === this.maxEvents) this.#dropOldest();
    this.#slots[entry.seq % this.maxEvents] = entry;
    this.#newest = entry.seq;
    this.#bytes += entry.bytes.length;
    while (this.#bytes > this.maxBytes) this.#dropOldest();
  }

  /** Events after `seq`, oldest first; undefined where some of them are gone, or `seq` is no number given out. */
  since(seq: number): E[] | undefined {
    if (!Number.isInteger(seq) || seq < this.#oldest - 1 || seq > this.#newest) return undefined;
    return Array.from({ length: this.#newest - seq }, (_, i) => this.#slots[(seq + 1 + i) % this.maxEvents]!);
  }

  #dropOldest(): void {
    const place = this.#oldest % this.maxEvents;
    this.#bytes -= this.#slots[place]!.bytes.length;
    this.#slots[place] = undefined;
    this.#oldest++;
  }
}
