import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { textFromWords, vmIdFromWords, WordPool } from '../../../src/libvirt/string-pool.js';

/** Length word, bytes and padding, on a word boundary. */
function textWords(text: string): Int32Array {
  const bytes = Buffer.from(text);
  const packed = Buffer.alloc(4 + Math.ceil(bytes.length / 4) * 4);
  packed.writeUInt32BE(bytes.length, 0);
  bytes.copy(packed, 4);
  return new Int32Array(new Uint8Array(packed).buffer);
}

const roomy = { maxEntries: 1000, maxWords: 100_000, maxKeyWords: 1000 };

describe('WordPool', () => {
  it('makes a value once and returns the same one for equal words elsewhere', () => {
    let made = 0;
    const pool = new WordPool(() => ({ number: ++made }), roomy);
    const first = pool.get(Int32Array.of(1, 2, 3), 0, 3);
    assert.equal(pool.get(Int32Array.of(9, 1, 2, 3), 1, 3), first);
    assert.notEqual(pool.get(Int32Array.of(1, 2, 3), 0, 2), first);
    assert.equal(made, 2);
  });

  it('does not notice when the words it was given change', () => {
    const pool = new WordPool((words, start) => words[start], roomy);
    const words = Int32Array.of(7);
    pool.get(words, 0, 1);
    words[0] = 8;
    assert.equal(pool.get(words, 0, 1), 8);
    assert.equal(pool.get(Int32Array.of(7), 0, 1), 7);
  });

  it('holds an empty key', () => {
    const pool = new WordPool((_words, _start, length) => length, roomy);
    assert.equal(pool.get(new Int32Array(0), 0, 0), 0);
    assert.equal(pool.size, 1);
  });

  it('forgets everything where a limit would be passed, and goes on', () => {
    for (const limits of [
      { maxEntries: 10, maxWords: 1000, maxKeyWords: 10 },
      { maxEntries: 1000, maxWords: 20, maxKeyWords: 10 },
    ]) {
      const pool = new WordPool((words) => words[0], limits);
      for (let i = 0; i < 100; i++) {
        assert.equal(pool.get(Int32Array.of(i, 0), 0, 2), i);
        assert.ok(pool.size >= 1 && pool.size <= 10);
      }
    }
  });

  it('serves a key that is too long without keeping it', () => {
    const pool = new WordPool(textFromWords, { maxEntries: 10, maxWords: 100, maxKeyWords: 2 });
    const long = textWords('much too long');
    assert.equal(pool.get(long, 0, long.length), 'much too long');
    assert.equal(pool.size, 0);
  });

  it('returns for any sequence of texts each text itself', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme', maxLength: 12 }), { maxLength: 600 }), (texts) => {
        const pool = new WordPool(textFromWords, { maxEntries: 300, maxWords: 1000, maxKeyWords: 40 });
        for (const text of [...texts, ...texts]) {
          const words = textWords(text);
          assert.equal(pool.get(words, 0, words.length), text);
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe('vmIdFromWords', () => {
  it('spells the bytes of a UUID in order', () => {
    const bytes = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
    const words = new Int32Array(new Uint8Array([0, 0, 0, 0, ...bytes]).buffer);
    assert.equal(vmIdFromWords(words, 1, 4), '00112233-4455-6677-8899-aabbccddeeff');
  });
});
