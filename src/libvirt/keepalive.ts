/**
 * Our half of the keepalive: pings a daemon that has been quiet, and tells when it no longer answers. (The
 * connection answers the daemon's own pings.) One fixed timer and one flag, so hearing a packet costs nothing: a
 * dead daemon is found within (count + 2) intervals.
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
  readonly #cancel: () => void;

  constructor(
    clock: Clock,
    private readonly settings: KeepaliveSettings,
    private readonly actions: { readonly ping: () => void; readonly dead: () => void },
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
