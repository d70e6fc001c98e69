/**
 * Whether this host is going down: guests that end then are ended by the host (libvirt-guests asks them to), which an
 * engine has to know, since it starts highly available VMs elsewhere only then.
 *
 * systemd knows from the first moment of a shutdown; nothing else does before units are stopped. Asked only when a guest
 * ends; once under way it stays so. A host without systemd is never seen to go down.
 */
import { execFile } from 'node:child_process';
import type { Clock } from '../util/time.js';

/** Answers of many guests that end together are one answer. */
const FRESH_MS = 1000;
const TIMEOUT_MS = 2000;

export class HostShutdown {
  #underWay = false;
  #asked: Promise<boolean> | undefined;
  #askedAtMs = -Infinity;

  /** @param ask systemd's state of the system, `stopping` while it goes down; never rejects */
  constructor(
    private readonly clock: Clock,
    private readonly ask: () => Promise<string> = systemState,
  ) {}

  /** As far as it is known. */
  get underWay(): boolean {
    return this.#underWay;
  }

  /** Finds out. */
  check(): Promise<boolean> {
    if (this.#underWay) return Promise.resolve(true);
    const nowMs = this.clock.nowMs();
    if (!this.#asked || nowMs >= this.#askedAtMs + FRESH_MS) {
      this.#askedAtMs = nowMs;
      this.#asked = this.ask().then((state) => {
        this.#underWay ||= state.trim() === 'stopping';
        return this.#underWay;
      });
    }
    return this.#asked;
  }
}

/** Exits with a failure for every state but `running`, so only the output counts. */
function systemState(): Promise<string> {
  return new Promise((resolve) => {
    execFile('systemctl', ['is-system-running'], { timeout: TIMEOUT_MS }, (_error, stdout) =>
      resolve(stdout),
    );
  });
}
