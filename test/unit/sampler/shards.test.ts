import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { chunks, defaultShardSize, isSlow, pacedBy, planShards } from '../../../src/sampler/shards.js';

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

  it('hold every VM that is not slow once, in order, within both limits', () => {
    const vm = fc.record({ serviceMs: fc.double({ min: 0, max: 200, noNaN: true }) });
    fc.assert(
      fc.property(fc.array(vm), fc.integer({ min: 1, max: 20 }), (vms, size) => {
        const targetMs = 100;
        const shards = planShards(vms, { size, targetMs });
        assert.deepEqual(
          shards.flat(),
          vms.filter((each) => !isSlow(each, targetMs)),
        );
        for (const shard of shards) {
          assert.ok(shard.length > 0 && shard.length <= size);
          assert.ok(shard.length === 1 || shard.reduce((ms, { serviceMs }) => ms + serviceMs, 0) <= targetMs);
        }
      }),
    );
  });

  it('shrink where QEMUs take their time', () => {
    const vms = [10, 10, 10, 60, 60, 90, 300].map((serviceMs) => ({ serviceMs }));
    assert.deepEqual(
      planShards(vms, { size: 8, targetMs: 100 }).map((shard) => shard.map(({ serviceMs }) => serviceMs)),
      [[10, 10, 10, 60], [60], [90]],
    );
  });

  it('believe at once that a VM is slow, and forget it within a few answers', () => {
    assert.equal(pacedBy(1, 1001), 501);
    let serviceMs = 1000;
    for (let answer = 0; answer < 10; answer++) serviceMs = pacedBy(serviceMs, 1);
    assert.equal(serviceMs, 1);
  });

  it('grow with the number of VMs, within bounds', () => {
    assert.deepEqual(
      [1, 70, 500, 1000, 6000, 100_000].map((count) => defaultShardSize(count, 4)),
      [8, 8, 8, 16, 64, 64],
    );
  });
});
