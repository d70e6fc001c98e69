/**
 * The public entry `vdsm-agent/libvirt`: one connection to a libvirt daemon for any program, without native code.
 *
 * Does not reconnect: a lost connection rejects all calls and tells onClose. At most 4 calls run at a time, the rest
 * wait; use a second client for calls that may hang in a guest.
 */
import { HypervisorError } from '../domain/hypervisor.js';
import type { CallOptions, DomainEvent } from '../domain/hypervisor.js';
import type { StatsBatch } from '../domain/stats.js';
import { tellAll } from '../util/listeners.js';
import { RateLimiter, silentLogger } from '../util/log.js';
import type { Logger } from '../util/log.js';
import { createMetrics } from '../util/metrics.js';
import type { Metrics } from '../util/metrics.js';
import { systemClock } from '../util/time.js';
import type { Clock } from '../util/time.js';
import { BulkStatsDecoder } from './bulk-stats.js';
import type { Connection, ConnectionDeps } from './connection.js';
import { dial } from './dial.js';
import { translateEvent } from './domain-event-names.js';
import { registerEvents } from './event-registration.js';
import type { DomainHandle } from './objects.js';
import type { Args, ProcedureName, Result, TypedCall } from './procedures.js';
import { paramRecord } from './typed-params.js';
import { parseLibvirtUri } from './uri.js';
import type { Environment } from './uri.js';
import { HEADER_BYTES } from './wire.js';
import type { PacketHeader } from './wire.js';
import { XdrReader } from './xdr.js';

export { HypervisorError } from '../domain/hypervisor.js';
export type { CallOptions, DomainEvent } from '../domain/hypervisor.js';
export { parseVmId } from '../domain/ids.js';
export type { VmId } from '../domain/ids.js';
export {
  BLOCK_COLUMNS,
  BlockColumn,
  NET_COLUMNS,
  NetColumn,
  Scalar,
  SCALARS,
  StatsGroup,
} from '../domain/stats.js';
export type { StatsBatch } from '../domain/stats.js';
export { StatsFlag } from './enumerations.js';
export { ErrorCode, LibvirtError } from './errors.js';
export type { DomainHandle } from './objects.js';
export type { Args, ProcedureName, Result } from './procedures.js';
export type { TypedParam } from './typed-params.js';

export interface ConnectOptions {
  /** Monitoring only. Without it the read-only socket is still taken where access to the other is denied. */
  readonly readOnly?: boolean;
  /** Where session daemons are looked for: pass process.env. */
  readonly env?: Environment;
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
  readonly log?: Logger;
  readonly metrics?: Metrics;
}

export interface StatsQuery {
  /** StatsGroup bits; 0 is all that the daemon has. */
  readonly groups: number;
  /** Absent: all that pass the flags. */
  readonly doms?: readonly DomainHandle[];
  /** StatsFlag bits; added, not or-ed: bit 31 is a positive number here. */
  readonly flags?: number;
}

/** One domain's statistics by libvirt's own names, such as 'net.0.rx.bytes'. */
export interface DomainStats {
  readonly dom: DomainHandle;
  readonly stats: Readonly<Record<string, number | string | boolean>>;
}

/** A packet of type event, undecoded: `body` starts with the callback id. */
export interface RawEvent {
  readonly program: number;
  readonly procedure: number;
  readonly body: Buffer;
}

export class LibvirtClient {
  readonly #decoder = new BulkStatsDecoder();
  readonly #rawListeners = new Set<(event: RawEvent) => void>();
  readonly #domainListeners = new Set<(event: DomainEvent) => void>();
  readonly #closeListeners = new Set<(error: HypervisorError) => void>();
  #connection!: Connection;
  #registration: Promise<void> | undefined;

  private constructor(private readonly deps: ConnectionDeps) {}

  /**
   * @param uri qemu:///system, qemu:///session, test:///default, or with a socket: qemu+unix:///system?socket=PATH
   * @throws Error for a URI that is none; HypervisorError 'unavailable' where no daemon lets us in
   */
  static async connect(uri: string, options: ConnectOptions = {}): Promise<LibvirtClient> {
    const { clock = systemClock, log = silentLogger, metrics = createMetrics(), signal } = options;
    const target = parseLibvirtUri(uri, options.env ?? {});
    const deps = { clock, log, metrics, limiter: new RateLimiter(clock) };
    const client = new LibvirtClient(deps);
    const request = { target, lane: 'client', readOnly: options.readOnly ?? false, signal };
    client.#connection = await dial(request, deps, {
      event: (header, packet) => client.#event(header, packet),
      lost: (error) => tellAll(client.#closeListeners, (listener) => listener(error)),
    });
    return client;
  }

  get readOnly(): boolean {
    return this.#connection.request.readOnly;
  }

  /**
   * Calls a procedure by libvirt's name: `await client.call('DOMAIN_LOOKUP_BY_NAME', { name: 'web' })`.
   * @throws LibvirtError for what the daemon answers; HypervisorError 'timeout', 'aborted', 'unavailable', or
   *   'busy' where it was not sent because the calls before it hang
   */
  call<N extends ProcedureName>(name: N, args: Args<N>, options?: CallOptions): Promise<Result<N>> {
    const call: TypedCall = this.#connection.call;
    return call(name, args, options);
  }

  /** Statistics as columns of numbers, for many domains at a high rate. */
  async getAllDomainStats(query: StatsQuery, options?: CallOptions): Promise<StatsBatch> {
    const args = { doms: query.doms ?? [], stats: query.groups, flags: query.flags ?? 0 };
    const packet = await this.#connection.callRaw('CONNECT_GET_ALL_DOMAIN_STATS', args, options);
    return this.#decoder.decode(packet, HEADER_BYTES);
  }

  /** Statistics as plain objects, with every field that the daemon sent. */
  async getAllDomainStatsObjects(query: StatsQuery, options?: CallOptions): Promise<DomainStats[]> {
    const args = { doms: query.doms ?? [], stats: query.groups, flags: query.flags ?? 0 };
    const { records } = await this.call('CONNECT_GET_ALL_DOMAIN_STATS', args, options);
    return records.map(({ dom, params }) => ({ dom, stats: paramRecord(params) }));
  }

  /**
   * Domain events, decoded. Resolves with the remover when the daemon has registered them; from then on none is
   * missed while the connection lasts.
   */
  async onDomainEvent(listener: (event: DomainEvent) => void): Promise<() => void> {
    this.#domainListeners.add(listener);
    this.#registration ??= registerEvents(this.#connection, this.deps.log);
    try {
      await this.#registration;
    } catch (error) {
      this.#registration = undefined;
      this.#domainListeners.delete(listener);
      throw error;
    }
    return () => this.#domainListeners.delete(listener);
  }

  /** Every event packet as it came, also those of procedures registered by call(). Returns the remover. */
  onEvent(listener: (event: RawEvent) => void): () => void {
    this.#rawListeners.add(listener);
    return () => this.#rawListeners.delete(listener);
  }

  /** The connection was lost; not told after close(). Returns the remover. */
  onClose(listener: (error: HypervisorError) => void): () => void {
    this.#closeListeners.add(listener);
    return () => this.#closeListeners.delete(listener);
  }

  /** Pending calls are rejected. Idempotent. */
  close(): Promise<void> {
    return this.#connection.close();
  }

  #event(header: PacketHeader, packet: Buffer): void {
    const { program, procedure } = header;
    const raw = { program, procedure, body: packet.subarray(HEADER_BYTES) };
    tellAll(this.#rawListeners, (listener) => listener(raw));
    if (this.#domainListeners.size === 0) return;
    const event = this.#translate(procedure, packet);
    if (event) tellAll(this.#domainListeners, (listener) => listener(event));
  }

  #translate(procedure: number, packet: Buffer): DomainEvent | undefined {
    try {
      return translateEvent(procedure, new XdrReader(packet))?.event;
    } catch (error) {
      const { limiter, log, metrics } = this.deps;
      metrics.libvirt_malformed_total.inc({ kind: 'event' });
      limiter.run('malformed event', (swallowed) =>
        log.warn({ procedure, err: error, swallowed }, 'dropped an event that cannot be decoded'),
      );
      return undefined;
    }
  }
}
