/**
 * Connections by purpose, so that what hangs in one guest's monitor fills one lane only:
 * - events: event packets and nothing that waits; stays connected
 * - priority: calls that the daemon answers at once even when all its ordinary workers hang
 * - destroy: it runs on priority workers too, but takes 11.5 s where QEMU hangs
 * - free: calls that never touch a monitor
 * - backed: calls that may hang in a monitor or agent
 * - verbs: what changes a domain
 *
 * A lane connects when it is first needed and again after a loss: a call finds an open connection, joins the
 * attempt under way, or starts one. The events lane also tries by itself, 50 ms after a loss and then ever more
 * slowly, once a second at most.
 *
 * A connection on which calls hang is set aside for a fresh one, and closed when their replies have come. All
 * connections of a lane together hold 8 calls at most, for each that hangs costs the daemon one of its 20 workers,
 * and closing the connection does not give it back. Beyond that, calls are refused (see call-window.ts).
 */
import { HypervisorError } from '../domain/hypervisor.js';
import type { CallOptions } from '../domain/hypervisor.js';
import { MAX_IN_FLIGHT } from './call-window.js';
import type { Connection, ConnectionDeps, ConnectionListener } from './connection.js';
import { deadlineOf, secondsText } from './deadlines.js';
import type { Args, ProcedureName, TypedCall } from './procedures.js';
import { dial } from './dial.js';
import type { LibvirtTarget } from './uri.js';

export const laneNames = ['events', 'priority', 'free', 'backed', 'verbs', 'destroy'] as const;
export type LaneName = (typeof laneNames)[number];

const FIRST_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 1000;
/** Hanging calls from which a connection is set aside. */
const HANGING_CALLS = 2;
const MAX_CALLS_PER_LANE = 8;

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
  readonly hooks?: LaneHooks;
}

export class Lane {
  #connection: Connection | undefined;
  #attempt: Promise<Connection> | undefined;
  readonly #aside = new Set<Connection>();
  #wasLost = false;
  #openedMs = 0;
  #backoffMs = FIRST_BACKOFF_MS;
  #cancelRetry: (() => void) | undefined;
  readonly #stop = new AbortController();

  constructor(
    private readonly options: LaneOptions,
    private readonly deps: ConnectionDeps,
  ) {}

  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** Resolves after the first attempt, whatever its outcome; a persistent lane goes on trying. */
  async start(): Promise<void> {
    await this.#keepConnected();
  }

  async stop(): Promise<void> {
    this.#stop.abort(new HypervisorError('unavailable', 'the libvirt adapter was stopped'));
    this.#cancelRetry?.();
    await this.#attempt?.catch(() => undefined);
    const connections = [...this.#aside, ...(this.#connection ? [this.#connection] : [])];
    this.#aside.clear();
    this.#connection = undefined;
    if (connections.length > 0) this.deps.metrics.libvirt_connected.set({ lane: this.options.name }, 0);
    await Promise.all(connections.map((connection) => connection.close()));
  }

  readonly call: TypedCall = async (name, args, options) => {
    const { connection, rest } = await this.#ready(name, options);
    return connection.call(name, args, rest);
  };

  /** As call(), but resolves with the reply's packet. */
  async callRaw<N extends ProcedureName>(name: N, args: Args<N>, options?: CallOptions): Promise<Buffer> {
    const { connection, rest } = await this.#ready(name, options);
    return connection.callRaw(name, args, rest);
  }

  /** The connection, and the options with what is left of the deadline after waiting for it. */
  async #ready(
    name: ProcedureName,
    options: CallOptions = {},
  ): Promise<{ readonly connection: Connection; readonly rest: CallOptions }> {
    this.#setAside();
    if (this.#connection) return { connection: this.#connection, rest: options };
    const deadlineMs = options.deadlineMs ?? deadlineOf(name);
    const startedMs = this.deps.clock.nowMs();
    const connection = await this.#bounded(this.#connect(), deadlineMs, options.signal);
    return {
      connection,
      rest: { ...options, deadlineMs: deadlineMs - (this.deps.clock.nowMs() - startedMs) },
    };
  }

  /** Not of the events lane, whose connection has the registrations; nothing on it hangs. */
  #setAside(): void {
    for (const connection of this.#aside) {
      if (connection.callsInFlight > 0) continue;
      this.#aside.delete(connection);
      void connection.close();
    }
    const connection = this.#connection;
    if (!connection || this.options.persistent || connection.abandonedCalls < HANGING_CALLS) return;
    const inFlight = [connection, ...this.#aside].reduce((sum, each) => sum + each.callsInFlight, 0);
    if (inFlight + MAX_IN_FLIGHT > MAX_CALLS_PER_LANE) return;
    this.#aside.add(connection);
    this.#connection = undefined;
    const { name } = this.options;
    this.deps.metrics.libvirt_connected.set({ lane: name }, 0);
    this.deps.metrics.libvirt_set_aside_total.inc({ lane: name });
    this.deps.limiter.run(`set aside ${name}`, (swallowed) =>
      this.deps.log.warn(
        { lane: name, inFlight, swallowed },
        'calls to libvirt hang; taking a fresh connection',
      ),
    );
  }

  #bounded(attempt: Promise<Connection>, deadlineMs: number, signal?: AbortSignal): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const giveUp = (kind: 'unavailable' | 'aborted', message: string): void => {
        reject(new HypervisorError(kind, `${message} while libvirt was being connected`));
      };
      const onAbort = (): void => giveUp('aborted', 'the caller gave up');
      if (signal?.aborted) onAbort();
      signal?.addEventListener('abort', onAbort, { once: true });
      const cancel = Number.isFinite(deadlineMs)
        ? this.deps.clock.after(deadlineMs, () => giveUp('unavailable', `${secondsText(deadlineMs)} passed`))
        : undefined;
      void attempt.then(resolve, reject).finally(() => {
        cancel?.();
        signal?.removeEventListener('abort', onAbort);
      });
    });
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
      event: (header, packet) => hooks?.event?.(header, packet),
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
    this.#connection = connection;
    this.deps.metrics.libvirt_connected.set({ lane: name }, 1);
    if (this.#wasLost) this.deps.metrics.libvirt_reconnects_total.inc({ lane: name });
    this.#wasLost = false;
    this.#openedMs = this.deps.clock.nowMs();
    hooks?.ready?.(connection);
    return connection;
  }

  #lost(error: HypervisorError): void {
    if (this.#connection?.state !== 'lost') return;
    this.#connection = undefined;
    this.#wasLost = true;
    // A daemon that lets us in and dies, again and again, is not asked ever more often.
    if (this.deps.clock.nowMs() - this.#openedMs >= MAX_BACKOFF_MS) this.#backoffMs = FIRST_BACKOFF_MS;
    this.deps.metrics.libvirt_connected.set({ lane: this.options.name }, 0);
    this.options.hooks?.lost?.(error);
    this.#retryLater();
  }

  async #keepConnected(): Promise<void> {
    try {
      if (!this.#connection) await this.#connect();
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
