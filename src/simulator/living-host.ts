/**
 * Life on the simulated host: every few seconds one domain is paused, resumed, shut down, rebooted by its guest or
 * started, in an order that depends on the seed alone. Also the maker of event bursts.
 *
 * Only a small part of the domains is ever away at the same time, so that a list of VMs stays worth looking at.
 */
import type { Service } from '../util/lifecycle.js';
import type { Clock } from '../util/time.js';
import type { SimulatedDomain } from './domain.js';
import { State } from './domain.js';
import { SeededRandom } from './random.js';
import type { SimulatedHost } from './simulated-host.js';

const MIN_GAP_MS = 2000;
const MAX_GAP_MS = 6000;
/** At most this share of the domains is paused or off. */
const MAX_AWAY_SHARE = 0.25;

export class LivingHost implements Service {
  readonly #random: SeededRandom;
  #cancel: (() => void) | undefined;

  constructor(
    private readonly host: SimulatedHost,
    private readonly clock: Clock,
  ) {
    this.#random = new SeededRandom(host.seed + 0x5eed);
  }

  start(_signal?: AbortSignal): Promise<void> {
    if (!this.#cancel) this.#schedule();
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    return Promise.resolve();
  }

  #schedule(): void {
    this.#cancel = this.clock.after(this.#random.between(MIN_GAP_MS, MAX_GAP_MS), () => {
      this.#schedule();
      this.#live();
    });
  }

  #live(): void {
    const usable = [...this.host.domains].filter((domain) => !domain.monitor.hung && !domain.job);
    const away = usable.filter((domain) => !domain.running);
    const atHome = usable.filter((domain) => domain.running && !domain.shutdownPending);
    const bringBack =
      away.length > 0 && (this.#random.next() < 0.5 || away.length >= usable.length * MAX_AWAY_SHARE);
    const domain = this.#random.pick(bringBack ? away : atHome);
    if (!domain) return;
    const fate = this.#random.next();
    if (bringBack) this.#bringBack(domain);
    else if (fate < 0.55) this.host.lifecycle.suspend(domain);
    else if (fate < 0.8) this.host.guests.shutdown(domain);
    else if (fate < 0.9) this.host.guests.guestPowersOff(domain);
    else this.host.guests.guestReboots(domain);
  }

  #bringBack(domain: SimulatedDomain): void {
    if (domain.state === State.paused) this.host.lifecycle.resume(domain);
    else this.host.lifecycle.start(domain, false);
  }
}

/**
 * Causes `count` lifecycle events at once, by suspending and resuming running domains in turn; an odd count leaves
 * one paused. Returns how many it caused: 0 where nothing runs.
 */
export function eventBurst(host: SimulatedHost, count: number): number {
  const running = [...host.domains].filter((domain) => domain.running && !domain.monitor.hung);
  if (running.length === 0) return 0;
  for (let i = 0; i < count; i++) {
    const domain = running[Math.floor(i / 2) % running.length]!;
    if (domain.running) host.lifecycle.suspend(domain);
    else host.lifecycle.resume(domain);
  }
  return count;
}
