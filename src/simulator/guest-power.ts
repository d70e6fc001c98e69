/**
 * What guests do about power, and what befalls them: buttons that they obey or ignore, power-offs and reboots of their
 * own, crashes, watchdogs, disks that fail. Event orders as recorded from libvirt 9.0 with QEMU 7.2.
 */
import { DiskErrorCode, Reason, State } from './domain.js';
import type { SimulatedDomain } from './domain.js';
import { findDisk, hasAgentChannel } from './domain-config.js';
import { AgentReason, AgentState, IoErrorAction, Lifecycle, agent, ioError, reboot } from './events.js';
import type { EventBody } from './events.js';
import { Fault } from './fault.js';
import type { GuestBehaviour } from './guest-behaviour.js';
import type { DomainLifecycle } from './lifecycle.js';

/** Reboot events that QEMU was seen to send: for a reset, and for a reboot by the guest. */
const RESET_EVENTS = 2;
const GUEST_REBOOT_EVENTS = 3;
/** How long a guest runs until it writes to its broken disk again, ms. */
const NEXT_WRITE_MS = 50;

export type WatchdogAction = keyof typeof watchdogNumbers;
/** virDomainEventWatchdogAction. */
export const watchdogNumbers = { none: 0, pause: 1, reset: 2, poweroff: 3, shutdown: 4, debug: 5 } as const;

export interface DiskTrouble {
  readonly reason: 'enospc' | 'other';
  /** report: the guest learns of it and runs on. */
  readonly action: 'pause' | 'report';
  /** Until healDisk() every resumed guest meets it again. */
  readonly lasting: boolean;
}

interface GuestPowerDeps {
  readonly emit: (domain: SimulatedDomain, ...events: readonly EventBody[]) => void;
  readonly lifecycle: DomainLifecycle;
}

export class GuestPower {
  readonly #brokenDisks = new WeakMap<SimulatedDomain, Map<string, DiskTrouble>>();

  constructor(private readonly deps: GuestPowerDeps) {}

  /** Presses the power button, or asks the agent: a guest that obeys powers off after a while. */
  shutdown(domain: SimulatedDomain): void {
    this.#requireRunning(domain);
    domain.rebootOnPowerOff = false;
    this.#press(domain);
  }

  /** The power button, after which libvirt resets QEMU instead of ending it. */
  rebootByButton(domain: SimulatedDomain): void {
    this.deps.lifecycle.requireActive(domain);
    domain.rebootOnPowerOff = true;
    this.#press(domain);
  }

  /** The agent is asked to reboot. */
  rebootByAgent(domain: SimulatedDomain): void {
    this.#requireRunning(domain);
    if (domain.guest.power === 'obeys') {
      domain.guestTimers.after(domain.guest.powerMs, () => this.guestReboots(domain));
    }
  }

  /** The reset button. */
  reset(domain: SimulatedDomain): void {
    this.deps.lifecycle.requireActive(domain);
    this.deps.emit(domain, reboot);
    if (domain.running) this.deps.emit(domain, reboot);
    this.#bootAgain(domain);
  }

  /** The guest powers off by itself. */
  guestPowersOff(domain: SimulatedDomain): void {
    this.#requireRunning(domain);
    domain.rebootOnPowerOff = false;
    this.#powerOff(domain);
  }

  /** The guest reboots by itself; what becomes of it says on_reboot. */
  guestReboots(domain: SimulatedDomain): void {
    this.#requireRunning(domain);
    if (domain.config.onReboot === 'destroy') {
      this.#end(domain);
      return;
    }
    this.deps.emit(domain, ...Array.from({ length: GUEST_REBOOT_EVENTS }, () => reboot));
    this.#bootAgain(domain);
  }

  /** The guest's kernel panics; what becomes of it says on_crash. */
  panic(domain: SimulatedDomain): void {
    this.#requireRunning(domain);
    const { emit, lifecycle } = this.deps;
    const { onCrash } = domain.config;
    domain.moveTo(State.crashed, Reason.crashed.panicked);
    emit(domain, Lifecycle.crashedPanicked);
    if (onCrash === 'preserve') return;
    if (onCrash === 'restart') {
      emit(domain, reboot);
      lifecycle.resume(domain, Reason.running.crashed);
      this.#bootAgain(domain);
    } else lifecycle.stop(domain, Reason.shutoff.crashed, Lifecycle.stoppedCrashed);
  }

  /** The guest's watchdog barks. */
  watchdog(domain: SimulatedDomain, action: WatchdogAction): void {
    this.#requireRunning(domain);
    const { emit, lifecycle } = this.deps;
    emit(domain, { kind: 'watchdog', action: watchdogNumbers[action] });
    if (action === 'pause') {
      lifecycle.pause(domain, Reason.paused.watchdog, Lifecycle.suspendedByWatchdog);
    } else if (action === 'reset') this.reset(domain);
    // QEMU exits without a word.
    else if (action === 'poweroff') lifecycle.crash(domain);
    else if (action === 'shutdown') this.#press(domain);
  }

  /** A write to a disk fails. @param name target name, or path of the image */
  diskFails(domain: SimulatedDomain, name: string, trouble: DiskTrouble): void {
    this.#requireRunning(domain);
    const disk = findDisk(domain.config, name);
    if (!disk) throw new Fault('invalid-argument', `disk '${name}' not found in domain`);
    if (trouble.lasting) {
      const broken = this.#brokenDisks.get(domain) ?? new Map<string, DiskTrouble>();
      this.#brokenDisks.set(domain, broken.set(disk.target, trouble));
    }
    const noSpace = trouble.reason === 'enospc';
    const action = IoErrorAction[trouble.action];
    this.deps.emit(domain, ...ioError(disk.path, disk.alias ?? '', action, noSpace ? 'enospc' : ''));
    if (trouble.action === 'report') return;
    domain.diskErrors.set(disk.target, noSpace ? DiskErrorCode.noSpace : DiskErrorCode.unspecified);
    this.deps.lifecycle.pause(domain, Reason.paused.ioError, Lifecycle.suspendedByIoError);
  }

  /** The cause of a lasting trouble is gone; a paused guest stays so. */
  healDisk(domain: SimulatedDomain, name: string): void {
    this.#brokenDisks.get(domain)?.delete(findDisk(domain.config, name)?.target ?? name);
  }

  /** Called when a guest begins to boot. */
  booted(domain: SimulatedDomain): void {
    const { agent: state, agentStartMs } = domain.guest;
    if (!hasAgentChannel(domain.config) || state === 'absent') return;
    domain.guestTimers.after(agentStartMs, () => this.setAgentConnected(domain, true));
  }

  /** Called when a guest runs again. */
  resumed(domain: SimulatedDomain): void {
    for (const [target, trouble] of this.#brokenDisks.get(domain) ?? []) {
      domain.guestTimers.after(NEXT_WRITE_MS, () => {
        const broken = this.#brokenDisks.get(domain)?.has(target) ?? false;
        if (broken && findDisk(domain.config, target)) this.diskFails(domain, target, trouble);
      });
    }
  }

  setAgentConnected(domain: SimulatedDomain, connected: boolean): void {
    if (domain.agentConnected === connected) return;
    domain.agentConnected = connected;
    const state = connected ? AgentState.connected : AgentState.disconnected;
    this.deps.emit(domain, agent(state, AgentReason.channel));
  }

  /** The guest behaves differently from now on. */
  setBehaviour(domain: SimulatedDomain, change: Partial<GuestBehaviour>): void {
    domain.guest = { ...domain.guest, ...change };
    if (!domain.active || !hasAgentChannel(domain.config) || change.agent === undefined) return;
    this.setAgentConnected(domain, change.agent !== 'absent');
  }

  #requireRunning(domain: SimulatedDomain): void {
    if (!domain.running) throw new Fault('invalid-state', 'domain is not running');
  }

  #press(domain: SimulatedDomain): void {
    if (domain.shutdownPending || domain.guest.power === 'ignores') return;
    domain.shutdownPending = true;
    domain.guestTimers.after(domain.guest.powerMs, () => this.#powerOff(domain));
  }

  #powerOff(domain: SimulatedDomain): void {
    domain.shutdownPending = false;
    if (!domain.rebootOnPowerOff || domain.config.onReboot === 'destroy') {
      this.#end(domain);
      return;
    }
    domain.rebootOnPowerOff = false;
    this.deps.emit(domain, ...Array.from({ length: RESET_EVENTS }, () => reboot));
    domain.moveTo(State.running, Reason.running.booted);
    this.#bootAgain(domain);
  }

  #end(domain: SimulatedDomain): void {
    domain.moveTo(State.shutdown, Reason.shutdown.unknown);
    this.deps.emit(domain, Lifecycle.shutdownByGuest);
    this.deps.lifecycle.stop(domain, Reason.shutoff.shutdown, Lifecycle.stopped);
  }

  /** What the guest was about to do is forgotten; its agent comes back after a while. */
  #bootAgain(domain: SimulatedDomain): void {
    domain.guestTimers.clear();
    domain.shutdownPending = false;
    domain.frozenFilesystems = 0;
    domain.unplugging.clear();
    this.setAgentConnected(domain, false);
    this.booted(domain);
  }
}
