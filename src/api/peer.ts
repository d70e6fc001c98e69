/**
 * What the API sees of a connected client, and what the transport sees of the API. Neither knows more of the other.
 */
import type { AgentEvent } from '../domain/vm.js';
import type { VmId } from '../domain/ids.js';

/** A point in the sequence of events. `epoch` names one run of the agent, `seq` counts its events from 1. */
export interface EventPosition {
  readonly epoch: string;
  readonly seq: number;
}

/** An event with its number, as a resuming client gets it. */
export interface NumberedEvent {
  readonly seq: number;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** `missed` is absent where the gap cannot be filled from the ring: the client needs a snapshot. */
export interface Subscription extends EventPosition {
  readonly missed?: readonly NumberedEvent[];
}

/** One connected client. */
export interface Peer {
  /** For logs: address and port, or the UNIX socket's path. */
  readonly name: string;
  /**
   * Subscribes to events after the returned `seq`. Delivery begins when the reply of the running request has been
   * queued (Reply.sent), so no event overtakes the reply; none between the two is lost. Repeating replaces.
   */
  subscribe(resume?: EventPosition): Subscription;
  /** False where there was no subscription. */
  unsubscribe(): boolean;
}

/** Bytes of one JSON text, in pieces that are sent as one message. */
export interface Reply {
  readonly pieces: readonly Buffer[];
  /** The transport calls it once, after the reply was queued or the session was found closed. */
  sent(): void;
}

/** Implemented by the dispatcher. Resolves to undefined where nothing is to be answered; never rejects. */
export type HandleMessage = (message: Buffer, peer: Peer) => Promise<Reply | undefined>;

/** Implemented by the fan-out. */
export interface EventSink {
  publish(event: AgentEvent): void;
  /**
   * Holds back this VM's events, in order, until the returned release is called: they get their numbers then.
   * Holds nest. Events of other VMs go on.
   */
  hold(id: VmId): () => void;
}
