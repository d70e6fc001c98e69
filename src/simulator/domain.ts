/**
 * One simulated domain: identity, definition, state, running time, what is under way, and whether its monitor answers.
 *
 * Holds facts and keeps them consistent; which transition is allowed when, and which events it causes, is
 * lifecycle.ts's. Counters are not stored: every counter is a rate times the seconds this domain has really
 * run (stats-fields.ts), so time costs nothing and a paused domain stands still.
 *
 * A running domain has a configuration of its own beside its definition, which is that of the next start.
 */
import type { VmId } from '../domain/ids.js';
import type { Clock } from '../util/time.js';
import type { BlockJob } from './block-job.js';
import type { DomainConfig } from './domain-config.js';
import type { DomainJob } from './domain-job.js';
import { obedientGuest } from './guest-behaviour.js';
import type { GuestBehaviour } from './guest-behaviour.js';
import { GuestTimers } from './guest-timers.js';
import { lastNode } from './live-config.js';
import { MonitorLock } from './monitor-lock.js';
import { SeededRandom } from './random.js';

/** virDomainState. */
export const State = { running: 1, paused: 3, shutdown: 4, shutoff: 5, crashed: 6 } as const;
export type StateNumber = (typeof State)[keyof typeof State];

/** virDomain*Reason, as far as the simulated host gives them. */
export const Reason = {
  running: { booted: 1, restored: 3, unpaused: 5, saveCancelled: 7, crashed: 9 },
  paused: { user: 1, migration: 2, save: 3, ioError: 5, watchdog: 6, snapshot: 9, startingUp: 11 },
  shutdown: { unknown: 0 },
  shutoff: { unknown: 0, shutdown: 1, destroyed: 2, crashed: 3, saved: 5, failed: 6 },
  crashed: { panicked: 1 },
} as const;

/** Index into `factors`: how busy this domain is, by kind of counter. */
export const Factor = { one: 0, cpu: 1, net: 2, disk: 3 } as const;

/** virDomainDiskErrorCode. */
export const DiskErrorCode = { unspecified: 1, noSpace: 2 } as const;

/** libvirt's default for answers of the agent, s. */
export const AGENT_TIMEOUT_SEC = 5;

export class SimulatedDomain {
  readonly uuid: VmId;
  /** Multiplies the rates of stats-fields.ts, by Factor. */
  readonly factors: Float64Array;
  readonly monitor: MonitorLock;
  /** What the guest is about to do. */
  readonly guestTimers: GuestTimers;
  /** By disk target. */
  readonly blockJobs = new Map<string, BlockJob>();
  /** virDomainDiskErrorCode by disk target. */
  readonly diskErrors = new Map<string, number>();

  state: StateNumber = State.shutoff;
  /** virDomain*Reason of `state`. */
  reason = 0;
  /** -1 while not running. */
  id = -1;
  persistent: boolean;
  autostart = false;
  vncPort = -1;
  agentConnected = false;
  /** How long libvirt waits for the agent, s; -2 without end. */
  agentTimeoutSec: number = AGENT_TIMEOUT_SEC;
  guest: GuestBehaviour = obedientGuest;
  /** The guest was asked to power off and has not answered yet. */
  shutdownPending = false;
  /** The next power-off is a reboot: libvirt pressed the power button for one. */
  rebootOnPowerOff = false;
  /** File systems that the agent has frozen. */
  frozenFilesystems = 0;
  /** Until when (clock, ms) the guest has to let a device go before it may be asked again, by alias. */
  readonly unplugging = new Map<string, number>();
  /** Save, start or the like. */
  job: DomainJob | undefined;

  readonly #clock: Clock;
  readonly #endListeners = new Set<() => void>();
  #live: DomainConfig | undefined;
  #lastNode = 0;
  #activeMs = 0;
  #runningSinceMs: number | undefined;
  #frozenWallMs = 0;

  constructor(
    public definition: DomainConfig,
    options: { readonly clock: Clock; readonly persistent: boolean; readonly seed: number },
  ) {
    this.uuid = definition.uuid as VmId;
    this.persistent = options.persistent;
    this.#clock = options.clock;
    this.monitor = new MonitorLock(options.clock);
    this.guestTimers = new GuestTimers(options.clock);
    const random = new SeededRandom(options.seed);
    const load = 0.02 + 0.68 * random.next() ** 3;
    this.factors = Float64Array.of(1, load, random.between(0.1, 2), random.between(0.1, 2));
  }

  get name(): string {
    return this.definition.name;
  }

  /** Of the running domain, or the definition of one that does not run. */
  get config(): DomainConfig {
    return this.#live ?? this.definition;
  }

  /** Host taps in the order of the NICs; empty while not running. */
  get taps(): readonly string[] {
    return this.config.nics.flatMap(({ tap }) => tap ?? []);
  }

  get active(): boolean {
    return this.id !== -1;
  }

  /** Whether the guest's CPUs run, so that its counters move. */
  get running(): boolean {
    return this.state === State.running;
  }

  /** Seconds the guest has run since it was started, pauses and hangs of its QEMU left out. */
  get activeSec(): number {
    const current = this.#runningSinceMs === undefined ? 0 : this.#clock.nowMs() - this.#runningSinceMs;
    return (this.#activeMs + current) / 1000;
  }

  /** Epoch seconds up to which the guest has lived: now, or when it was paused. */
  get guestWallSec(): number {
    return (this.#runningSinceMs === undefined ? this.#frozenWallMs : this.#clock.wallMs()) / 1000;
  }

  /** Sets state and reason, and starts or stops the guest's time. */
  moveTo(state: StateNumber, reason: number): void {
    this.state = state;
    this.reason = reason;
    this.#keepTime();
  }

  /** QEMU stops answering, and with it the guest stands still, as after SIGSTOP; or both go on. */
  set hung(hung: boolean) {
    if (hung) this.monitor.hang();
    else this.monitor.release();
    this.#keepTime();
  }

  /** The guest's time goes on while its CPUs run. */
  #keepTime(): void {
    const runs = this.running && !this.monitor.hung;
    this.guestTimers.runs = runs;
    if (runs === (this.#runningSinceMs !== undefined)) return;
    const now = this.#clock.nowMs();
    if (this.#runningSinceMs === undefined) this.#runningSinceMs = now;
    else {
      this.#activeMs += now - this.#runningSinceMs;
      this.#runningSinceMs = undefined;
      this.#frozenWallMs = this.#clock.wallMs();
    }
  }

  /** Changes the configuration of the running domain. */
  changeLive(config: DomainConfig): void {
    if (this.#live) this.#live = config;
  }

  /** The number of a new image's node. */
  nextNode(): number {
    return ++this.#lastNode;
  }

  /** Calls back when this QEMU ends; returns the remover. */
  onEnd(listener: () => void): () => void {
    this.#endListeners.add(listener);
    return () => this.#endListeners.delete(listener);
  }

  /** A new QEMU process: counters start at zero. @param uptimeSec lets a domain look as if it ran before */
  attach(process: { id: number; vncPort: number; config: DomainConfig; uptimeSec: number }): void {
    this.id = process.id;
    this.vncPort = process.vncPort;
    this.#live = process.config;
    this.#lastNode = lastNode(process.config);
    this.#activeMs = process.uptimeSec * 1000;
    this.#runningSinceMs = undefined;
    this.#frozenWallMs = this.#clock.wallMs();
  }

  /** The QEMU process is gone; whoever waits for its monitor fails. */
  detach(): void {
    this.id = -1;
    this.vncPort = -1;
    this.#live = undefined;
    this.agentConnected = false;
    this.shutdownPending = false;
    this.rebootOnPowerOff = false;
    this.frozenFilesystems = 0;
    this.#activeMs = 0;
    this.#runningSinceMs = undefined;
    this.guestTimers.clear();
    for (const job of this.blockJobs.values()) job.stop();
    this.blockJobs.clear();
    this.diskErrors.clear();
    this.unplugging.clear();
    this.monitor.processEnded();
    this.job?.abandon();
    this.job = undefined;
    for (const listener of [...this.#endListeners]) listener();
    this.#endListeners.clear();
  }
}
