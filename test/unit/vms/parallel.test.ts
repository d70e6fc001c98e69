import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chunksOf, forEachLimited, inTurns, nextTurn, Slots } from '../../../src/vms/parallel.js';

describe('forEachLimited', () => {
  it('takes every item once, never more than the width at a time', async () => {
    let running = 0;
    let peak = 0;
    const seen: number[] = [];
    await forEachLimited([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
      peak = Math.max(peak, ++running);
      await nextTurn();
      seen.push(item);
      running--;
    });
    assert.deepEqual(seen, [1, 2, 3, 4, 5, 6, 7]);
    assert.equal(peak, 3);
  });

  it('fails with the first error', async () => {
    await assert.rejects(
      forEachLimited([1, 2], 2, (item) => Promise.reject(new Error(`item ${item}`))),
      /item 1/,
    );
  });
});

describe('inTurns', () => {
  it('visits every item in order and lets others have their turn after each thousand', async () => {
    let turns = 0;
    const tick = (): void => {
      turns++;
      pending = setImmediate(tick);
    };
    let pending = setImmediate(tick);
    const seen: number[] = [];
    await inTurns(
      Array.from({ length: 3000 }, (_, i) => i * 2),
      (item, index) => seen.push(item - index),
    );
    clearImmediate(pending);
    assert.deepEqual(
      seen,
      Array.from({ length: 3000 }, (_, i) => i),
    );
    assert.ok(turns >= 2, `${turns} turns`);
  });
});

describe('chunksOf', () => {
  it('cuts a list into pieces whose last may be shorter', () => {
    assert.deepEqual([...chunksOf([1, 2, 3, 4, 5], 2)], [[1, 2], [3, 4], [5]]);
    assert.deepEqual([...chunksOf([], 2)], []);
  });
});

describe('Slots', () => {
  it('lets as many run as it has, the others in line, and frees the slot of one that fails', async () => {
    const slots = new Slots(2);
    const order: string[] = [];
    const task = (name: string, fails = false) =>
      slots.run(async () => {
        order.push(`${name} begins`);
        await nextTurn();
        if (fails) throw new Error(name);
      });
    const outcomes = await Promise.allSettled([task('a', true), task('b', true), task('c'), task('d')]);
    assert.deepEqual(order, ['a begins', 'b begins', 'c begins', 'd begins']);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['rejected', 'rejected', 'fulfilled', 'fulfilled'],
    );
    await slots.run(() => Promise.resolve());
  });
});
