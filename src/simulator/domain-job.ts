/**
 * A job that holds a domain for some time: its start, a save, a snapshot with memory. While it runs, calls that change
 * the domain wait for it; it can be cancelled, and it ends with its QEMU.
 */
import type { TypedParam } from '../libvirt/typed-params.js';
import type { Clock } from '../util/time.js';

/** virDomainJobOperation. */
export const JobOperation = { start: 1, save: 2, snapshot: 6 } as const;

/** gone: QEMU has ended, or the daemon. */
export type JobEnd = 'done' | 'cancelled' | 'gone';

const PAGE_BYTES = 4096;

export class DomainJob {
  /** Never rejects. */
  readonly ended: Promise<JobEnd>;
  readonly #sinceMs: number;
  #end: (end: JobEnd) => void = () => undefined;

  constructor(
    readonly operation: number,
    private readonly clock: Clock,
    private readonly work: { readonly durationMs: number; readonly bytes: number },
  ) {
    this.#sinceMs = clock.nowMs();
    this.ended = new Promise((resolve) => {
      const cancelTimer = clock.after(work.durationMs, () => this.#end('done'));
      this.#end = (end) => {
        cancelTimer();
        resolve(end);
      };
    });
  }

  cancel(): void {
    this.#end('cancelled');
  }

  abandon(): void {
    this.#end('gone');
  }

  get elapsedMs(): number {
    return Math.floor(this.clock.nowMs() - this.#sinceMs);
  }

  get totalBytes(): number {
    return this.work.bytes;
  }

  get processedBytes(): number {
    const { durationMs, bytes } = this.work;
    const share = durationMs <= 0 ? 1 : Math.min(1, this.elapsedMs / durationMs);
    return Math.floor((bytes * share) / PAGE_BYTES) * PAGE_BYTES;
  }

  /** What virDomainGetJobStats and the event job-completed tell. */
  stats(): TypedParam[] {
    const ullong = (field: string, value: number): TypedParam => ({ field, type: 'ullong', value });
    const { processedBytes: done, totalBytes: total } = this;
    const bytes = (name: string) => [
      ullong(`${name}_total`, total),
      ullong(`${name}_processed`, done),
      ullong(`${name}_remaining`, total - done),
    ];
    return [
      { field: 'operation', type: 'int', value: this.operation },
      ullong('time_elapsed', this.elapsedMs),
      ...bytes('data'),
      ...bytes('memory'),
      ullong('memory_page_size', PAGE_BYTES),
    ];
  }
}
