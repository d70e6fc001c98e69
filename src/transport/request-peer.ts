/**
 * The peer as one request sees it, so that delivery of events begins with the reply to that request and not to another.
 */
import type { EventPosition, Peer, Subscription } from '../api/peer.js';
import type { EventFeed } from './event-feed.js';

export class RequestPeer implements Peer {
  readonly #subscribed: (() => void)[] = [];

  constructor(
    readonly name: string,
    private readonly feed: EventFeed,
  ) {}

  subscribe(resume?: EventPosition): Subscription {
    const { subscription, answered } = this.feed.subscribe(resume);
    this.#subscribed.push(answered);
    return subscription;
  }

  unsubscribe(): boolean {
    return this.feed.unsubscribe();
  }

  /** The request's reply is in the queue, or there is none. */
  answered(): void {
    for (const answered of this.#subscribed) answered();
  }
}
