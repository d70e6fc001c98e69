/**
 * The connection that events come by, and what hangs on it: the adapter's state, and the listeners.
 *
 * Invariant: listeners are called one after the other, in the order of packets; one that throws is logged and
 * disturbs no other.
 */
import type { HypervisorListener, HypervisorStatus } from '../domain/hypervisor.js';
import type { Connection, ConnectionDeps } from './connection.js';
import { translateEvent } from './domain-event-names.js';
import type { DomainHandles } from './domain-handles.js';
import { connectionClosedEvent } from './domain-events.js';
import { registerEvents } from './event-registration.js';
import { Lane } from './lanes.js';
import type { LibvirtTarget } from './uri.js';
import { Program } from './wire.js';
import type { PacketHeader } from './wire.js';
import { XdrReader } from './xdr.js';

export class EventLane {
  readonly #lane: Lane;
  readonly #listeners = new Set<HypervisorListener>();
  #status: HypervisorStatus;
  #everOpen = false;

  constructor(
    target: LibvirtTarget,
    private readonly deps: ConnectionDeps,
    private readonly handles: DomainHandles,
  ) {
    this.#status = {
      state: 'connecting',
      sinceMs: deps.clock.nowMs(),
      uri: target.uri,
      readOnly: false,
    };
    const hooks = {
      opened: (connection: Connection) => registerEvents(connection, deps.log),
      ready: (connection: Connection) => this.#ready(connection),
      lost: (error: Error) => this.#lost(error.message),
      failed: (error: unknown) => this.#failed(error),
      event: (header: PacketHeader, packet: Buffer) => this.#event(header, packet),
    };
    this.#lane = new Lane({ name: 'events', target, persistent: true, hooks }, deps);
  }

  get status(): HypervisorStatus {
    return this.#status;
  }

  addListener(listener: HypervisorListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): Promise<void> {
    return this.#lane.start();
  }

  async stop(): Promise<void> {
    this.#move('stopped');
    await this.#lane.stop();
  }

  #ready(connection: Connection): void {
    const { readOnly, path } = connection.request;
    const gap = this.#everOpen;
    this.#everOpen = true;
    this.#move('open', undefined, readOnly);
    this.deps.log.info({ uri: this.#status.uri, path, readOnly, gap }, 'connected to libvirt');
    this.#tell((listener) => listener.connected?.({ gap }));
  }

  #lost(reason: string): void {
    this.#move('lost', reason);
    this.deps.log.warn({ reason }, 'lost libvirt');
    this.#tell((listener) => listener.disconnected?.(reason));
  }

  #failed(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#move('lost', reason);
    this.deps.limiter.run(`connect ${reason}`, (swallowed) =>
      this.deps.log.warn({ reason, swallowed }, 'cannot connect to libvirt; trying again'),
    );
  }

  #move(state: HypervisorStatus['state'], reason?: string, readOnly = this.#status.readOnly): void {
    if (this.#status.state === 'stopped') return;
    const sinceMs = this.#status.state === state ? this.#status.sinceMs : this.deps.clock.nowMs();
    const { uri } = this.#status;
    this.#status = { state, sinceMs, uri, readOnly, ...(reason !== undefined && { reason }) };
  }

  #event(header: PacketHeader, packet: Buffer): void {
    if (header.program !== Program.remote) {
      this.#unknown(header);
      return;
    }
    if (header.procedure === connectionClosedEvent.procedure) {
      this.#lane.connection?.drop('the daemon lost its hypervisor');
      return;
    }
    try {
      const translated = translateEvent(header.procedure, new XdrReader(packet));
      if (!translated) {
        this.#unknown(header);
        return;
      }
      const { event, dom } = translated;
      this.handles.put(dom);
      this.deps.metrics.libvirt_events_total.inc({ kind: event.kind });
      this.#tell((listener) => listener.domainEvent?.(event));
    } catch (error) {
      this.deps.metrics.libvirt_malformed_total.inc({ kind: 'event' });
      this.deps.limiter.run('malformed event', (swallowed) =>
        this.deps.log.warn({ header, err: error, swallowed }, 'dropped an event that cannot be decoded'),
      );
    }
  }

  #unknown(header: PacketHeader): void {
    this.deps.metrics.libvirt_unknown_total.inc({ kind: 'event' });
    this.deps.limiter.run('unknown event', (swallowed) =>
      this.deps.log.warn({ header, swallowed }, 'dropped an event that is not known'),
    );
  }

  #tell(call: (listener: HypervisorListener) => void): void {
    for (const listener of this.#listeners) {
      try {
        call(listener);
      } catch (error) {
        this.deps.metrics.internal_faults_total.inc({ part: 'hypervisor-listener' });
        this.deps.limiter.run('failing listener', (swallowed) =>
          this.deps.log.error({ err: error, swallowed }, 'a listener of the hypervisor failed'),
        );
      }
    }
  }
}
