/**
 * The answer of Host.getAllVmStats, ready to send: one encoded record per VM, in pages of some dozens.
 *
 * A page is joined when somebody asks and a record in it has changed; the others are sent as they are. Buffers are
 * never written to again once they were handed out. What a record says is not known here.
 *
 * A record that was marked stale is rendered anew before the next read: its statusTime is then not older than any
 * event sent for the change, and many changes in one turn cost one rendering.
 */
import type { VmId } from '../domain/ids.js';
import type { StatsSnapshot } from '../domain/vm.js';
import type { Span } from './record-bytes.js';

const RECORDS_PER_PAGE = 64;
const EMPTY = [Buffer.from('[]')];
const CLOSE = Buffer.from(']');
const OPENING = 0x5b;
const COMMA = 0x2c;

interface Page {
  readonly records: PagedRecord[];
  /** Records with their separators; the first byte is '[' on the first page and ',' on others. */
  joined: Buffer | undefined;
}

/** A Span in place: where the record's text is now. */
interface PagedRecord {
  readonly page: Page;
  bytes: Buffer;
  from: number;
  to: number;
}

export class Snapshot implements StatsSnapshot {
  readonly #records = new Map<VmId, PagedRecord>();
  readonly #pages: Page[] = [];
  readonly #stale = new Set<VmId>();
  #answer: readonly Buffer[] | undefined = EMPTY;
  #sampledAtMs: number | undefined;

  /** @param render makes a VM's record; undefined where the VM is gone */
  constructor(private readonly render: (id: VmId) => Span | undefined) {}

  get sampledAtMs(): number | undefined {
    return this.#sampledAtMs;
  }

  get size(): number {
    return this.#records.size;
  }

  get pageCount(): number {
    return this.#pages.length;
  }

  /** Notes the end of a sampling cycle, monotonic ms. */
  finishCycle(atMs: number): void {
    this.#sampledAtMs = atMs;
  }

  pages(): readonly Buffer[] {
    for (const id of this.#stale) this.#refresh(id);
    if (this.#answer) return this.#answer;
    const answer = this.#pages.map((_, index) => this.join(index));
    answer.push(CLOSE);
    this.#answer = answer;
    return answer;
  }

  record(id: VmId): Buffer | undefined {
    if (this.#stale.has(id)) this.#refresh(id);
    const record = this.#records.get(id);
    return record?.bytes.subarray(record.from, record.to);
  }

  /** Puts a finished record in place of the VM's last one, or adds it. */
  set(id: VmId, text: Span): void {
    this.#stale.delete(id);
    this.#answer = undefined;
    const record = this.#records.get(id);
    if (record) {
      record.bytes = text.bytes;
      record.from = text.from;
      record.to = text.to;
      record.page.joined = undefined;
      return;
    }
    const page = this.#pageWithRoom();
    const added = { page, bytes: text.bytes, from: text.from, to: text.to };
    page.records.push(added);
    page.joined = undefined;
    this.#records.set(id, added);
  }

  delete(id: VmId): void {
    this.#stale.delete(id);
    const record = this.#records.get(id);
    if (!record) return;
    this.#records.delete(id);
    const { page } = record;
    page.records.splice(page.records.indexOf(record), 1);
    page.joined = undefined;
    if (page.records.length === 0) this.#pages.splice(this.#pages.indexOf(page), 1);
    this.#answer = this.#pages.length === 0 ? EMPTY : undefined;
  }

  /** The VM's record is to be rendered before the next read, or when renderStale gets to it. */
  markStale(id: VmId): void {
    this.#stale.add(id);
  }

  /** Renders at most `limit` stale records; true where there are more. */
  renderStale(limit: number): boolean {
    let left = limit;
    for (const id of this.#stale) {
      if (left-- <= 0) return true;
      this.#refresh(id);
    }
    return false;
  }

  /** Joins a page ahead of the next read, if it has changed. */
  join(index: number): Buffer {
    const page = this.#pages[index]!;
    const separator = index === 0 ? OPENING : COMMA;
    if (page.joined?.[0] === separator) return page.joined;
    let length = 0;
    for (const record of page.records) length += 1 + record.to - record.from;
    const joined = Buffer.allocUnsafeSlow(length);
    let at = 0;
    for (const record of page.records) {
      joined[at] = at === 0 ? separator : COMMA;
      record.bytes.copy(joined, at + 1, record.from, record.to);
      // The record lives on inside the page, so that its bytes are not held twice.
      at += 1 + record.to - record.from;
      record.from += at - record.to;
      record.to = at;
      record.bytes = joined;
    }
    page.joined = joined;
    return joined;
  }

  #refresh(id: VmId): void {
    const text = this.render(id);
    if (text) this.set(id, text);
    else this.delete(id);
  }

  #pageWithRoom(): Page {
    const hasRoom = (page: Page): boolean => page.records.length < RECORDS_PER_PAGE;
    const found = this.#pages.findLast(hasRoom);
    if (found) return found;
    const page: Page = { records: [], joined: undefined };
    this.#pages.push(page);
    return page;
  }
}
