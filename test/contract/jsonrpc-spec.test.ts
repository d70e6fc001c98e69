/**
 * The examples of section 7 of the JSON-RPC 2.0 specification, against the dispatcher.
 *
 * Its methods are stood in for by ours: `subtract` and `sum` by Host.echo (one parameter, by position or by name),
 * `update`, `notify_hello` and `notify_sum` by Host.ping, `get_data` by Host.getJobs. Codes, ids and shapes are the
 * specification's; the texts of errors are VDSM's.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fixture } from '../unit/api/fixture.js';

const parseError = { jsonrpc: '2.0', error: { code: -32700 }, id: null };
const invalidRequest = { jsonrpc: '2.0', error: { code: -32600 }, id: null };

const single: readonly [name: string, sent: string, answer: unknown][] = [
  [
    'a call with positional parameters',
    '{"jsonrpc": "2.0", "method": "Host.echo", "params": ["19"], "id": 1}',
    { jsonrpc: '2.0', result: '19', id: 1 },
  ],
  [
    'another call with positional parameters',
    '{"jsonrpc": "2.0", "method": "Host.echo", "params": ["-19"], "id": 2}',
    { jsonrpc: '2.0', result: '-19', id: 2 },
  ],
  [
    'a call with named parameters',
    '{"jsonrpc": "2.0", "method": "Host.echo", "params": {"message": "19", "minuend": 42}, "id": 3}',
    { jsonrpc: '2.0', result: '19', id: 3 },
  ],
  [
    'named parameters in another order',
    '{"jsonrpc": "2.0", "method": "Host.echo", "params": {"minuend": 42, "message": "19"}, "id": 4}',
    { jsonrpc: '2.0', result: '19', id: 4 },
  ],
  ['a notification', '{"jsonrpc": "2.0", "method": "Host.ping", "params": [1,2,3,4,5]}', undefined],
  ['a notification without parameters', '{"jsonrpc": "2.0", "method": "Host.ping"}', undefined],
  ['a notification of an unknown method', '{"jsonrpc": "2.0", "method": "foobar"}', undefined],
  [
    'a call of an unknown method',
    '{"jsonrpc": "2.0", "method": "foobar", "id": "1"}',
    { jsonrpc: '2.0', error: { code: -32601 }, id: '1' },
  ],
  ['invalid JSON', '{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', parseError],
  ['an invalid request object', '{"jsonrpc": "2.0", "method": 1, "params": "bar"}', invalidRequest],
  [
    'a batch of invalid JSON',
    `[
      {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
      {"jsonrpc": "2.0", "method"
    ]`,
    parseError,
  ],
  ['an empty array', '[]', invalidRequest],
  ['an invalid batch that is not empty', '[1]', [invalidRequest]],
  ['an invalid batch', '[1,2,3]', [invalidRequest, invalidRequest, invalidRequest]],
  [
    'a batch of all kinds',
    `[
      {"jsonrpc": "2.0", "method": "Host.echo", "params": ["7"], "id": "1"},
      {"jsonrpc": "2.0", "method": "Host.ping", "params": [7]},
      {"jsonrpc": "2.0", "method": "Host.echo", "params": ["19"], "id": "2"},
      {"foo": "boo"},
      {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
      {"jsonrpc": "2.0", "method": "Host.getJobs", "id": "9"}
    ]`,
    [
      { jsonrpc: '2.0', result: '7', id: '1' },
      { jsonrpc: '2.0', result: '19', id: '2' },
      invalidRequest,
      { jsonrpc: '2.0', error: { code: -32601 }, id: '5' },
      { jsonrpc: '2.0', result: {}, id: '9' },
    ],
  ],
  [
    'a batch of notifications only',
    `[
      {"jsonrpc": "2.0", "method": "Host.ping", "params": [1,2,4]},
      {"jsonrpc": "2.0", "method": "Host.ping", "params": [7]}
    ]`,
    undefined,
  ],
];

/** Checks that each error's text is a text and that it has no other member, and leaves the code to compare. */
function withoutTexts(answer: unknown): unknown {
  if (Array.isArray(answer)) return answer.map(withoutTexts);
  if (typeof answer !== 'object' || answer === null || !('error' in answer)) return answer;
  const { code, message, ...others } = answer.error as { code: number; message: unknown };
  assert.equal(typeof message, 'string');
  assert.deepEqual(others, {});
  return { ...answer, error: { code } };
}

describe('the examples of the JSON-RPC 2.0 specification', () => {
  for (const [name, sent, answer] of single) {
    it(name, async () => {
      assert.deepEqual(withoutTexts(await new Fixture().exchange(sent)), answer);
    });
  }
});

describe('what the specification says beside its examples', () => {
  it('a batch of one is answered by an array', async () => {
    const answer = await new Fixture().exchange([{ jsonrpc: '2.0', method: 'Host.ping', id: 1 }]);
    assert.deepEqual(answer, [{ jsonrpc: '2.0', id: 1, result: true }]);
  });

  for (const message of ['null', '0', '1', '-1.5', 'true', 'false', '"text"']) {
    it(`${message} as a message is an invalid request`, async () => {
      assert.deepEqual(withoutTexts(await new Fixture().exchange(message)), invalidRequest);
    });
  }

  for (const params of [null, 0, 1, 'text', true]) {
    it(`params ${JSON.stringify(params)} are invalid parameters`, async () => {
      const answer = await new Fixture().exchange({ jsonrpc: '2.0', method: 'Host.ping', params, id: 8 });
      assert.deepEqual(withoutTexts(answer), { jsonrpc: '2.0', error: { code: -32602 }, id: 8 });
    });
  }

  it('a notification with params of the wrong kind is not answered', async () => {
    assert.equal(await new Fixture().exchange({ jsonrpc: '2.0', method: 'Host.ping', params: 1 }), undefined);
  });

  for (const id of ['', 'text', 0, -1, 1.5, 9007199254740991, null, 'ü"\\\n\u2028']) {
    it(`the id ${JSON.stringify(id)} is echoed unchanged`, async () => {
      const answer = await new Fixture().exchange({ jsonrpc: '2.0', method: 'Host.getAllVmStats', id });
      assert.deepEqual(answer, { jsonrpc: '2.0', id, result: [{ vmId: 'x' }] });
    });
  }

  for (const id of ['true', '[]', '{}', '9007199254740993', '1e400']) {
    it(`the id ${id} is an invalid request, answered with id null`, async () => {
      const answer = await new Fixture().exchange(`{"jsonrpc":"2.0","method":"Host.ping","id":${id}}`);
      assert.deepEqual(withoutTexts(answer), invalidRequest);
    });
  }

  for (const version of [undefined, '1.0', 2, null]) {
    it(`jsonrpc ${String(version)} is an invalid request, answered with its id`, async () => {
      const answer = await new Fixture().exchange({ jsonrpc: version, method: 'Host.ping', id: 4 });
      assert.deepEqual(withoutTexts(answer), { ...invalidRequest, id: 4 });
    });
  }

  it('a batch beyond the limit is refused by one error object, and nothing of it runs', async () => {
    const fixture = new Fixture({ limits: { batch: 3 } });
    const request = { jsonrpc: '2.0', method: 'VM.pause', params: { vmID: '0' }, id: 1 };
    const answer = await fixture.exchange([request, request, request, request]);
    assert.deepEqual(answer, {
      jsonrpc: '2.0',
      id: null,
      error: { code: -32600, message: 'Invalid request: a batch may have 3 requests, not 4' },
    });
    assert.deepEqual(fixture.sink.everHeld, []);
    assert.equal(((await fixture.exchange([request, request, request])) as unknown[]).length, 3);
  });

  it('invalid UTF-8 is a parse error', async () => {
    const bytes = Buffer.from('{"jsonrpc":"2.0","method":"Host.echo","params":["?"],"id":1}');
    bytes[bytes.indexOf('?')] = 0xff;
    assert.deepEqual(withoutTexts(await new Fixture().exchange(bytes)), parseError);
  });

  for (const [name, message] of [
    ['nothing', ''],
    ['arrays nested too deep', '['.repeat(50_000) + ']'.repeat(50_000)],
    ['objects nested too deep', '{"a":'.repeat(5000) + '1' + '}'.repeat(5000)],
    ['nesting without an end', '['.repeat(500_000)],
  ] as const) {
    it(`${name} is a parse error`, async () => {
      assert.deepEqual(withoutTexts(await new Fixture().exchange(message)), parseError);
    });
  }

  it('brackets inside of a text are not nesting', async () => {
    const message = `\\"${'['.repeat(1000)}`;
    const answer = await new Fixture().exchange({
      jsonrpc: '2.0',
      method: 'Host.echo',
      params: [message],
      id: 1,
    });
    assert.deepEqual(answer, { jsonrpc: '2.0', id: 1, result: message });
  });
});
