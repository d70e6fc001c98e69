/**
 * One simulated domain: identity, state, running time, and whether its monitor answers.
 *
 * Holds facts and keeps them consistent; which transition is allowed when, and which events it causes, is
 * lifecycle.ts's. Counters are not stored: every counter is a rate times the seconds this domain has really
 * run (stats-fields.ts), so time costs nothing and a paused domain stands still.
 */
import type { VmId } from '../domain/ids.js';
import type { Clock } from '../util/time.js';
import type { DomainConfig } from './domain-config.js';
import { MonitorLock } from './monitor-lock.js';
import { SeededRandom } from './random.js';

/** virDomainState. */
export const State = { running: 1, paused: 3, shutdown: 4, shutoff: 5, crashed: 6 } as const;
export type StateNumber = (typeof State)[keyof typeof State];

/** Index into `factors`: how busy this domain is, by kind of counter. */
export const Factor = { one: 0, cpu: 1, net: 2, disk: 3 } as const;

export class SimulatedDomain {
  readonly uuid: VmId;
  /** Multiplies the rates of stats-fields.ts, by Factor. */
  readonly factors: Float64Array;
  readonly monitor: MonitorLock;

  state: StateNumber = State.shutoff;
  /** virDomain*Reason of `state`. */
  reason = 0;
  /** -1 while not running. */
  id = -1;
  persistent: boolean;
  autostart = false;
  /** Host taps in the order of the NICs; empty while not running. */
  taps: readonly string[] = [];
  vncPort = -1;
  agentConnected = false;
  /** The guest was asked to power off and has not answered yet. */
  shutdownPending = false;

  readonly #clock: Clock;
  #activeMs = 0;
  #runningSinceMs: number | undefined;
  #frozenWallMs = 0;

  constructor(
    public config: DomainConfig,
    options: { readonly clock: Clock; readonly persistent: boolean; readonly seed: number },
  ) {
    this.uuid = config.uuid as VmId;
    this.persistent = options.persistent;
    this.#clock = options.clock;
    this.monitor = new MonitorLock(options.clock);
    const random = new SeededRandom(options.seed);
    const load = 0.02 + 0.68 * random.next() ** 3;
    this.factors = Float64Array.of(1, load, random.between(0.1, 2), random.between(0.1, 2));
  }

  get name(): string {
    return this.config.name;
  }

  get active(): boolean {
    return this.id !== -1;
  }

  /** Whether the guest's CPUs run, so that its counters move. */
  get running(): boolean {
    return this.state === State.running;
  }

  /** Seconds the guest has run since it was started, pauses left out. */
  get activeSec(): number {
    const current = this.#runningSinceMs === undefined ? 0 : this.#clock.nowMs() - this.#runningSinceMs;
    return (this.#activeMs + current) / 1000;
  }

  /** Epoch seconds up to which the guest has lived: now, or when it was paused. */
  get guestWallSec(): number {
    return (this.#runningSinceMs === undefined ? this.#frozenWallMs : this.#clock.wallMs()) / 1000;
  }

  /** Sets state and reason, and starts or stops the running time. */
  moveTo(state: StateNumber, reason: number): void {
    const now = this.#clock.nowMs();
    if (this.#runningSinceMs !== undefined) {
      this.#activeMs += now - this.#runningSinceMs;
      this.#runningSinceMs = undefined;
      this.#frozenWallMs = this.#clock.wallMs();
    }
    this.state = state;
    this.reason = reason;
    if (state === State.running) this.#runningSinceMs = now;
  }

  /** A new QEMU process: counters start at zero. @param uptimeSec lets a domain look as if it ran before. */
  attach(process: { id: number; taps: readonly string[]; vncPort: number; uptimeSec: number }): void {
    this.id = process.id;
    this.taps = process.taps;
    this.vncPort = process.vncPort;
    this.#activeMs = process.uptimeSec * 1000;
    this.#runningSinceMs = undefined;
    this.#frozenWallMs = this.#clock.wallMs();
  }

  /** The QEMU process is gone; whoever waits for its monitor fails. */
  detach(): void {
    this.id = -1;
    this.taps = [];
    this.vncPort = -1;
    this.agentConnected = false;
    this.shutdownPending = false;
    this.#activeMs = 0;
    this.#runningSinceMs = undefined;
    this.monitor.processEnded();
  }
}
