import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { chunks, defaultShardSize, planShards } from '../../../src/sampler/shards.js';

describe('shards', () => {
  it('hold every item once, in order, in parts of almost equal length', () => {
    fc.assert(
      fc.property(fc.array(fc.integer()), fc.integer({ min: 1, max: 20 }), (items, size) => {
        const parts = chunks(items, size);
        assert.deepEqual(parts.flat(), items);
        const lengths = parts.map((part) => part.length);
        assert.ok(lengths.every((length) => length > 0 && length <= size));
        assert.ok(lengths.length === 0 || Math.max(...lengths) - Math.min(...lengths) <= 1);
      }),
    );
  });

  it('put each suspect alone, after all others', () => {
    assert.deepEqual(
      planShards([1, 2, 3, 4, 5], 2, (n) => n === 2 || n === 3),
      [[1], [4, 5], [2], [3]],
    );
  });

  it('grow with the number of VMs, within bounds', () => {
    assert.deepEqual(
      [1, 70, 500, 1000, 6000, 100_000].map((count) => defaultShardSize(count, 4)),
      [8, 8, 8, 16, 64, 64],
    );
  });
});
