import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { typeText, wrap } from '../../../../src/client/cli/help.js';
import { durationText } from '../../../../src/client/cli/list.js';

describe('texts of the command line', () => {
  for (const [seconds, text] of [
    [0, '0s'],
    [0.9, '0s'],
    [59, '59s'],
    [60, '1m'],
    [61, '1m1s'],
    [3600, '1h'],
    [3605, '1h'],
    [86_399, '23h59m'],
    [90_000, '1d1h'],
  ] as const) {
    it(`writes ${seconds} s as ${text}`, () => {
      assert.equal(durationText(seconds), text);
    });
  }

  it('names types as people do', () => {
    assert.equal(typeText({ type: 'array', items: { type: 'string' } }), 'array of string');
    assert.equal(typeText({ enum: ['a', 'b'] }), '"a" | "b"');
    assert.equal(typeText({ const: true }), 'true');
    assert.equal(typeText({ $ref: 'types.json#/$defs/EventPosition' }), 'object');
  });

  it('wraps without losing a word or exceeding the width', () => {
    const words = fc.array(fc.stringMatching(/^[a-z]{1,9}$/), { minLength: 1 });
    fc.assert(
      fc.property(words, fc.integer({ min: 10, max: 60 }), (list, width) => {
        const lines = wrap(list.join(' '), width);
        assert.equal(lines.join(' '), list.join(' '));
        assert.ok(lines.every((line) => line.length <= width));
      }),
    );
  });
});
