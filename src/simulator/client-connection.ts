/**
 * One client's socket, as the daemon treats it: at five unanswered calls it stops reading, so that not even
 * a PONG is seen until a reply has gone out; keepalive for clients that asked for it; event registrations
 * and streams that end with it.
 *
 * Invariants: packets are handled in the order they came; nothing is written after the socket has ended;
 * bytes that break the framing end the connection without a reply.
 */
import type { Socket } from 'node:net';
import {
  Keepalive,
  PacketSplitter,
  PacketType,
  Program,
  PROTOCOL_VERSION,
  keepalivePacket,
} from '../libvirt/wire.js';
import type { PacketHeader } from '../libvirt/wire.js';
import type { Clock } from '../util/time.js';
import type { CallSession } from './call.js';
import type { Answer } from './dispatch.js';
import { Downloads } from './downloads.js';
import type { SimulatedDomain } from './domain.js';
import { eventIdOf, eventPacket } from './event-packets.js';
import type { HostEvent } from './events.js';
import { Fault } from './fault.js';

export const MAX_CLIENT_REQUESTS = 5;
const KEEPALIVE_INTERVAL_MS = 5000;
const KEEPALIVE_COUNT = 5;

interface Registration {
  readonly eventId: number;
  readonly uuid: string | undefined;
}

export interface ConnectionDeps {
  readonly clock: Clock;
  /** Runs a call on a worker; `reply` may be called at any later time, once. */
  readonly submit: (header: PacketHeader, packet: Buffer, reply: (answer: Answer) => void) => void;
  readonly nextCallbackId: () => number;
  /** A last look at each outgoing packet; undefined drops it. */
  readonly mutatePacket: ((packet: Buffer) => Buffer | undefined) | undefined;
  readonly onEnd: () => void;
}

export class ClientConnection implements CallSession {
  uri: string | undefined;
  readOnly = false;
  /** Destroyed when the connection ends (AUTODESTROY). */
  readonly ownedDomains = new Set<SimulatedDomain>();
  readonly #registrations = new Map<number, Registration>();
  readonly #downloads = new Downloads((packet) => this.#send(packet));
  readonly #backlog: { header: PacketHeader; packet: Buffer }[] = [];
  readonly #splitter = new PacketSplitter((header, packet) => this.#backlog.push({ header, packet }));
  #unanswered = 0;
  #draining = false;
  #closing = false;
  #ended = false;
  #lastHeardMs: number;
  #unansweredPings = 0;
  #stopKeepalive: (() => void) | undefined;

  constructor(
    private readonly socket: Socket,
    private readonly deps: ConnectionDeps,
  ) {
    this.#lastHeardMs = deps.clock.nowMs();
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#onClose());
  }

  /** Calls that have no reply yet, at most MAX_CLIENT_REQUESTS. */
  get unanswered(): number {
    return this.#unanswered;
  }

  destroy(): void {
    this.socket.destroy();
  }

  startKeepalive(): void {
    this.#stopKeepalive ??= this.deps.clock.every(KEEPALIVE_INTERVAL_MS / 5, () => this.#checkKeepalive());
  }

  registerEvent(eventId: number, uuid: string | undefined): number {
    for (const known of this.#registrations.values()) {
      if (known.eventId === eventId && known.uuid === uuid) {
        throw new Fault('invalid-argument', `domain event callback for event ${eventId} already registered`);
      }
    }
    const callbackId = this.deps.nextCallbackId();
    this.#registrations.set(callbackId, { eventId, uuid });
    return callbackId;
  }

  deregisterEvent(callbackId: number): void {
    if (!this.#registrations.delete(callbackId)) {
      throw new Fault('internal', `domain event callback ${callbackId} not registered`);
    }
  }

  ownDomain(domain: SimulatedDomain): void {
    this.ownedDomains.add(domain);
  }

  closeAfterReply(): void {
    this.#closing = true;
  }

  tell(event: HostEvent): void {
    const eventId = eventIdOf(event);
    for (const [callbackId, { eventId: wanted, uuid }] of this.#registrations) {
      if (wanted !== eventId || (uuid !== undefined && uuid !== event.domain.uuid)) continue;
      this.#send(eventPacket(event, callbackId));
    }
  }

  #onData(chunk: Buffer): void {
    this.#lastHeardMs = this.deps.clock.nowMs();
    this.#unansweredPings = 0;
    try {
      this.#splitter.push(chunk);
    } catch {
      this.socket.destroy();
      return;
    }
    this.#drain();
  }

  /** Handles what was read, as far as the limit of unanswered calls allows. */
  #drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    let next = 0;
    while (next < this.#backlog.length && this.#unanswered < MAX_CLIENT_REQUESTS && !this.#closing) {
      const { header, packet } = this.#backlog[next++]!;
      this.#handle(header, packet);
    }
    this.#backlog.splice(0, next);
    this.#draining = false;
    if (this.#ended) return;
    if (this.#unanswered >= MAX_CLIENT_REQUESTS) this.socket.pause();
    else if (this.socket.isPaused()) this.socket.resume();
  }

  #handle(header: PacketHeader, packet: Buffer): void {
    if (header.program === Program.keepalive) {
      const isPing = header.type === PacketType.event && header.procedure === Keepalive.ping;
      if (isPing && header.version === PROTOCOL_VERSION) this.#send(keepalivePacket(Keepalive.pong));
      return;
    }
    if (header.type === PacketType.stream) {
      this.#downloads.receive(header);
      return;
    }
    // Replies and events are none of a client's business: libvirt ignores them, too.
    if (header.type !== PacketType.call && header.type !== PacketType.callWithFds) return;
    this.#unanswered++;
    this.deps.submit(header, packet, (reply) => this.#reply(reply));
  }

  #reply(packet: Answer): void {
    this.#unanswered--;
    if (!packet) {
      this.socket.destroy();
      return;
    }
    if (Buffer.isBuffer(packet)) this.#send(packet);
    else {
      this.#send(packet.reply);
      if (!this.#downloads.start(packet)) this.socket.destroy();
    }
    if (this.#closing) this.socket.end();
    else this.#drain();
  }

  #send(packet: Buffer): void {
    if (this.#ended || !this.socket.writable) return;
    const mutated = this.deps.mutatePacket ? this.deps.mutatePacket(packet) : packet;
    if (mutated) this.socket.write(mutated);
  }

  #checkKeepalive(): void {
    const silentMs = this.deps.clock.nowMs() - this.#lastHeardMs;
    if (silentMs < KEEPALIVE_INTERVAL_MS * (this.#unansweredPings + 1)) return;
    if (this.#unansweredPings >= KEEPALIVE_COUNT) {
      this.socket.destroy();
      return;
    }
    this.#unansweredPings++;
    this.#send(keepalivePacket(Keepalive.ping));
  }

  #onClose(): void {
    this.#ended = true;
    this.#stopKeepalive?.();
    this.#registrations.clear();
    this.#backlog.length = 0;
    this.deps.onEnd();
  }
}
