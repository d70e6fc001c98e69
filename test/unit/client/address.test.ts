import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseAddress } from '../../../src/client/address.js';

describe('parseAddress', () => {
  for (const [text, url] of [
    ['host1', 'ws://host1:54321/'],
    ['host1:80', 'ws://host1:80/'],
    [':9000', 'ws://127.0.0.1:9000/'],
    ['10.0.0.1', 'ws://10.0.0.1:54321/'],
    ['[::1]', 'ws://[::1]:54321/'],
    ['[::1]:9', 'ws://[::1]:9/'],
    ['fe80::1', 'ws://[fe80::1]:54321/'],
    ['ws://a/b', 'ws://a/b'],
    ['wss://a:1', 'wss://a:1'],
  ] as const) {
    it(`takes ${text} for ${url}`, () => {
      assert.equal(parseAddress(text).url, url);
      assert.equal(parseAddress(text).socketPath, undefined);
    });
  }

  it('takes unix: with one or three slashes, and any character in the path', () => {
    assert.equal(parseAddress('unix:/run/a:b c').socketPath, '/run/a:b c');
    assert.equal(parseAddress('unix:///run/a').socketPath, '/run/a');
    assert.equal(parseAddress('unix:///run/a').label, 'unix:/run/a');
  });

  for (const text of [
    '',
    ' ',
    'a:0',
    'a:65536',
    'a:b',
    'http://a',
    'unix:relative',
    'ws://',
    '[::1',
    'a b',
    'a@b',
    '1:2:',
  ]) {
    it(`refuses ${JSON.stringify(text)} with a sentence that quotes it`, () => {
      assert.throws(
        () => parseAddress(text),
        (error: Error) => error instanceof RangeError && error.message.includes('"'),
      );
    });
  }

  it('either refuses a text or gives a URL that parses', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.webAuthority(), fc.ipV6(), fc.domain()), (text) => {
        try {
          assert.ok(URL.canParse(parseAddress(text).url));
        } catch (error) {
          assert.ok(error instanceof RangeError);
        }
      }),
    );
  });
});
