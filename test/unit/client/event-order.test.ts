import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { EventOrder, parseSubscribeReply } from '../../../src/client/event-order.js';
import type { Ordered } from '../../../src/client/event-order.js';

const event = (seq: number): { seq: number; method: string; params: Record<string, unknown> } => ({
  seq,
  method: '|virt|VM_status|u',
  params: {},
});
const seqs = (ordered: Ordered): unknown => (ordered === 'gap' ? 'gap' : ordered.map((each) => each.seq));
const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from) }, (_, at) => from + at);

function subscribedAt(seq: number): EventOrder {
  const order = new EventOrder();
  order.subscribed({ epoch: 'e', seq, vms: [] });
  return order;
}

describe('EventOrder', () => {
  it('holds events back until the subscription is answered, then gives those that are newer', () => {
    const order = new EventOrder();
    assert.deepEqual(order.event(event(4)), []);
    assert.deepEqual(order.event(event(5)), []);
    assert.deepEqual(seqs(order.subscribed({ epoch: 'e', seq: 4, vms: [] })), [5]);
    assert.deepEqual(order.position, { epoch: 'e', seq: 5 });
  });

  it('drops duplicates and tells a gap without moving on', () => {
    const order = subscribedAt(4);
    assert.deepEqual(seqs(order.event(event(4))), []);
    assert.deepEqual(seqs(order.event(event(5))), [5]);
    assert.equal(order.event(event(7)), 'gap');
    assert.deepEqual(order.position, { epoch: 'e', seq: 5 });
    assert.equal(order.duplicates, 1);
  });

  it('replays what was missed before what came meanwhile', () => {
    const order = subscribedAt(4);
    order.subscribing();
    order.event(event(7));
    const reply = {
      epoch: 'e',
      seq: 6,
      missed: [event(5), event(6)],
    };
    assert.deepEqual(seqs(order.subscribed(reply)), [5, 6, 7]);
  });

  for (const [name, reply] of [
    ['another epoch', { epoch: 'f', seq: 5, missed: [event(5)] }],
    ['a hole at the start', { epoch: 'e', seq: 6, missed: [event(6)] }],
    ['a hole at the end', { epoch: 'e', seq: 6, missed: [event(5)] }],
  ] as const) {
    it(`tells a gap where the missed events do not join: ${name}`, () => {
      const order = subscribedAt(4);
      order.subscribing();
      assert.equal(order.subscribed(reply), 'gap');
    });
  }

  it('passes events without a number at any time', () => {
    assert.equal((subscribedAt(1).event({ method: 'm', params: {} }) as unknown[]).length, 1);
  });

  it('delivers every event exactly once and in order, wherever the connection breaks', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ live: fc.nat(5), lost: fc.nat(5), early: fc.nat(2) }), { maxLength: 8 }),
        (rounds) => {
          const order = subscribedAt(0);
          const seen: unknown[] = [];
          let sent = 0;
          for (const { live, lost, early } of rounds) {
            for (const seq of range(sent + 1, sent + 1 + live))
              seen.push(...(seqs(order.event(event(seq))) as number[]));
            const from = sent + live;
            sent = from + lost;
            order.subscribing();
            for (const seq of range(sent + 1, sent + 1 + early)) order.event(event(seq));
            const missed = range(from + 1, sent + 1).map((seq) => event(seq));
            seen.push(...(seqs(order.subscribed({ epoch: 'e', seq: sent, missed })) as number[]));
            sent += early;
          }
          assert.deepEqual(seen, range(1, sent + 1));
        },
      ),
    );
  });
});

describe('parseSubscribeReply', () => {
  for (const reply of [
    undefined,
    null,
    5,
    {},
    { epoch: 'e' },
    { epoch: 'e', seq: 1.5, vms: [] },
    { epoch: 'e', seq: 1 },
  ]) {
    it(`refuses ${JSON.stringify(reply)}`, () => {
      assert.throws(() => parseSubscribeReply(reply), TypeError);
    });
  }

  it('prefers missed events to a snapshot', () => {
    assert.deepEqual(parseSubscribeReply({ epoch: 'e', seq: 1, missed: [], vms: [] }), {
      epoch: 'e',
      seq: 1,
      missed: [],
    });
  });
});
