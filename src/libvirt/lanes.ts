/**
 * Connections by purpose, so that what hangs in one guest's monitor fills one lane only:
 * - events: event packets and nothing that waits; stays connected
 * - priority: calls that the daemon answers at once even when all its ordinary workers hang
 * - destroy: it runs on priority workers too, but takes 11.5 s where QEMU hangs
 * - free: calls that never touch a monitor
 * - backed: calls that may hang in a monitor
 * - verbs: what changes a domain
 * - starts: launches, more at a time than one connection takes, and none of them in front of a verb
 * - agent: calls to guest agents, each of which waits for seconds where the agent is silent
 * - jobs: calls that last as long as there is data: four at a time, the others wait for their turn
 *
 * A lane connects when it is first needed and again after a loss: a call finds an open connection, joins the
 * attempt under way, or starts one. The events lane also tries by itself, 50 ms after a loss and then ever more
 * slowly, once a second at most.
 *
 * Calls that hang keep their slots of a connection, and the daemon's workers, until their replies come; closing the
 * connection gives nothing back. Hence two rules:
 * - A call takes the first connection with a free slot. Where the slots are taken and some of their calls hang, a
 *   fresh connection is opened, so that no call waits behind one that may never end. Spare ones are closed when they
 *   are idle again.
 * - A lane on which as many calls hang as it may have refuses further ones at once with 'busy': 8, of verbs, starts,
 *   agent and jobs 4 each. Statistics and verbs together leave 8 of the daemon's 20 workers to everybody else, and all that hangs
 *   anywhere leaves the workers for priority calls alone.
 */
import { HypervisorError } from '../domain/hypervisor.js';
import type { CallOptions } from '../domain/hypervisor.js';
import { awaitConnection } from './await-connection.js';
import type { HangingCall } from './call-window.js';
import type { Connection, ConnectionDeps, ConnectionListener } from './connection.js';
import { deadlineOf } from './deadlines.js';
import { dial } from './dial.js';
import type { Downloaded, DownloadOptions } from './download.js';
import type { Args, ProcedureName, Result, TypedCall } from './procedures.js';
import type { LibvirtTarget } from './uri.js';

export const laneNames = [
  'events',
  'priority',
  'free',
  'backed',
  'verbs',
  'starts',
  'agent',
  'jobs',
  'destroy',
] as const;
export type LaneName = (typeof laneNames)[number];

const FIRST_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 1000;
const MAX_HANGING = 8;
/** Their 12 slots are more than may hang. */
const MAX_CONNECTIONS = 3;

export interface LaneHooks {
  /** Runs on each new connection before any other call; failing it fails the attempt. */
  opened?(connection: Connection): Promise<void>;
  /** The connection is in use now. */
  ready?(connection: Connection): void;
  lost?(error: HypervisorError): void;
  /** An attempt of a lane that stays connected failed; another follows. */
  failed?(error: unknown): void;
  event?: ConnectionListener['event'];
}

export interface LaneOptions {
  readonly name: LaneName;
  readonly target: LibvirtTarget;
  /** Stay connected without being asked. */
  readonly persistent?: boolean;
  /** Calls that may hang before others are refused; default 8. */
  readonly maxHanging?: number;
  /** Opens further connections also where no call hangs: up to 12 calls are sent at a time. */
  readonly wide?: boolean;
  readonly hooks?: LaneHooks;
}

export class Lane {
  /** In use, oldest first; more than one only while calls hang, or of a wide lane. */
  readonly #connections: Connection[] = [];
  #attempt: Promise<Connection> | undefined;
  readonly #maxHanging: number;
  #wasLost = false;
  #openedMs = 0;
  #backoffMs = FIRST_BACKOFF_MS;
  #cancelRetry: (() => void) | undefined;
  readonly #stop = new AbortController();

  constructor(
    private readonly options: LaneOptions,
    private readonly deps: ConnectionDeps,
  ) {
    this.#maxHanging = options.maxHanging ?? MAX_HANGING;
  }

  /** The newest one. */
  get connection(): Connection | undefined {
    return this.#connections.at(-1);
  }

  /** Calls that nobody waits for any more and that the daemon has not answered. */
  get hangingCalls(): number {
    return this.#connections.reduce((sum, { abandonedCalls }) => sum + abandonedCalls, 0);
  }

  /** Hanging calls that were given up at least so long ago, each with how to take it for answered. */
  hanging(forMs: number): { readonly call: HangingCall; readonly forget: () => void }[] {
    return this.#connections.flatMap((connection) =>
      connection.hanging(forMs).map((call) => ({ call, forget: () => connection.forget(call) })),
    );
  }

  /** Resolves after the first attempt, whatever its outcome; a persistent lane goes on trying. */
  async start(): Promise<void> {
    await this.#keepConnected();
  }

  async stop(): Promise<void> {
    this.#stop.abort(new HypervisorError('unavailable', 'the libvirt adapter was stopped'));
    this.#cancelRetry?.();
    await this.#attempt?.catch(() => undefined);
    const connections = this.#connections.splice(0);
    if (connections.length > 0) this.deps.metrics.libvirt_connected.set({ lane: this.options.name }, 0);
    await Promise.all(connections.map((connection) => connection.close()));
  }

  readonly call: TypedCall = (name, args, options) =>
    this.#on(name, options, (connection, rest) => connection.call(name, args, rest));

  /** As call(), but resolves with the reply's packet. */
  callRaw<N extends ProcedureName>(name: N, args: Args<N>, options?: CallOptions): Promise<Buffer> {
    return this.#on(name, options, (connection, rest) => connection.callRaw(name, args, rest));
  }

  /** As call(), of a procedure that sends a stream after its reply. */
  download<N extends ProcedureName>(
    name: N,
    args: Args<N>,
    options: DownloadOptions,
  ): Promise<Downloaded<Result<N>>> {
    return this.#on(name, options, (connection, rest) =>
      connection.download(name, args, { ...rest, maxBytes: options.maxBytes }),
    );
  }

  /**
   * Makes the call on a connection with a free slot, which it takes in the same turn: calls made together spread
   * over the free slots. It gets what is left of the deadline after waiting for a connection.
   */
  async #on<T>(
    name: ProcedureName,
    options: CallOptions | undefined,
    make: (connection: Connection, rest: CallOptions | undefined) => Promise<T>,
  ): Promise<T> {
    const atOnce = this.#pick(name);
    if (atOnce) return make(atOnce, options);
    const deadlineMs = options?.deadlineMs ?? deadlineOf(name);
    const startedMs = this.deps.clock.nowMs();
    const left = (): number => deadlineMs - (this.deps.clock.nowMs() - startedMs);
    for (;;) {
      const bounds = { clock: this.deps.clock, deadlineMs: left(), signal: options?.signal };
      await awaitConnection(this.#connect(), bounds);
      const connection = this.#pick(name);
      if (connection) return make(connection, { ...options, deadlineMs: left() });
    }
  }

  /** Undefined where a connection is to be opened first. @throws HypervisorError 'busy' */
  #pick(name: ProcedureName): Connection | undefined {
    this.#closeSpares();
    const hanging = this.hangingCalls;
    if (hanging >= this.#maxHanging) {
      const message = `${name} was not sent: ${hanging} calls of its kind hang in libvirt, and no more may`;
      throw new HypervisorError('busy', message);
    }
    const free = this.#connections.find(({ hasRoom }) => hasRoom);
    if (free) return free;
    const { persistent, wide } = this.options;
    if ((hanging > 0 || wide) && !persistent && this.#connections.length < MAX_CONNECTIONS) {
      if (hanging > 0) this.#tellOfHanging(hanging);
      return undefined;
    }
    return this.#connections.reduce<Connection | undefined>(
      (best, each) => (best && best.abandonedCalls <= each.abandonedCalls ? best : each),
      undefined,
    );
  }

  /** Idle connections beyond one with a free slot; while calls hang, a spare one may be needed again soon. */
  #closeSpares(): void {
    if (this.#connections.length < 2 || this.hangingCalls > 0) return;
    const free = this.#connections.filter(({ hasRoom }) => hasRoom);
    const idle = free.filter(({ callsInFlight }) => callsInFlight === 0);
    for (const spare of idle.length === free.length ? idle.slice(1) : idle) {
      this.#connections.splice(this.#connections.indexOf(spare), 1);
      void spare.close();
    }
  }

  #tellOfHanging(hanging: number): void {
    const { name } = this.options;
    if (this.#attempt) return;
    this.deps.metrics.libvirt_set_aside_total.inc({ lane: name });
    this.deps.limiter.run(`set aside ${name}`, (swallowed) =>
      this.deps.log.warn(
        { lane: name, hanging, swallowed },
        'calls to libvirt hang; taking a fresh connection for the others',
      ),
    );
  }

  #connect(): Promise<Connection> {
    this.#attempt ??= this.#open().finally(() => {
      this.#attempt = undefined;
    });
    return this.#attempt;
  }

  async #open(): Promise<Connection> {
    const { name, target, hooks } = this.options;
    if (this.#stop.signal.aborted) throw this.#stop.signal.reason;
    const connection = await dial({ target, lane: name, signal: this.#stop.signal }, this.deps, {
      ...(hooks?.event && { event: hooks.event }),
      lost: (error) => this.#lost(error),
    });
    const stopped = this.#stop.signal;
    const giveUp = (): void => void connection.close();
    stopped.addEventListener('abort', giveUp, { once: true });
    try {
      if (!stopped.aborted) await hooks?.opened?.(connection);
      if (stopped.aborted) throw stopped.reason;
      if (connection.state !== 'open') throw new HypervisorError('unavailable', 'libvirt hung up');
    } catch (error) {
      await connection.close();
      throw error;
    } finally {
      stopped.removeEventListener('abort', giveUp);
    }
    this.#connections.push(connection);
    this.deps.metrics.libvirt_connected.set({ lane: name }, 1);
    if (this.#wasLost) this.deps.metrics.libvirt_reconnects_total.inc({ lane: name });
    this.#wasLost = false;
    this.#openedMs = this.deps.clock.nowMs();
    hooks?.ready?.(connection);
    return connection;
  }

  #lost(error: HypervisorError): void {
    const known = this.#connections.length;
    const alive = this.#connections.filter(({ state }) => state !== 'lost');
    if (alive.length === known) return;
    this.#connections.splice(0, known, ...alive);
    // The lane lives as long as one of its connections does.
    if (alive.length > 0) return;
    this.#wasLost = true;
    // A daemon that lets us in and dies, again and again, is not asked ever more often.
    if (this.deps.clock.nowMs() - this.#openedMs >= MAX_BACKOFF_MS) this.#backoffMs = FIRST_BACKOFF_MS;
    this.deps.metrics.libvirt_connected.set({ lane: this.options.name }, 0);
    this.options.hooks?.lost?.(error);
    this.#retryLater();
  }

  async #keepConnected(): Promise<void> {
    try {
      if (this.#connections.length === 0) await this.#connect();
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.options.hooks?.failed?.(error);
      this.#retryLater();
    }
  }

  #retryLater(): void {
    if (!this.options.persistent || this.#stop.signal.aborted) return;
    this.#cancelRetry = this.deps.clock.after(this.#backoffMs, () => void this.#keepConnected());
    this.#backoffMs = Math.min(MAX_BACKOFF_MS, this.#backoffMs * 2);
  }
}
