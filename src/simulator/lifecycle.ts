/**
 * What may be done to a domain in which state, and which events come of it in which order (as recorded from
 * libvirt 9.0).
 *
 * Changes the domain at once and tells the events through `emit`; knows nothing of the set of domains or of
 * sockets. A monitor that hangs is the caller's business: nothing here waits. What the guest does by itself, or
 * answers after a while, is guest-power.ts's.
 */
import { Reason, State } from './domain.js';
import type { SimulatedDomain } from './domain.js';
import { hasAgentChannel } from './domain-config.js';
import type { DomainConfig } from './domain-config.js';
import { AgentReason, AgentState, Lifecycle, agent } from './events.js';
import type { EventBody } from './events.js';
import { Fault } from './fault.js';

export interface NewProcess {
  readonly id: number;
  readonly vncPort: number;
  readonly config: DomainConfig;
}

export interface LifecycleDeps {
  readonly emit: (domain: SimulatedDomain, ...events: readonly EventBody[]) => void;
  /** Gives id, port and configuration of a new QEMU process. */
  readonly newProcess: (config: DomainConfig) => NewProcess;
  /** A transient domain has stopped: it is to be forgotten. */
  readonly forget: (domain: SimulatedDomain) => void;
  /** The guest's CPUs run for the first time. */
  readonly booted: (domain: SimulatedDomain) => void;
  /** The domain runs again after a pause. */
  readonly resumed: (domain: SimulatedDomain) => void;
}

export class DomainLifecycle {
  constructor(private readonly deps: LifecycleDeps) {}

  /** From nothing to running, or to paused, at once. @param config absent: the definition */
  start(domain: SimulatedDomain, paused: boolean, config?: DomainConfig): void {
    this.launch(domain, config);
    this.boot(domain, paused);
  }

  /** QEMU is there, the guest's CPUs are not yet. */
  launch(domain: SimulatedDomain, config = domain.definition): void {
    if (domain.active) throw new Fault('invalid-state', 'domain is already running');
    domain.attach({ ...this.deps.newProcess(config), uptimeSec: 0 });
    domain.moveTo(State.paused, Reason.paused.startingUp);
    if (hasAgentChannel(config)) {
      this.deps.emit(domain, agent(AgentState.disconnected, AgentReason.domainStarted));
    }
  }

  boot(domain: SimulatedDomain, paused: boolean): void {
    const { emit } = this.deps;
    if (paused) {
      domain.moveTo(State.paused, Reason.paused.user);
      emit(domain, Lifecycle.started, Lifecycle.suspended);
    } else {
      domain.moveTo(State.running, Reason.running.booted);
      emit(domain, Lifecycle.resumed, Lifecycle.started);
    }
    this.deps.booted(domain);
  }

  /** After launch(), with the memory of an image: as it was saved, unless it is to stay paused. */
  continueRestored(domain: SimulatedDomain, running: boolean): void {
    const { emit } = this.deps;
    if (running) {
      domain.moveTo(State.running, Reason.running.restored);
      emit(domain, Lifecycle.startedRestored, Lifecycle.resumedFromSnapshot);
    } else {
      domain.moveTo(State.paused, Reason.paused.migration);
      emit(domain, Lifecycle.startedRestored, Lifecycle.suspendedRestored);
    }
  }

  /** A start has failed: no event tells of it but that of the monitor. */
  failStart(domain: SimulatedDomain): void {
    if (domain.active) this.deps.emit(domain, { kind: 'controlError' });
    this.#end(domain, Reason.shutoff.failed);
  }

  suspend(domain: SimulatedDomain): void {
    this.requireActive(domain);
    if (domain.state === State.paused) return;
    this.pause(domain, Reason.paused.user, Lifecycle.suspended);
  }

  /** Stops the CPUs of a guest that runs. */
  pause(domain: SimulatedDomain, reason: number, event: EventBody): void {
    if (!domain.running) return;
    domain.moveTo(State.paused, reason);
    this.deps.emit(domain, event);
  }

  /** @param reason virDomainRunningReason */
  resume(domain: SimulatedDomain, reason: number = Reason.running.unpaused): void {
    this.requireActive(domain);
    if (domain.state === State.running) throw new Fault('invalid-state', 'domain is already running');
    domain.diskErrors.clear();
    domain.moveTo(State.running, reason);
    this.deps.emit(domain, Lifecycle.resumed);
    this.deps.resumed(domain);
  }

  /** @param stuck QEMU did not answer and had to be killed: it could not say that it shuts down */
  destroy(domain: SimulatedDomain, stuck: boolean): void {
    this.requireActive(domain);
    if (!stuck) this.deps.emit(domain, Lifecycle.shutdownByHost);
    this.stop(domain, Reason.shutoff.destroyed, Lifecycle.destroyed);
  }

  /** QEMU dies by itself, or is killed. */
  crash(domain: SimulatedDomain): void {
    this.requireActive(domain);
    this.stop(domain, Reason.shutoff.crashed, Lifecycle.failed);
  }

  /** @param reason virDomainShutoffReason */
  stop(domain: SimulatedDomain, reason: number, event: EventBody): void {
    this.#end(domain, reason, event);
  }

  requireActive(domain: SimulatedDomain): void {
    if (!domain.active) throw new Fault('invalid-state', 'domain is not running');
  }

  #end(domain: SimulatedDomain, reason: number, event?: EventBody): void {
    domain.moveTo(State.shutoff, reason);
    domain.detach();
    if (event) this.deps.emit(domain, event);
    if (!domain.persistent) this.deps.forget(domain);
  }
}
