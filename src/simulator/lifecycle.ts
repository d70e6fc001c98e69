/**
 * What may be done to a domain in which state, and which events come of it in which order (as recorded from
 * libvirt 9.0).
 *
 * Changes the domain at once and tells the events through `emit`; knows nothing of the set of domains or of
 * sockets. A monitor that hangs is the caller's business: nothing here waits, but for the guest that
 * answers a power button.
 */
import type { Clock } from '../util/time.js';
import type { SimulatedDomain } from './domain.js';
import { State } from './domain.js';
import type { DomainConfig } from './domain-config.js';
import type { EventBody } from './events.js';
import { Lifecycle } from './events.js';
import { Fault } from './fault.js';

export interface LifecycleDeps {
  readonly clock: Clock;
  readonly emit: (domain: SimulatedDomain, event: EventBody) => void;
  /** Gives id, taps and port of a new QEMU process. */
  readonly newProcess: (config: DomainConfig) => { id: number; taps: readonly string[]; vncPort: number };
  /** A transient domain has stopped, or a stopped one was undefined: it is to be forgotten. */
  readonly forget: (domain: SimulatedDomain) => void;
  /** How long a guest takes to power off or to reboot, ms. */
  readonly guestAnswerMs: number;
  /** How long after its start a guest's agent connects, ms. */
  readonly agentStartMs: number;
}

export class DomainLifecycle {
  readonly #timers = new Map<SimulatedDomain, Set<() => void>>();

  constructor(private readonly deps: LifecycleDeps) {}

  start(domain: SimulatedDomain, paused: boolean): void {
    if (domain.active) throw new Fault('invalid-state', 'domain is already running');
    domain.attach({ ...this.deps.newProcess(domain.config), uptimeSec: 0 });
    const { emit } = this.deps;
    if (domain.config.guestAgent) emit(domain, { kind: 'agent', state: 2, reason: 1 });
    if (paused) {
      domain.moveTo(State.paused, 1);
      emit(domain, Lifecycle.started);
      emit(domain, Lifecycle.suspended);
    } else {
      domain.moveTo(State.running, 1);
      emit(domain, Lifecycle.resumed);
      emit(domain, Lifecycle.started);
    }
    if (domain.config.guestAgent) {
      this.#later(domain, this.deps.agentStartMs, () => {
        domain.agentConnected = true;
        emit(domain, { kind: 'agent', state: 1, reason: 2 });
      });
    }
  }

  suspend(domain: SimulatedDomain): void {
    this.requireActive(domain);
    if (domain.state === State.paused) return;
    domain.moveTo(State.paused, 1);
    this.deps.emit(domain, Lifecycle.suspended);
  }

  resume(domain: SimulatedDomain): void {
    this.requireActive(domain);
    if (domain.state === State.running) throw new Fault('invalid-state', 'domain is already running');
    domain.moveTo(State.running, 5);
    this.deps.emit(domain, Lifecycle.resumed);
    if (domain.shutdownPending) this.#later(domain, this.deps.guestAnswerMs, () => this.#powerOff(domain));
  }

  /** @param stuck QEMU did not answer and had to be killed: it could not say that it shuts down */
  destroy(domain: SimulatedDomain, stuck: boolean): void {
    this.requireActive(domain);
    if (!stuck) this.deps.emit(domain, Lifecycle.shutdownByHost);
    this.#stop(domain, 2, Lifecycle.destroyed);
  }

  /** QEMU dies by itself. */
  crash(domain: SimulatedDomain): void {
    this.requireActive(domain);
    this.#stop(domain, 6, Lifecycle.failed);
  }

  /** Presses the power button; a guest that runs answers after a while, a paused one when it is resumed. */
  shutdown(domain: SimulatedDomain): void {
    this.requireActive(domain);
    if (domain.shutdownPending) return;
    domain.shutdownPending = true;
    if (domain.running) this.#later(domain, this.deps.guestAnswerMs, () => this.#powerOff(domain));
  }

  reboot(domain: SimulatedDomain): void {
    this.requireActive(domain);
    this.#later(domain, this.deps.guestAnswerMs, () => this.deps.emit(domain, { kind: 'reboot' }));
  }

  reset(domain: SimulatedDomain): void {
    this.requireActive(domain);
    this.deps.emit(domain, { kind: 'reboot' });
    this.deps.emit(domain, { kind: 'reboot' });
  }

  requireActive(domain: SimulatedDomain): void {
    if (!domain.active) throw new Fault('invalid-state', 'domain is not running');
  }

  /** Cancels every timer. */
  close(): void {
    for (const domain of this.#timers.keys()) this.#cancelTimers(domain);
  }

  #powerOff(domain: SimulatedDomain): void {
    if (!domain.running) return;
    this.deps.emit(domain, Lifecycle.shutdownByGuest);
    this.#stop(domain, 1, Lifecycle.stopped);
  }

  #stop(domain: SimulatedDomain, reason: number, event: EventBody): void {
    this.#cancelTimers(domain);
    domain.moveTo(State.shutoff, reason);
    domain.detach();
    this.deps.emit(domain, event);
    if (!domain.persistent) this.deps.forget(domain);
  }

  #later(domain: SimulatedDomain, delayMs: number, action: () => void): void {
    const timers = this.#timers.get(domain) ?? new Set();
    this.#timers.set(domain, timers);
    const cancel = this.deps.clock.after(delayMs, () => {
      timers.delete(cancel);
      action();
    });
    timers.add(cancel);
  }

  #cancelTimers(domain: SimulatedDomain): void {
    for (const cancel of this.#timers.get(domain) ?? []) cancel();
    this.#timers.delete(domain);
  }
}
