/**
 * The answer of Host.getAllVmStats, ready to send: one encoded record per VM, in pages of some dozens (page.ts).
 *
 * A page is joined when somebody asks and a record in it has changed; the others are sent as they are. What was handed
 * out never changes. What a record says is not known here.
 *
 * A record that was marked stale is rendered anew before the next read: its statusTime is then not older than any
 * event sent for the change, and many changes in one turn cost one rendering.
 */
import type { VmId } from '../domain/ids.js';
import type { StatsSnapshot } from '../domain/vm.js';
import { Page, PAGE_RECORDS, type PagedRecord } from './page.js';
import type { Span } from './record-bytes.js';

const EMPTY = [Buffer.from('[]')];
const OPEN = Buffer.from('[');
const CLOSE = Buffer.from(']');

export class Snapshot implements StatsSnapshot {
  readonly #records = new Map<VmId, PagedRecord>();
  readonly #pages: Page[] = [];
  readonly #spares: Buffer[] = [];
  readonly #stale = new Set<VmId>();
  #answer: readonly Buffer[] | undefined = EMPTY;
  #sampledAtMs: number | undefined;

  /** @param render makes a VM's record, which is copied; undefined where the VM is gone */
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
    const [first, ...others] = this.#pages.map((page) => page.join());
    this.#answer = first ? [OPEN, first.subarray(1), ...others, CLOSE] : EMPTY;
    return this.#answer;
  }

  record(id: VmId): Buffer | undefined {
    if (this.#stale.has(id)) this.#refresh(id);
    const record = this.#records.get(id);
    return record && Buffer.from(record.bytes.subarray(record.from, record.to));
  }

  /** Puts a finished record in place of the VM's last one, or adds it. */
  set(id: VmId, text: Span): void {
    this.#stale.delete(id);
    this.#answer = undefined;
    const record = this.#records.get(id);
    if (record) record.page.put(text, record);
    else this.#records.set(id, this.#pageWithRoom().put(text));
  }

  delete(id: VmId): void {
    this.#stale.delete(id);
    const record = this.#records.get(id);
    if (!record) return;
    this.#records.delete(id);
    const { page } = record;
    page.remove(record);
    if (page.size === 0) this.#pages.splice(this.#pages.indexOf(page), 1);
    this.#answer = undefined;
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
  join(index: number): void {
    this.#pages[index]?.join();
  }

  #refresh(id: VmId): void {
    const text = this.render(id);
    if (text) this.set(id, text);
    else this.delete(id);
  }

  #pageWithRoom(): Page {
    const found = this.#pages.findLast((page) => page.size < PAGE_RECORDS);
    if (found) return found;
    const page = new Page(this.#spares);
    this.#pages.push(page);
    return page;
  }
}
