/**
 * Unsent bytes of all sessions together, with a bound: what many slow readers may cost at once. What several sessions
 * share (an event, a page of statistics) counts for each, so the memory is at most what is counted here.
 *
 * - crowded (over half of the bound): a session that has not read everything it got begins no further request.
 *   One that has read it all is served as ever.
 * - over the bound: `onExceeded` has to end the session that owes the most.
 */
export class ByteBudget {
  #used = 0;

  constructor(
    readonly limit: number,
    private readonly onExceeded: () => void,
  ) {}

  get used(): number {
    return this.#used;
  }

  get crowded(): boolean {
    return this.#used > this.limit / 2;
  }

  /** @param bytes negative: sent or forgotten */
  add(bytes: number): void {
    this.#used += bytes;
    if (bytes > 0 && this.#used > this.limit) this.onExceeded();
  }
}
