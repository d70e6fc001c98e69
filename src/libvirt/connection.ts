/**
 * One socket to the daemon: connecting -> open -> lost or closed. Frames packets, dispatches them by type first
 * (an event's serial is always 1 and may equal a live call's), keeps the daemon company, and never reconnects:
 * lanes do.
 *
 * Invariant: after `lost` or `closed` every pending call has been rejected and no timer or socket is left.
 */
import type { Socket } from 'node:net';
import { HypervisorError } from '../domain/hypervisor.js';
import type { CallOptions } from '../domain/hypervisor.js';
import type { Logger, RateLimiter } from '../util/log.js';
import type { Metrics } from '../util/metrics.js';
import type { Clock } from '../util/time.js';
import { domainsOf, labelOf } from './call-request.js';
import { CallWindow } from './call-window.js';
import type { HangingCall } from './call-window.js';
import { deadlineOf } from './deadlines.js';
import { Download } from './download.js';
import type { Downloaded, DownloadOptions } from './download.js';
import { handshake } from './handshake.js';
import { defaultKeepalive, Keepalive as KeepaliveTimer } from './keepalive.js';
import type { KeepaliveSettings } from './keepalive.js';
import { PacketFaults } from './packet-faults.js';
import type { PacketPool } from './packet-pool.js';
import { procedure } from './procedures.js';
import type { Args, ProcedureName, Result, TypedCall } from './procedures.js';
import { connectSocket } from './socket.js';
import { Keepalive, keepalivePacket, PacketSplitter, PacketType, Program, WireError } from './wire.js';
import type { PacketHeader } from './wire.js';
import { XdrReader, XdrWriter } from './xdr.js';

export interface ConnectionDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** At most one log line per kind and interval: garbage may come in floods. */
  readonly limiter: RateLimiter;
  readonly keepalive?: KeepaliveSettings;
  /** Where large packets get their memory; those who have decoded one may give it back. */
  readonly packets?: PacketPool;
}

export interface ConnectionListener {
  /** A packet of type event of any program but keepalive. The packet is the listener's to keep. */
  event?(header: PacketHeader, packet: Buffer): void;
  /** Once, and not after close(). */
  lost?(error: HypervisorError): void;
}

export interface OpenRequest {
  readonly path: string;
  /** For CONNECT_OPEN. */
  readonly name: string;
  readonly readOnly: boolean;
  /** For metrics. */
  readonly lane: string;
  readonly signal?: AbortSignal | undefined;
}

const states = {
  connecting: ['open', 'lost', 'closed'],
  open: ['lost', 'closed'],
  lost: ['closed'],
  closed: [],
} as const satisfies Record<string, readonly string[]>;
export type ConnectionState = keyof typeof states;

export class Connection {
  #state: ConnectionState = 'connecting';
  readonly #window: CallWindow;
  readonly #splitter: PacketSplitter;
  readonly #keepalive: KeepaliveTimer;
  readonly #faults: PacketFaults;

  private constructor(
    readonly request: OpenRequest,
    private readonly socket: Socket,
    deps: ConnectionDeps,
    private readonly listener: ConnectionListener,
  ) {
    this.#faults = new PacketFaults(request.lane, deps);
    this.#splitter = new PacketSplitter(
      (header, packet) => this.#dispatch(header, packet),
      (bytes) => deps.packets?.take(bytes) ?? Buffer.allocUnsafeSlow(bytes),
    );
    this.#window = new CallWindow({
      clock: deps.clock,
      metrics: deps.metrics,
      lane: request.lane,
      send: (packet) => void socket.write(packet),
    });
    this.#keepalive = new KeepaliveTimer(deps.clock, deps.keepalive ?? defaultKeepalive, {
      ping: () => void socket.write(keepalivePacket(Keepalive.ping)),
      dead: () => this.#lose('it no longer answers pings'),
      unfinished: () => this.#splitter.unfinished,
      stalled: () => this.#unframed('a packet does not end'),
    });
    socket.on('error', (error) => this.#lose(error.message));
    socket.on('close', () => this.#lose('the daemon closed it'));
  }

  /**
   * Connects, authenticates and opens the hypervisor.
   * @throws HypervisorError: 'unavailable' (no daemon, or it does not answer), 'denied', 'unsupported', 'aborted'
   */
  static async open(
    request: OpenRequest,
    deps: ConnectionDeps,
    listener: ConnectionListener = {},
  ): Promise<Connection> {
    let connection: Connection | undefined = undefined;
    const socket = await connectSocket(request.path, request.signal, (chunk) => {
      if (connection) connection.#receive(chunk);
    });
    const opened = new Connection(request, socket, deps, listener);
    connection = opened;
    try {
      const call: TypedCall = (name, args) =>
        opened.call(name, args, request.signal && { signal: request.signal });
      await handshake(call, request.name, request.readOnly);
      // The daemon may hang up right behind its last reply.
      if (opened.state !== 'connecting') throw opened.#gone('it was closed at once');
    } catch (error) {
      opened.#end('closed', new HypervisorError('unavailable', 'the connection was not opened'));
      throw error;
    }
    opened.#move('open');
    return opened;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Calls that timed out here and still run in the daemon. */
  get abandonedCalls(): number {
    return this.#window.abandoned;
  }

  /** Calls that the daemon has not answered, abandoned ones included. */
  get callsInFlight(): number {
    return this.#window.inFlight;
  }

  /** Calls that were given up at least so long ago and are unanswered. */
  hanging(forMs: number): HangingCall[] {
    return this.#window.hanging(forMs);
  }

  /** Takes a hanging call for answered: its slot is free again. */
  forget(call: HangingCall): void {
    this.#window.forget(call);
  }

  /** A call made now would be sent at once. */
  get hasRoom(): boolean {
    return this.#window.hasRoom;
  }

  readonly call: TypedCall = async (name, args, options) => {
    return this.#read(name, await this.callRaw(name, args, options));
  };

  /** As call(), but resolves with the reply's packet; its body starts at HEADER_BYTES. */
  callRaw<N extends ProcedureName>(name: N, args: Args<N>, options?: CallOptions): Promise<Buffer> {
    return this.#submit(name, args, options);
  }

  /**
   * As call(), of a procedure that sends a stream after its reply; resolves when the stream has ended.
   * @throws HypervisorError 'failed' where it is longer than maxBytes or ends too early
   */
  async download<N extends ProcedureName>(
    name: N,
    args: Args<N>,
    { maxBytes, ...options }: DownloadOptions,
  ): Promise<Downloaded<Result<N>>> {
    const download = new Download(maxBytes);
    const result = this.#read(name, await this.#submit(name, args, options, download));
    return { result, data: download.data };
  }

  async #submit<N extends ProcedureName>(
    name: N,
    args: Args<N>,
    options: CallOptions | undefined,
    download?: Download,
  ): Promise<Buffer> {
    if (this.#state !== 'open' && this.#state !== 'connecting') throw this.#gone('it is closed');
    const [label, domains] = [labelOf(name, args), domainsOf(args)];
    const body = new XdrWriter();
    try {
      procedure(name).args.write(body, args);
    } catch (error) {
      throw new HypervisorError('failed', `${label}: ${String(error)}`, { cause: error });
    }
    return this.#window.submit({
      procedure: procedure(name),
      body,
      label,
      domains,
      deadlineMs: options?.deadlineMs ?? deadlineOf(name),
      signal: options?.signal,
      download,
    });
  }

  #read<N extends ProcedureName>(name: N, packet: Buffer): Result<N> {
    try {
      return procedure(name).result.read(new XdrReader(packet)) as Result<N>;
    } catch (error) {
      this.#faults.malformed('reply', `${name}: ${String(error)}`);
      throw new HypervisorError('failed', `libvirt's reply to ${name} is garbled`, { cause: error });
    }
  }

  /**
   * Says goodbye where a slot is free for it (a daemon logs an error for clients that just vanish), then closes.
   * Takes a second at most. Idempotent.
   */
  async close(): Promise<void> {
    if (this.#state === 'open' && this.#window.hasRoom)
      await this.call('CONNECT_CLOSE', undefined).catch(() => undefined);
    this.#end('closed', this.#gone('it was closed'));
  }

  /** Ends a connection that is of no use any more; the listener hears of it as of any loss. */
  drop(reason: string): void {
    this.#lose(reason);
  }

  #receive(chunk: Buffer): void {
    this.#keepalive.heard();
    try {
      this.#splitter.push(chunk);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#unframed(error.message);
    }
  }

  #unframed(fault: string): void {
    this.#faults.malformed('framing', fault);
    this.#lose(`framing is lost: ${fault}`);
  }

  #dispatch(header: PacketHeader, packet: Buffer): void {
    // One packet may have ended the connection; others came with it.
    if (this.#state !== 'open' && this.#state !== 'connecting') return;
    if (header.program === Program.keepalive) {
      const ping = header.type === PacketType.event && header.procedure === Keepalive.ping;
      if (ping) this.socket.write(keepalivePacket(Keepalive.pong));
      return;
    }
    if (header.type === PacketType.event) {
      if (this.listener.event) this.listener.event(header, packet);
      else this.#faults.unexpected('event', header);
      return;
    }
    if (header.type !== PacketType.reply && header.type !== PacketType.stream) {
      this.#faults.unexpected(`type-${header.type}`, header);
      return;
    }
    const isReply = header.type === PacketType.reply;
    const fault = isReply ? this.#window.reply(header, packet) : this.#window.stream(header, packet);
    if (fault === 'undecodable') this.#faults.malformed('error-reply', `procedure ${header.procedure}`);
    else if (fault) this.#faults.unexpected(fault, header);
  }

  #lose(reason: string): void {
    if (this.#state !== 'connecting' && this.#state !== 'open') return;
    const wasOpen = this.#state === 'open';
    const error = this.#gone(reason);
    this.#end('lost', error);
    if (wasOpen) this.listener.lost?.(error);
  }

  #end(state: 'lost' | 'closed', error: HypervisorError): void {
    if (this.#state === 'closed') return;
    this.#move(state);
    this.#keepalive.stop();
    this.socket.destroy();
    this.#window.failAll(error);
  }

  #move(to: ConnectionState): void {
    const allowed: readonly string[] = states[this.#state];
    if (!allowed.includes(to)) throw new Error(`a connection cannot go from ${this.#state} to ${to}`);
    this.#state = to;
  }

  #gone(reason: string): HypervisorError {
    return new HypervisorError('unavailable', `no connection to libvirt at ${this.request.path}: ${reason}`);
  }
}
