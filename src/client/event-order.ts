/**
 * Puts an agent's numbered events in order: what came while a subscription was under way waits, duplicates
 * fall away, and a hole in the numbers is told instead of passed over. Pure; vm-monitor.ts does the calls.
 *
 * Invariant: between two positions every event was handed on exactly once, in order, or `gap` was returned.
 */
import type { EventPosition, NumberedEvent } from '../protocol/schema-types.js';
import type { AgentEventMessage } from './client.js';

/** Answer to Agent.subscribe: `missed` where the gap could be filled, else `vms`, everything anew. */
export interface SubscribeReply extends EventPosition {
  readonly missed?: readonly NumberedEvent[];
  readonly vms?: readonly unknown[];
}

export type Ordered = readonly AgentEventMessage[] | 'gap';

export class EventOrder {
  #position: EventPosition | undefined;
  /** Present while a subscription is under way. Bounded by that call's deadline. */
  #waiting: AgentEventMessage[] | undefined = [];
  #duplicates = 0;

  get position(): EventPosition | undefined {
    return this.#position;
  }

  get duplicates(): number {
    return this.#duplicates;
  }

  /** A subscription is about to be asked for: events wait from now on. */
  subscribing(): void {
    this.#waiting ??= [];
  }

  /** An event from the wire: returns what is to be applied now. Unnumbered events pass without order. */
  event(event: AgentEventMessage): Ordered {
    if (this.#waiting) {
      this.#waiting.push(event);
      return [];
    }
    if (event.seq === undefined) return [event];
    const expected = (this.#position?.seq ?? 0) + 1;
    if (event.seq < expected) {
      this.#duplicates++;
      return [];
    }
    if (event.seq > expected) return 'gap';
    this.#position = { epoch: this.#position?.epoch ?? '', seq: event.seq };
    return [event];
  }

  /**
   * The answer to a subscription. Returns the missed events, then those that waited; 'gap' where they do not join:
   * subscribe again, without resuming.
   */
  subscribed(reply: SubscribeReply): Ordered {
    if (reply.missed && !this.#joins(reply, reply.missed)) return 'gap';
    this.#position = { epoch: reply.epoch, seq: reply.seq };
    const result: AgentEventMessage[] = [...(reply.missed ?? [])];
    const waited = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const event of waited) {
      const next = this.event(event);
      if (next === 'gap') return 'gap';
      result.push(...next);
    }
    return result;
  }

  #joins(reply: SubscribeReply, missed: readonly NumberedEvent[]): boolean {
    const from = this.#position;
    if (from?.epoch !== reply.epoch) return false;
    return (
      missed.every((event, index) => event.seq === from.seq + 1 + index) &&
      reply.seq === from.seq + missed.length
    );
  }
}

/** @throws TypeError where the answer has not the promised shape */
export function parseSubscribeReply(reply: unknown): SubscribeReply {
  const { epoch, seq, missed, vms } = (reply ?? {}) as Record<string, unknown>;
  if (typeof epoch !== 'string' || !Number.isSafeInteger(seq)) {
    throw new TypeError('the answer to Agent.subscribe has no epoch and seq');
  }
  if (!Array.isArray(missed) && !Array.isArray(vms)) {
    throw new TypeError('the answer to Agent.subscribe has neither missed events nor a snapshot');
  }
  if (Array.isArray(missed)) return { epoch, seq: seq as number, missed: missed as NumberedEvent[] };
  return { epoch, seq: seq as number, vms: vms as unknown[] };
}
