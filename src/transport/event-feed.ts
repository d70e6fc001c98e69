/**
 * One session's place in the stream of events. Sits between the fan-out and the session's queue.
 *
 * Invariant: after the last reply to a subscribe request, the client gets every event after the position which that
 * reply names, each once and in order. While such a reply is on its way nothing is delivered; what was published
 * meanwhile is then read from the ring.
 */
import type { EventPosition, Subscription } from '../api/peer.js';
import type { FanOut, PublishedEvent, Subscriber } from './fan-out.js';

export interface FeedTarget {
  /** Queue this event; the feed may be closed from inside. */
  event(event: PublishedEvent): void;
  /** Events between the reply and now are gone: the session cannot go on. */
  lost(): void;
}

export class EventFeed implements Subscriber {
  #detach: (() => void) | undefined;
  /** Number of the last event that the client has, or was promised to have. */
  #cursor = 0;
  /** Subscribe requests whose reply is not queued yet. */
  #unanswered = 0;

  constructor(
    private readonly fanOut: FanOut,
    private readonly target: FeedTarget,
  ) {}

  /**
   * Repeating replaces. Delivery waits until the returned `answered` was called once: exactly when the request's
   * reply is in the queue.
   */
  subscribe(resume?: EventPosition): { readonly subscription: Subscription; readonly answered: () => void } {
    const missed = resume && this.fanOut.resume(resume);
    this.#cursor = this.fanOut.seq;
    this.#unanswered++;
    this.#detach ??= this.fanOut.attach(this);
    const subscription = { epoch: this.fanOut.epoch, seq: this.#cursor, ...(missed && { missed }) };
    return {
      subscription,
      answered: () => {
        this.#unanswered--;
        this.#catchUp();
      },
    };
  }

  /** Idempotent; false where there was no subscription. */
  unsubscribe(): boolean {
    const subscribed = this.#detach !== undefined;
    this.#detach?.();
    this.#detach = undefined;
    return subscribed;
  }

  /** An event was not taken: nothing may be delivered behind the hole. */
  failed(): void {
    this.#detach = undefined;
    this.target.lost();
  }

  deliver(event: PublishedEvent): void {
    if (this.#unanswered > 0) return;
    this.#cursor = event.seq;
    this.target.event(event);
  }

  #catchUp(): void {
    if (this.#unanswered > 0 || !this.#detach) return;
    const events = this.fanOut.since(this.#cursor);
    if (!events) {
      this.target.lost();
      return;
    }
    for (const event of events) {
      if (!this.#isOpen()) return;
      this.deliver(event);
    }
  }

  #isOpen(): boolean {
    return this.#detach !== undefined;
  }
}
