/**
 * One connected peer: reads requests, queues replies and events in one order, and bounds what both may cost.
 *
 * - Requests: at most `maxInFlight` run at once, one is begun per turn of the event loop, so that a peer with many
 *   does not keep the others waiting, and none while more than half of the queue's bound is unsent; meanwhile the
 *   socket is not read, so the peer waits and not our memory.
 * - Events: in order, never dropped inside an open session. Where one does not fit into the bound, the session is
 *   closed with a reason and the client synchronises again.
 * - Every reply's `sent` is called exactly once, also when the session is gone by then.
 */
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { HandleMessage } from '../api/peer.js';
import type { Logger } from '../util/log.js';
import type { Metrics } from '../util/metrics.js';
import type { Clock } from '../util/time.js';
import type { ByteBudget } from './byte-budget.js';
import { EventFeed } from './event-feed.js';
import type { FanOut, PublishedEvent } from './fan-out.js';
import { Outbox } from './outbox.js';
import { RequestPeer } from './request-peer.js';

export const sessionStates = ['open', 'draining', 'closed'] as const;
export type SessionState = (typeof sessionStates)[number];

/**
 * open: serves. draining: takes nothing new, sends what is owed, then the close frame. closed: holds nothing.
 */
export const sessionTransitions: Readonly<Record<SessionState, readonly SessionState[]>> = {
  open: ['draining', 'closed'],
  draining: ['closed'],
  closed: [],
};

/** WebSocket close codes (RFC 6455 section 7.4 and its registry). */
export const CloseCode = { goingAway: 1001, internalError: 1011, tryAgainLater: 1013 } as const;

export interface SessionLimits {
  readonly maxInFlight: number;
  /** Bound of the unsent bytes; four times the last reply where that is more. */
  readonly maxQueueBytes: number;
  /** How long a session may take to flush and say goodbye when the agent stops. */
  readonly drainMs: number;
  /** The same for a session that is closed for reading too slowly: it may need a while to see why. */
  readonly overflowDrainMs: number;
}

export interface SessionOptions {
  readonly ws: WebSocket;
  /** The socket below `ws`. */
  readonly socket: Duplex;
  readonly name: string;
  readonly handle: HandleMessage;
  readonly fanOut: FanOut;
  readonly budget: ByteBudget;
  readonly limits: SessionLimits;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly onClosed: (session: Session) => void;
}

/** Pings without any sign of life in between, after which the peer counts as gone. */
const MAX_MISSED_PINGS = 2;

export class Session {
  readonly #ws: WebSocket;
  readonly #outbox: Outbox;
  readonly #feed: EventFeed;
  #state: SessionState = 'open';
  /** Read from the socket, not begun: at most what one chunk of the socket held. */
  #waiting: Buffer[] = [];
  #inFlight = 0;
  /** A request was begun in this turn of the event loop. */
  #hadTurn = false;
  #admitted = true;
  #lastReplyBytes = 0;
  #closeReason = 'client';
  #goodbye: { readonly code: number; readonly text: string } | undefined;
  #cancelDrainTimer: (() => void) | undefined;
  #heard = true;
  #flushedAtLastPing = 0;
  #missedPings = 0;

  constructor(private readonly options: SessionOptions) {
    this.#ws = options.ws;
    this.#outbox = new Outbox(options.ws, options.socket, () => this.#afterFlush(), options.budget);
    this.#feed = new EventFeed(options.fanOut, {
      event: (event) => this.#queueEvent(event),
      lost: () => this.#overflow('events were lost before delivery began'),
    });
    // nodebuffer is the binary type, and fragments are joined by ws: always one Buffer.
    this.#ws.on('message', (data) => this.#receive(data as Buffer));
    this.#ws.on('pong', () => (this.#heard = true));
    this.#ws.on('error', (error) => this.#failed(error));
    this.#ws.on('close', () => this.#closed());
  }

  get state(): SessionState {
    return this.#state;
  }

  get name(): string {
    return this.options.name;
  }

  /** Bytes that the peer has still to take. */
  get unsentBytes(): number {
    return this.#outbox.unsentBytes;
  }

  /** All sessions together hold more than they may, and this one the most. */
  giveWay(): void {
    if (this.#state === 'open')
      this.#overflow('all clients together read too slowly, and this one the slowest');
  }

  /** Once per ping interval: asks for a sign of life, and ends a session that gave none. */
  checkAlive(): void {
    if (this.#state === 'closed') return;
    const flushing = this.#outbox.flushedBytes !== this.#flushedAtLastPing;
    // What is not read because its requests keep us busy cannot be heard either.
    const busy = this.#inFlight >= this.options.limits.maxInFlight;
    this.#missedPings = this.#heard || flushing || busy ? 0 : this.#missedPings + 1;
    this.#heard = false;
    this.#flushedAtLastPing = this.#outbox.flushedBytes;
    if (this.#missedPings < MAX_MISSED_PINGS) {
      if (this.#ws.readyState === this.#ws.OPEN) this.#ws.ping();
      return;
    }
    this.#closeReason = 'silent';
    this.#ws.terminate();
  }

  /** Ends in order: running requests are answered, the queue is flushed, the close frame follows. */
  drain(code: number, text: string, reason: string, graceMs = this.options.limits.drainMs): void {
    if (!this.#move('draining')) return;
    this.#closeReason = reason;
    this.#goodbye = { code, text };
    this.#waiting = [];
    this.#feed.unsubscribe();
    this.#cancelDrainTimer = this.options.clock.after(graceMs, () => this.#ws.terminate());
    // The peer's close frame must be read, whatever stopped the reading before.
    this.#ws.resume();
    this.#finishWhenDrained();
  }

  #move(to: SessionState): boolean {
    if (!sessionTransitions[this.#state].includes(to)) return false;
    this.#state = to;
    return true;
  }

  #receive(message: Buffer): void {
    this.#heard = true;
    if (this.#state !== 'open') return;
    this.#waiting.push(message);
    this.#serve();
  }

  #serve(): void {
    if (this.#state !== 'open') return;
    if (!this.#hadTurn && this.#waiting.length > 0 && this.#admits()) {
      this.#hadTurn = true;
      setImmediate(() => {
        this.#hadTurn = false;
        this.#serve();
      });
      void this.#run(this.#waiting.shift()!);
    }
    const admits = this.#admits();
    if (this.#admitted && !admits) this.options.metrics.sessions_paused_total.inc();
    this.#admitted = admits;
    const read = admits && this.#waiting.length === 0;
    if (read === !this.#ws.isPaused) return;
    if (read) this.#ws.resume();
    else this.#ws.pause();
  }

  #admits(): boolean {
    const { unsentBytes } = this.#outbox;
    if (unsentBytes > 0 && this.options.budget.crowded) return false;
    return this.#inFlight < this.options.limits.maxInFlight && unsentBytes <= this.#bound() / 2;
  }

  #bound(): number {
    return Math.max(this.options.limits.maxQueueBytes, 4 * this.#lastReplyBytes);
  }

  async #run(message: Buffer): Promise<void> {
    this.#inFlight++;
    const peer = new RequestPeer(this.options.name, this.#feed);
    try {
      const reply = await this.options.handle(message, peer);
      if (reply) {
        if (this.#ws.readyState === this.#ws.OPEN) this.#queueReply(reply.pieces);
        reply.sent();
      }
    } catch (error) {
      this.options.log.error({ err: error, peer: this.options.name }, 'a request ended without an answer');
      this.drain(CloseCode.internalError, 'internal error', 'error');
    }
    if (this.#state !== 'open') this.#feed.unsubscribe();
    peer.answered();
    this.#inFlight--;
    this.#serve();
    this.#finishWhenDrained();
  }

  #queueReply(pieces: readonly Buffer[]): void {
    this.#lastReplyBytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    this.#outbox.push(pieces);
  }

  #queueEvent(event: PublishedEvent): void {
    if (this.#outbox.unsentBytes + event.bytes.length > this.#bound())
      this.#overflow('the client reads too slowly');
    else this.#outbox.push([event.bytes]);
  }

  /** What is queued would be stale after the new synchronisation: it is forgotten, so the reason comes soon. */
  #overflow(why: string): void {
    this.options.log.warn(
      { peer: this.options.name, unsentBytes: this.#outbox.unsentBytes },
      `closing a session: ${why}`,
    );
    this.#outbox.clear();
    const text = `event queue overflow, synchronise again: ${why}`;
    this.drain(CloseCode.tryAgainLater, text, 'overflow', this.options.limits.overflowDrainMs);
    this.#sayGoodbye();
  }

  #afterFlush(): void {
    this.#serve();
    this.#finishWhenDrained();
  }

  #finishWhenDrained(): void {
    if (this.#inFlight === 0 && this.#outbox.empty) this.#sayGoodbye();
  }

  #sayGoodbye(): void {
    if (this.#goodbye && this.#ws.readyState === this.#ws.OPEN) {
      this.#ws.close(this.#goodbye.code, this.#goodbye.text);
    }
  }

  /** ws closes the connection itself after an error: 1009 for a long message, 1002 or 1007 for a malformed one. */
  #failed(error: Error): void {
    this.#closeReason = 'error';
    this.options.metrics.requests_malformed_total.inc({ kind: 'websocket' });
    this.options.log.info({ peer: this.options.name, reason: error.message }, 'a session failed');
  }

  #closed(): void {
    if (!this.#move('closed')) return;
    this.#cancelDrainTimer?.();
    this.#feed.unsubscribe();
    this.#outbox.close();
    this.#waiting = [];
    this.options.metrics.sessions_closed_total.inc({ reason: this.#closeReason });
    this.options.log.info({ peer: this.options.name, reason: this.#closeReason }, 'session closed');
    this.options.onClosed(this);
  }
}
