import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PacketPool } from '../../../src/libvirt/packet-pool.js';

const memoryOf = (packet: Buffer): ArrayBufferLike => packet.buffer;

describe('the memory of packets', () => {
  it('is used again for a packet of about the same size, once', () => {
    const pool = new PacketPool();
    const first = pool.take(200_000);
    pool.give(first);
    const second = pool.take(190_000);
    assert.equal(memoryOf(second), memoryOf(first));
    assert.equal(second.length, 190_000);
    assert.equal(second.byteOffset, 0);
    assert.notEqual(memoryOf(pool.take(190_000)), memoryOf(first));
  });

  it('is nobody else’s while it is not given back', () => {
    const pool = new PacketPool();
    assert.notEqual(memoryOf(pool.take(100_000)), memoryOf(pool.take(100_000)));
  });

  it('is not kept for small packets, nor spent on much smaller ones', () => {
    const pool = new PacketPool();
    const small = pool.take(100);
    assert.equal(memoryOf(small).byteLength, 100);
    pool.give(small);
    assert.notEqual(memoryOf(pool.take(100)), memoryOf(small));
    const large = pool.take(1_000_000);
    pool.give(large);
    assert.notEqual(memoryOf(pool.take(20_000)), memoryOf(large));
  });

  it('is kept up to a bound, and there are packets beyond it', () => {
    const pool = new PacketPool();
    const huge = pool.take(20_000_000);
    assert.equal(huge.length, 20_000_000);
    pool.give(huge);
    assert.notEqual(memoryOf(pool.take(20_000_000)), memoryOf(huge));
    const packets = Array.from({ length: 8 }, () => pool.take(1_000_000));
    for (const packet of packets) pool.give(packet);
    const known = new Set(packets.map(memoryOf));
    const again = packets.map(() => memoryOf(pool.take(1_000_000)));
    assert.equal(again.filter((memory) => known.has(memory)).length, 4);
  });
});
