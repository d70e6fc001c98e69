import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { EventRing } from '../../../src/transport/event-ring.js';

const entry = (seq: number, size = 10): { seq: number; bytes: Buffer } => ({
  seq,
  bytes: Buffer.alloc(size),
});

describe('the event ring', () => {
  it('gives nothing missed to whom has everything, from the beginning on', () => {
    const ring = new EventRing(4, 1000);
    assert.deepEqual(ring.since(0), []);
    ring.push(entry(1));
    assert.deepEqual(ring.since(1), []);
  });

  it('does not know numbers that were never given out', () => {
    const ring = new EventRing(4, 1000);
    for (const seq of [1, -1, 0.5, NaN, Infinity]) assert.equal(ring.since(seq), undefined);
  });

  it('refuses a gap in the numbers', () => {
    assert.throws(() => new EventRing(4, 1000).push(entry(2)), RangeError);
  });

  it('is empty, and still counts, after an event larger than all of it', () => {
    const ring = new EventRing(4, 100);
    ring.push(entry(1));
    ring.push(entry(2, 101));
    assert.equal(ring.bytes, 0);
    assert.equal(ring.since(1), undefined);
    assert.deepEqual(ring.since(2), []);
    ring.push(entry(3));
    assert.deepEqual(
      ring.since(2)?.map(({ seq }) => seq),
      [3],
    );
  });

  it('holds the longest run of last events that both bounds allow', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 0, max: 60 }),
        fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 40 }),
        (maxEvents, maxBytes, sizes) => {
          const ring = new EventRing(maxEvents, maxBytes);
          const kept: { seq: number; bytes: Buffer }[] = [];
          const bytes = (): number => kept.reduce((sum, { bytes: { length } }) => sum + length, 0);
          sizes.forEach((size, index) => {
            ring.push(entry(index + 1, size));
            kept.push(entry(index + 1, size));
            while (kept.length > maxEvents || bytes() > maxBytes) kept.shift();
            assert.equal(ring.newest, index + 1);
            assert.equal(ring.bytes, bytes());
          });
          for (let seq = 0; seq <= sizes.length; seq++) {
            const expected = kept.filter((event) => event.seq > seq);
            const complete = expected.length === sizes.length - seq;
            assert.deepEqual(ring.since(seq), complete ? expected : undefined);
          }
        },
      ),
    );
  });
});
