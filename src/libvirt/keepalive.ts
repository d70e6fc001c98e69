/**
 * Our half of the keepalive: pings a daemon that has been quiet, and tells when it no longer answers. (The
 * connection answers the daemon's own pings.) One fixed timer and one flag, so hearing a packet costs nothing: a
 * dead daemon is found within (count + 2) intervals.
 *
 * A packet that is not whole after an interval has a wrong length: it would swallow what follows, up to 32 MiB, and
 * the bytes would pass for signs of life meanwhile. It is found within two intervals.
 */
import type { Clock } from '../util/time.js';

export interface KeepaliveSettings {
  /** Silence after which a ping is sent; libvirt's own default is 5000. */
  readonly intervalMs: number;
  /** Unanswered pings after which the daemon counts as dead; libvirt's own default is 5. */
  readonly count: number;
}

export const defaultKeepalive: KeepaliveSettings = { intervalMs: 5000, count: 5 };

export class Keepalive {
  #heard = false;
  #unanswered = 0;
  /** What was unfinished at the last tick. */
  #unfinished: object | undefined;
  readonly #cancel: () => void;

  constructor(
    clock: Clock,
    private readonly settings: KeepaliveSettings,
    private readonly actions: {
      readonly ping: () => void;
      readonly dead: () => void;
      /** The packet that waits for its rest. */
      readonly unfinished?: () => object | undefined;
      /** One packet has been unfinished for an interval at least. */
      readonly stalled?: () => void;
    },
  ) {
    this.#cancel = clock.every(settings.intervalMs, () => this.#tick());
  }

  /** Any packet counts. */
  heard(): void {
    this.#heard = true;
  }

  stop(): void {
    this.#cancel();
  }

  #tick(): void {
    const unfinished = this.actions.unfinished?.();
    if (unfinished && unfinished === this.#unfinished) {
      this.stop();
      this.actions.stalled?.();
      return;
    }
    this.#unfinished = unfinished;
    if (this.#heard) {
      this.#heard = false;
      this.#unanswered = 0;
      return;
    }
    if (this.#unanswered >= this.settings.count) {
      this.stop();
      this.actions.dead();
      return;
    }
    this.#unanswered++;
    this.actions.ping();
  }
}
