/**
 * Connections by purpose, so that what hangs in one guest's monitor fills one lane only:
 * - events: event packets and nothing that waits; stays connected
 * - priority: calls that the daemon answers even when all its ordinary workers hang
 * - free: calls that never touch a monitor
 * - backed: calls that may hang in a monitor or agent
 * - verbs: what changes a domain
 *
 * A lane connects when it is first needed and again after a loss: a call finds an open connection, joins the
 * attempt under way, or starts one. The events lane also tries by itself, 50 ms after a loss and then ever more
 * slowly, once a second at most.
 */
import { HypervisorError } from '../domain/hypervisor.js';
import type { CallOptions } from '../domain/hypervisor.js';
import { Connection } from './connection.js';
import type { ConnectionDeps, ConnectionListener } from './connection.js';
import { deadlineOf } from './deadlines.js';
import type { Args, ProcedureName, TypedCall } from './procedures.js';
import { dial } from './dial.js';
import type { LibvirtTarget } from './uri.js';

export const laneNames = ['events', 'priority', 'free', 'backed', 'verbs'] as const;
export type LaneName = (typeof laneNames)[number];

const FIRST_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 1000;

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
  #everOpen = false;
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
    const connection = this.#connection;
    this.#connection = undefined;
    if (!connection) return;
    this.deps.metrics.libvirt_connected.set({ lane: this.options.name }, 0);
    await connection.close();
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
    if (this.#connection) return { connection: this.#connection, rest: options };
    const deadlineMs = options.deadlineMs ?? deadlineOf(name);
    const startedMs = this.deps.clock.nowMs();
    const connection = await this.#bounded(this.#connect(), deadlineMs, options.signal);
    return {
      connection,
      rest: { ...options, deadlineMs: deadlineMs - (this.deps.clock.nowMs() - startedMs) },
    };
  }

  #bounded(attempt: Promise<Connection>, deadlineMs: number, signal?: AbortSignal): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const giveUp = (kind: 'timeout' | 'aborted', message: string): void => {
        reject(new HypervisorError(kind, `${message} while libvirt was being connected`));
      };
      const onAbort = (): void => giveUp('aborted', 'the caller gave up');
      if (signal?.aborted) onAbort();
      signal?.addEventListener('abort', onAbort, { once: true });
      const cancel = Number.isFinite(deadlineMs)
        ? this.deps.clock.after(deadlineMs, () => giveUp('timeout', `${deadlineMs / 1000} s passed`))
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
    const giveUp = (): void => void connection.close();
    this.#stop.signal.addEventListener('abort', giveUp, { once: true });
    try {
      await hooks?.opened?.(connection);
      if (connection.state !== 'open') throw new HypervisorError('unavailable', 'libvirt hung up');
    } catch (error) {
      await connection.close();
      throw error;
    } finally {
      this.#stop.signal.removeEventListener('abort', giveUp);
    }
    this.#connection = connection;
    this.deps.metrics.libvirt_connected.set({ lane: name }, 1);
    if (this.#everOpen) this.deps.metrics.libvirt_reconnects_total.inc({ lane: name });
    this.#everOpen = true;
    hooks?.ready?.(connection);
    return connection;
  }

  #lost(error: HypervisorError): void {
    if (!this.#connection) return;
    this.#connection = undefined;
    this.deps.metrics.libvirt_connected.set({ lane: this.options.name }, 0);
    this.options.hooks?.lost?.(error);
    this.#retryLater();
  }

  async #keepConnected(): Promise<void> {
    try {
      if (!this.#connection) await this.#connect();
      this.#backoffMs = FIRST_BACKOFF_MS;
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
