import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PacketWords, wordsOf } from '../../../src/libvirt/packet-words.js';
import { WireError } from '../../../src/libvirt/wire.js';

/** A packet of these words. */
function packet(...words: number[]): Buffer {
  const buffer = Buffer.allocUnsafeSlow(words.length * 4);
  words.forEach((word, i) => buffer.writeUInt32BE(word, i * 4));
  return buffer;
}

describe('PacketWords', () => {
  it('counts words from the body on, not from the packet', () => {
    const source = new PacketWords(packet(9, 9, 0x01020304), 8);
    assert.equal(source.left, 1);
    assert.equal(source.data.getUint32(0), 0x01020304);
  });

  it('sees the same words wherever the packet lies in memory', () => {
    const bytes = packet(1, 2, 3);
    for (let shift = 0; shift < 4; shift++) {
      const moved = Buffer.alloc(bytes.length + shift);
      bytes.copy(moved, shift);
      assert.deepEqual(
        [...new PacketWords(moved.subarray(shift), 0).words],
        [...new PacketWords(bytes, 0).words],
      );
    }
  });

  it('takes a count that can fit, and refuses one that cannot', () => {
    const source = new PacketWords(packet(2, 0, 0, 0, 0), 0);
    assert.equal(source.count(2, 'things'), 2);
    assert.equal(source.at, 1);
    assert.throws(() => new PacketWords(packet(2, 0, 0, 0), 0).count(2, 'things'), WireError);
    assert.throws(() => new PacketWords(packet(), 0).count(1, 'things'), /no count of things/);
  });

  it('steps over a text with its padding, and refuses one that is longer than the body', () => {
    const source = new PacketWords(packet(5, 0, 0, 7), 0);
    source.skipText('name');
    assert.equal(source.at, 3);
    assert.throws(() => source.skipText('name'), /name of 7 bytes does not fit .*at byte 12/);
    assert.throws(() => new PacketWords(packet(0xffff_ffff), 0).skipText('name'), WireError);
  });

  it('refuses a body that is no whole number of words', () => {
    assert.throws(() => new PacketWords(packet(1, 2).subarray(0, 7), 0), WireError);
  });

  it('rounds bytes up to words, for the largest length too', () => {
    assert.deepEqual([0, 1, 4, 5, 0xffff_ffff].map(wordsOf), [0, 1, 1, 2, 0x4000_0000]);
  });
});
