import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isVerbName, verbNames, type VerbHandlers } from '../../../src/protocol/verbs.js';

type Two = VerbHandlers<object, never, 'Host.ping' | 'Host.echo'>;

describe('the verb table', () => {
  it('does not compile without a handler, nor with a wrong answer or parameter', () => {
    const complete: Two = { 'Host.ping': () => true, 'Host.echo': ({ message }) => message };
    // @ts-expect-error Host.echo is missing
    const incomplete: Two = { 'Host.ping': () => true };
    // @ts-expect-error Host.echo answers a text
    const wrongAnswer: Two = { ...complete, 'Host.echo': () => 5 };
    // @ts-expect-error Host.echo has no such parameter
    const misspelt: Two = { ...complete, 'Host.echo': ({ mesage }) => String(mesage) };
    assert.equal([incomplete, wrongAnswer, misspelt].length, 3);
  });

  it('knows its names, and no name that objects have by themselves', () => {
    assert.ok(verbNames.every(isVerbName));
    for (const name of ['', 'constructor', '__proto__', 'host.ping', 'Host.ping ']) {
      assert.equal(isVerbName(name), false, name);
    }
  });
});
