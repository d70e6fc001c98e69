import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Scalar } from '../../../src/domain/stats.js';
import { createLayout, Op, OP_BITS, Table, TABLE_BITS } from '../../../src/libvirt/stats-layout.js';

/** Names and types as the decoder hands them over. */
function layoutOf(
  fields: readonly (readonly [name: string, type: number])[],
): ReturnType<typeof createLayout> {
  const parts = fields.map(([name, type]) => {
    const padded = Math.ceil(name.length / 4) * 4;
    const bytes = Buffer.alloc(4 + padded + 4);
    bytes.writeUInt32BE(name.length, 0);
    bytes.write(name, 4, 'latin1');
    bytes.writeUInt32BE(type, 4 + padded);
    return bytes;
  });
  const words = new Int32Array(new Uint8Array(Buffer.concat(parts)).buffer);
  return createLayout(words, 0, words.length);
}

function kinds(layout: ReturnType<typeof createLayout>): number[] {
  return [...layout.ops].map((op) => op & ((1 << OP_BITS) - 1));
}

describe('createLayout', () => {
  it('sends a known scalar to its column by the type it has on the wire', () => {
    const layout = layoutOf([
      ['cpu.time', 4],
      ['state.reason', 1],
    ]);
    assert.deepEqual(kinds(layout), [Op.u64, Op.i32]);
    assert.deepEqual(
      [...layout.destinations],
      [Scalar.cpuTime, Scalar.reason].map((column) => (column << TABLE_BITS) | Table.scalar),
    );
  });

  it('skips by size what it does not know and texts where a number belongs', () => {
    const layout = layoutOf([
      ['vcpu.0.exits.sum', 4],
      ['vcpu.0.blocking.cur', 6],
      ['perf.cmt', 7],
      ['cpu.time', 7],
      ['net.0.name', 1],
    ]);
    assert.deepEqual(kinds(layout), [Op.skip8, Op.skip4, Op.skipText, Op.skipText, Op.skip4]);
  });

  it('counts the words of a record whose texts are all empty', () => {
    const layout = layoutOf([
      ['a', 7],
      ['abcde', 4],
    ]);
    assert.equal(layout.minWords, 3 + 1 + 4 + 2);
  });

  it('compares of a counter per vCPU its length, the words of its prefix and its type', () => {
    const layout = layoutOf([
      ['vcpu.0.halt_poll_success_ns.sum', 4],
      ['vcpu.current', 2],
    ]);
    assert.deepEqual([...layout.gaps], [6, 0]);
    assert.deepEqual(
      [...layout.ops].map((op) => op >>> OP_BITS),
      [4, 5],
    );
    assert.equal(layout.words.length, 9);
    assert.equal(layout.minWords, 1 + 8 + 1 + 2 + (1 + 3 + 1 + 1));
  });

  it('gives rows by ascending index, and none to a disk without a name', () => {
    const layout = layoutOf([
      ['block.5.name', 7],
      ['block.2.capacity', 4],
      ['block.3.name', 7],
      ['net.9.rx.bytes', 4],
      ['net.1.unheard-of', 4],
    ]);
    assert.equal(layout.blocks, 2);
    assert.equal(layout.nets, 2);
    assert.deepEqual(kinds(layout), [Op.blockName, Op.skip8, Op.blockName, Op.u64, Op.skip8]);
    assert.equal(layout.destinations[0], 1);
    assert.equal(layout.destinations[2], 0);
  });

  it('takes names over 79 bytes for unknown', () => {
    assert.deepEqual(kinds(layoutOf([[`net.0.${'x'.repeat(74)}`, 4]])), [Op.skip8]);
    assert.equal(layoutOf([[`net.0.${'x'.repeat(74)}`, 4]]).nets, 0);
  });
});
