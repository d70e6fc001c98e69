/**
 * What a handler of a procedure gets and gives: the world of one call.
 *
 * Handlers are plain functions from arguments to result; only those that touch a monitor may take time.
 * Threads, sockets, limits and bytes are the server's.
 */
import type { DomainHandle } from '../libvirt/objects.js';
import type { Args, ProcedureName, Result } from '../libvirt/procedures.js';
import type { XdrWriter } from '../libvirt/xdr.js';
import type { SimulatedDomain } from './domain.js';
import { Fault } from './fault.js';
import type { SimulatedHost } from './simulated-host.js';

/** A reply that a stream of bytes follows. */
export class StreamReply<N extends ProcedureName> {
  constructor(
    readonly result: Result<N>,
    readonly data: Uint8Array,
  ) {}
}

/** A reply whose body is encoded already. */
export class RawBody {
  constructor(readonly writer: XdrWriter) {}
}

export type Reply<N extends ProcedureName> = Result<N> | RawBody | StreamReply<N>;
export type Handler<N extends ProcedureName> = (call: Call, args: Args<N>) => Reply<N> | Promise<Reply<N>>;
export type Handlers = { readonly [N in ProcedureName]?: Handler<N> };

/** What a call may ask of the connection it came on. */
export interface CallSession {
  /** The URI of CONNECT_OPEN; undefined before. */
  uri: string | undefined;
  readOnly: boolean;
  /** Starts the daemon's keepalive. */
  startKeepalive(): void;
  /** @returns the callback id, unique in the daemon */
  registerEvent(eventId: number, uuid: string | undefined): number;
  deregisterEvent(callbackId: number): void;
  /** The domain is destroyed when this connection ends. */
  ownDomain(domain: SimulatedDomain): void;
  /** Closes the socket after the reply. */
  closeAfterReply(): void;
}

export class Call {
  constructor(
    readonly host: SimulatedHost,
    readonly session: CallSession,
    /** Calls back after so long, unless the daemon ends before; returns the canceller. */
    private readonly after: (ms: number, callback: () => void) => () => void,
    /** How long QEMU takes for one answer, drawn anew each time. */
    private readonly drawServiceMs: () => number,
  ) {}

  /** libvirt resolves a handle by its uuid alone. */
  domain(handle: DomainHandle): SimulatedDomain {
    const domain = this.host.find(handle.uuid);
    if (!domain) {
      throw new Fault('no-domain', `no domain with matching uuid '${handle.uuid}' (${handle.name})`);
    }
    return domain;
  }

  activeDomain(handle: DomainHandle): SimulatedDomain {
    const domain = this.domain(handle);
    this.host.lifecycle.requireActive(domain);
    return domain;
  }

  /**
   * Runs `action` when the domain's monitor has answered: at once, later, or never (see MonitorLock). A
   * domain that does not run has no monitor to ask.
   */
  withMonitor<T>(domain: SimulatedDomain, action: () => T): T | Promise<T> {
    const wait = domain.active ? (domain.monitor.enter() ?? this.serve(1)) : undefined;
    return wait ? wait.then(action) : action();
  }

  /** As withMonitor(), for what changes the domain: waits for a job such as a save first. */
  withChange<T>(domain: SimulatedDomain, action: () => T): T | Promise<Awaited<T>> {
    const wait = domain.monitor.enterChange(true) ?? (domain.active ? this.serve(1) : undefined);
    return wait ? (wait.then(action) as Promise<Awaited<T>>) : action();
  }

  /** As withChange(), for what QEMU need not be asked for. */
  withQuietChange<T>(domain: SimulatedDomain, action: () => T): T | Promise<Awaited<T>> {
    const wait = domain.monitor.enterChange(false);
    return wait ? (wait.then(action) as Promise<Awaited<T>>) : action();
  }

  /** As withMonitor(), for calls that need only the domain's lock. */
  withJob<T>(domain: SimulatedDomain, action: () => T): T | Promise<T> {
    const wait = domain.monitor.enterJob();
    return wait ? wait.then(action) : action();
  }

  /** The time that QEMU takes for that many answers, one after the other. */
  serve(answers: number): Promise<void> | undefined {
    let ms = 0;
    for (let i = 0; i < answers; i++) ms += this.drawServiceMs();
    return this.#sleep(ms);
  }

  delay(ms: number): Promise<void> {
    return this.#sleep(ms) ?? Promise.resolve();
  }

  /**
   * Resolves with what `begin` hands to its callback, or with undefined after so long (Infinity: never).
   * @throws what `begin` throws; Fault 'invalid-state' when the domain's QEMU ends meanwhile
   */
  within<T>(
    domain: SimulatedDomain,
    ms: number,
    begin: (done: (value: T) => void) => void,
  ): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const settle = (action: () => void) => {
        cancelTimer();
        stopListening();
        action();
      };
      const cancelTimer =
        ms === Infinity ? () => undefined : this.after(ms, () => settle(() => resolve(undefined)));
      const stopListening = domain.onEnd(() =>
        settle(() => reject(new Fault('invalid-state', 'domain is not running'))),
      );
      try {
        begin((value) => settle(() => resolve(value)));
      } catch (error) {
        settle(() => undefined);
        throw error;
      }
    });
  }

  /** Undefined for 0. */
  #sleep(ms: number): Promise<void> | undefined {
    return ms <= 0 ? undefined : new Promise((resolve) => this.after(ms, resolve));
  }
}
