import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { EventPosition } from '../../../src/api/peer.js';
import { EventFeed } from '../../../src/transport/event-feed.js';
import type { FanOut } from '../../../src/transport/fan-out.js';
import { makeFanOut, statusEvent, vmId } from './events.js';

/** A client as the wire would show it: what it was told by replies and sent as events. */
class Client {
  readonly feed: EventFeed;
  readonly seen: number[] = [];
  position: EventPosition | undefined;
  lost = 0;
  readonly #unanswered: (() => void)[] = [];

  constructor(fanOut: FanOut) {
    this.feed = new EventFeed(fanOut, {
      event: ({ seq }) => this.#take(seq),
      lost: () => this.lost++,
    });
  }

  /** The reply's content counts when the reply is sent. Where one is awaited, the place to resume is not known. */
  subscribe(resume: boolean): void {
    const { subscription, answered } = this.feed.subscribe(
      resume && this.#unanswered.length === 0 ? this.position : undefined,
    );
    this.#unanswered.push(() => {
      for (const { seq } of subscription.missed ?? []) this.#take(seq);
      if (subscription.missed) assert.equal(this.position?.seq, subscription.seq);
      this.position = { epoch: subscription.epoch, seq: subscription.seq };
      answered();
    });
  }

  /** Answers the oldest request; false where there is none. */
  answer(): boolean {
    const answer = this.#unanswered.shift();
    answer?.();
    return answer !== undefined;
  }

  #take(seq: number): void {
    assert.equal(seq, (this.position?.seq ?? NaN) + 1, 'each number once and in order');
    this.position = { epoch: this.position!.epoch, seq };
    this.seen.push(seq);
  }
}

describe("a session's feed", () => {
  it('delivers what was published between subscribing and the reply right after the reply', () => {
    const { fanOut } = makeFanOut();
    fanOut.publish(statusEvent(1));
    const client = new Client(fanOut);
    client.subscribe(false);
    fanOut.publish(statusEvent(1));
    fanOut.publish(statusEvent(2));
    assert.deepEqual(client.seen, []);
    client.answer();
    assert.deepEqual(client.seen, [2, 3]);
    fanOut.publish(statusEvent(1));
    assert.deepEqual(client.seen, [2, 3, 4]);
  });

  it('says that events are lost where the ring was overwritten before the reply', () => {
    const { fanOut } = makeFanOut({ ringEvents: 2 });
    const client = new Client(fanOut);
    client.subscribe(false);
    for (let n = 0; n < 3; n++) fanOut.publish(statusEvent(1));
    client.answer();
    assert.deepEqual([client.lost, client.seen], [1, []]);
  });

  it('stops in the middle of catching up when its target closes it', () => {
    const { fanOut } = makeFanOut();
    const seen: number[] = [];
    const feed: EventFeed = new EventFeed(fanOut, {
      event: ({ seq }) => {
        seen.push(seq);
        feed.unsubscribe();
      },
      lost: () => assert.fail('nothing is lost'),
    });
    const { answered } = feed.subscribe();
    fanOut.publish(statusEvent(1));
    fanOut.publish(statusEvent(1));
    answered();
    assert.deepEqual(seen, [1]);
  });

  it('tells whether there was a subscription to end', () => {
    const { fanOut } = makeFanOut();
    const client = new Client(fanOut);
    assert.equal(client.feed.unsubscribe(), false);
    client.subscribe(false);
    client.answer();
    assert.equal(client.feed.unsubscribe(), true);
    fanOut.publish(statusEvent(1));
    assert.deepEqual(client.seen, []);
  });

  it('gives each number once and in order, whatever is published, held, released, resumed and left', () => {
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ do: fc.constant('publish' as const), vm: fc.nat(2) }) },
      fc.record({ do: fc.constant('hold' as const), vm: fc.nat(2) }),
      fc.record({ do: fc.constant('release' as const), nth: fc.nat(3) }),
      fc.record({ do: fc.constant('subscribe' as const), who: fc.nat(1), resume: fc.boolean() }),
      { weight: 3, arbitrary: fc.record({ do: fc.constant('answer' as const), who: fc.nat(1) }) },
      fc.record({ do: fc.constant('unsubscribe' as const), who: fc.nat(1) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { fanOut } = makeFanOut();
        const published = [0, 0, 0];
        const sent: number[][] = [[], [], []];
        fanOut.attach({
          deliver: ({ bytes }) => {
            const { params } = JSON.parse(bytes.toString()) as {
              params: Record<string, { vm: number; n: number }>;
            };
            const { vm, n } = Object.values(params)[0]!;
            sent[vm]!.push(n);
          },
        });
        const clients = [new Client(fanOut), new Client(fanOut)];
        const releases: (() => void)[] = [];
        for (const now of steps) {
          if (now.do === 'publish')
            fanOut.publish(statusEvent(now.vm, { vm: now.vm, n: published[now.vm]!++ }));
          else if (now.do === 'hold') releases.push(fanOut.hold(vmId(now.vm)));
          else if (now.do === 'release') releases[now.nth]?.();
          else if (now.do === 'subscribe') clients[now.who]!.subscribe(now.resume);
          else if (now.do === 'answer') clients[now.who]!.answer();
          else clients[now.who]!.feed.unsubscribe();
        }
        for (const release of releases) release();
        sent.forEach((of, vm) =>
          assert.deepEqual(
            of,
            Array.from({ length: published[vm]! }, (_, n) => n),
          ),
        );
        // Whoever is subscribed and answered at the end has everything.
        for (const client of clients) {
          while (client.answer());
          if (client.feed.unsubscribe()) assert.equal(client.position?.seq, fanOut.seq);
        }
      }),
      { numRuns: 500 },
    );
  });
});
