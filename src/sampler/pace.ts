/**
 * Whether libvirt as a whole is too slow for statistics. Monitor-backed calls are most of the daemon's work for us: where
 * even the monitor-free call takes long, or the last round was broken off, a round of them is left out, so that events and
 * verbs come first.
 *
 * At most two rounds in a row: the ages of samples stay well below the limit of monitorResponse.
 */
const MAX_SKIPS = 2;

export class Pace {
  #lastFreeMs = 0;
  #skipped = 0;
  #wasBrokenOff = false;

  /** @param limitMs from which a monitor-free call counts as slow */
  constructor(private readonly limitMs: number) {}

  /** How long the monitor-free call took that ended or was given up last, ms. */
  freeTook(ms: number): void {
    this.#lastFreeMs = ms;
  }

  /** A round was broken off. */
  daemonIsSlow(): void {
    this.#wasBrokenOff = true;
  }

  /** Asked once before each round: whether it is to be left out. */
  skipsRound(): boolean {
    const isSlow = this.#lastFreeMs > this.limitMs || this.#wasBrokenOff;
    this.#wasBrokenOff = false;
    if (!isSlow || this.#skipped >= MAX_SKIPS) {
      this.#skipped = 0;
      return false;
    }
    this.#skipped++;
    return true;
  }
}
