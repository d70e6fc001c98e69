/**
 * Where clients come in: a listener per endpoint, the WebSocket upgrade, and the set of sessions.
 *
 * How it works: an HTTP server accepts (http-server.ts); plain requests get a page (http.ts); an upgrade passes the
 * checks here and becomes a Session (session.ts), whose requests go to `handle` and whose events come from the
 * fan-out. One timer pings all sessions. It does not know what the messages mean.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import type { HandleMessage } from '../api/peer.js';
import type { Service } from '../util/lifecycle.js';
import { RateLimiter, type Logger } from '../util/log.js';
import type { Metrics } from '../util/metrics.js';
import type { Clock } from '../util/time.js';
import { ByteBudget } from './byte-budget.js';
import { assertSafeEndpoint, formatEndpoint, type Endpoint } from './endpoints.js';
import type { FanOut } from './fan-out.js';
import { HttpServer, loadTls, type TlsFiles } from './http-server.js';
import { originAllowed, page, refuseUpgrade, sendPage, type Health } from './http.js';
import { CloseCode, Session, type SessionLimits } from './session.js';

export interface ListenerLimits extends SessionLimits {
  readonly maxSessions: number;
  /** Bound of the unsent bytes of all sessions together. */
  readonly maxTotalQueueBytes: number;
  /** Longest message of a client, bytes. */
  readonly maxMessageBytes: number;
  readonly idlePingMs: number;
  readonly handshakeTimeoutMs: number;
}

export const defaultLimits: ListenerLimits = {
  maxSessions: 64,
  maxMessageBytes: 1024 * 1024,
  maxInFlight: 32,
  maxQueueBytes: 64 * 1024 * 1024,
  maxTotalQueueBytes: 512 * 1024 * 1024,
  idlePingMs: 20_000,
  handshakeTimeoutMs: 10_000,
  drainMs: 1000,
  overflowDrainMs: 10_000,
};

export interface ListenerOptions {
  readonly endpoints: readonly Endpoint[];
  /** For every TCP endpoint. */
  readonly tls?: TlsFiles;
  /** Allows plain text beyond this host. */
  readonly insecure: boolean;
  /** Origins of web pages that may connect; default none. */
  readonly allowedOrigins?: readonly string[];
  readonly handle: HandleMessage;
  readonly fanOut: FanOut;
  readonly health: () => Health;
  readonly metrics: Metrics;
  /** What is absent is as in defaultLimits. */
  readonly limits?: Partial<ListenerLimits>;
  readonly clock: Clock;
  readonly log: Logger;
}

export class Listener implements Service {
  readonly #limits: ListenerLimits;
  readonly #warnings: RateLimiter;
  readonly #sessions = new Set<Session>();
  readonly #budget: ByteBudget;
  readonly #upgrader: WebSocketServer;
  #servers: HttpServer[] = [];
  #cancelPings: (() => void) | undefined;
  #stopping: Promise<void> | undefined;
  #onAllClosed: (() => void) | undefined;
  #connections = 0;

  constructor(private readonly options: ListenerOptions) {
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#warnings = new RateLimiter(options.clock);
    this.#budget = new ByteBudget(this.#limits.maxTotalQueueBytes, () => this.#relieve());
    this.#upgrader = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: this.#limits.maxMessageBytes,
    });
  }

  /** @throws Error of one line where an endpoint is unsafe or cannot be had; nothing listens then */
  async start(_signal?: AbortSignal): Promise<void> {
    const { endpoints, insecure } = this.options;
    const tls = this.options.tls && loadTls(this.options.tls);
    for (const endpoint of endpoints) assertSafeEndpoint(endpoint, { tls: tls !== undefined, insecure });
    try {
      for (const endpoint of endpoints)
        await this.#listen(HttpServer.create(endpoint, this.#serverOptions(tls)));
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#cancelPings = this.options.clock.every(this.#limits.idlePingMs, () => {
      for (const session of this.#sessions) session.checkAlive();
    });
  }

  /** Where it listens, with real ports, in the order of the configuration. */
  address(): readonly Endpoint[] {
    return this.#servers.map((server) => server.endpoint);
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** Idempotent. Sessions are told, may flush for `drainMs`, and are then ended. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#cancelPings?.();
    for (const server of this.#servers) server.stopAccepting();
    const allClosed = new Promise<void>((resolve) => (this.#onAllClosed = resolve));
    for (const session of this.#sessions)
      session.drain(CloseCode.goingAway, 'the agent is stopping', 'shutdown');
    if (this.#sessions.size > 0) await allClosed;
    await Promise.all(this.#servers.map((server) => server.close()));
  }

  /** Ends the session that holds the most, so that the others go on. */
  #relieve(): void {
    let most: Session | undefined;
    for (const session of this.#sessions) {
      if (session.state === 'open' && session.unsentBytes > (most?.unsentBytes ?? 0)) most = session;
    }
    most?.giveWay();
  }

  /** Connections that are no sessions yet are bounded too; they get time, not memory. */
  #serverOptions(tls: ReturnType<typeof loadTls> | undefined): Parameters<typeof HttpServer.create>[1] {
    const { handshakeTimeoutMs, maxSessions } = this.#limits;
    return { tls, handshakeTimeoutMs, maxConnections: 2 * maxSessions + 64 };
  }

  async #listen(http: HttpServer): Promise<void> {
    http.server.on('request', (request, response) => {
      page(request.method ?? '', request.url ?? '', this.options).then(
        (found) => sendPage(request, response, found),
        (error: unknown) => {
          this.options.log.error({ err: error }, 'a page could not be made');
          response.destroy();
        },
      );
    });
    http.server.on('tlsClientError', (error: Error) => this.#refused('tls', error.message));
    http.server.on('upgrade', (request, socket, head) => this.#upgrade(http, request, socket, head));
    await http.listen();
    // Accepting can fail later, as when files run out; that must not end the agent.
    http.server.on('error', (error) =>
      this.options.log.error({ err: error }, 'a connection was not accepted'),
    );
    this.#servers.push(http);
    this.options.log.info({ address: formatEndpoint(http.endpoint) }, 'listening');
  }

  #upgrade(http: HttpServer, request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Until ws takes it over nobody else listens for the socket's errors.
    const ignore = (): void => undefined;
    socket.on('error', ignore);
    const refusal = this.#refusal(request);
    if (refusal) {
      const { status, reason, text } = refusal;
      this.#refused(reason, text, request.headers.origin);
      refuseUpgrade(socket, status, `${text}\n`);
      return;
    }
    this.#upgrader.handleUpgrade(request, socket, head, (ws) => {
      socket.off('error', ignore);
      this.#open(http, ws, request.socket);
    });
  }

  #refused(reason: string, text: string, origin?: string): void {
    this.options.metrics.connections_refused_total.inc({ reason });
    this.#warnings.run(reason, (swallowed) =>
      this.options.log.warn({ origin, swallowed }, `refused a session: ${text}`),
    );
  }

  #refusal(request: IncomingMessage): { status: number; reason: string; text: string } | undefined {
    const { origin, host } = request.headers;
    if (!originAllowed(origin, host, this.options.allowedOrigins ?? [])) {
      return { status: 403, reason: 'origin', text: 'web pages may not connect to this agent' };
    }
    if (this.#stopping) return { status: 503, reason: 'stopping', text: 'the agent is stopping' };
    if (this.#sessions.size < this.#limits.maxSessions) return undefined;
    const text = `the agent serves ${this.#limits.maxSessions} sessions already, which is its limit`;
    return { status: 503, reason: 'sessions', text };
  }

  #open(http: HttpServer, ws: WebSocket, socket: Socket): void {
    const { handle, fanOut, clock, log, metrics } = this.options;
    const number = ++this.#connections;
    const name =
      'path' in http.endpoint
        ? `${formatEndpoint(http.endpoint)}#${number}`
        : formatEndpoint({ host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 });
    const onClosed = (session: Session): void => {
      this.#sessions.delete(session);
      metrics.sessions.set(this.#sessions.size);
      if (this.#sessions.size === 0) this.#onAllClosed?.();
    };
    const limits = this.#limits;
    const budget = this.#budget;
    this.#sessions.add(
      new Session({ ws, socket, name, handle, fanOut, budget, limits, clock, log, metrics, onClosed }),
    );
    metrics.sessions.set(this.#sessions.size);
    log.info({ peer: name }, 'session opened');
  }
}
