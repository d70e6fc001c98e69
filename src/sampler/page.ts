/**
 * Some dozens of records as one Buffer, each with a comma before it.
 *
 * New texts are collected in loose memory, which is used again, and copied into a Buffer of the right length when
 * somebody asks, or as soon as the whole page is new. That Buffer is never written to once it was made, since readers
 * hold it as long as they like. Memory outside the heap is what the collector stops the program for.
 */
import type { Span } from './record-bytes.js';

/** A full page. */
export const PAGE_RECORDS = 64;
/** Enough for a page of usual records. */
const LOOSE_BYTES = 128 * 1024;
const MAX_SPARES = 8;
const COMMA = 0x2c;

/** Where a record's text is now. */
export interface PagedRecord {
  readonly page: Page;
  bytes: Buffer;
  from: number;
  to: number;
}

export class Page {
  readonly #records: PagedRecord[] = [];
  #joined: Buffer | undefined;
  #loose: Buffer | undefined;
  #looseBytes = 0;
  #looseRecords = 0;

  /** @param spares loose memory that no page uses now; shared by all pages */
  constructor(private readonly spares: Buffer[]) {}

  get size(): number {
    return this.#records.length;
  }

  /** Copies a text in place of the record's last one; without a record it is a new one's. */
  put(text: Span, record?: PagedRecord): PagedRecord {
    const loose = this.#withRoom(text.length);
    const kept = record ?? { page: this, bytes: loose, from: 0, to: 0 };
    if (!record) this.#records.push(kept);
    if (record?.bytes !== loose) this.#looseRecords++;
    text.bytes.copy(loose, this.#looseBytes, 0, text.length);
    kept.bytes = loose;
    kept.from = this.#looseBytes;
    kept.to = this.#looseBytes += text.length;
    this.#joined = undefined;
    if (this.#looseRecords === PAGE_RECORDS) this.join();
    return kept;
  }

  remove(record: PagedRecord): void {
    this.#records.splice(this.#records.indexOf(record), 1);
    if (record.bytes === this.#loose) this.#looseRecords--;
    this.#joined = undefined;
  }

  join(): Buffer {
    if (this.#joined) return this.#joined;
    let length = 0;
    for (const record of this.#records) length += 1 + record.to - record.from;
    const joined = Buffer.allocUnsafeSlow(length);
    let at = 0;
    for (const record of this.#records) {
      joined[at++] = COMMA;
      record.bytes.copy(joined, at, record.from, record.to);
      // The record lives on in here, so that its bytes are not held twice.
      const end = at + record.to - record.from;
      record.bytes = joined;
      record.from = at;
      record.to = at = end;
    }
    if (this.#loose && this.spares.length < MAX_SPARES) this.spares.push(this.#loose);
    this.#loose = undefined;
    this.#looseRecords = 0;
    this.#joined = joined;
    return joined;
  }

  /** Loose memory that has so much left; where it is used up, by old texts of records too, the page is joined. */
  #withRoom(bytes: number): Buffer {
    if (this.#loose && this.#looseBytes + bytes > this.#loose.length) this.join();
    if (!this.#loose) {
      const spare = bytes <= LOOSE_BYTES ? this.spares.pop() : undefined;
      this.#loose = spare ?? Buffer.allocUnsafeSlow(Math.max(bytes, LOOSE_BYTES));
      this.#looseBytes = 0;
    }
    return this.#loose;
  }
}
