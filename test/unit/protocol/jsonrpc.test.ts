import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseMessage, type JsonRpcRequest } from '../../../src/protocol/jsonrpc.js';

const parse = (text: string): ReturnType<typeof parseMessage> => parseMessage(Buffer.from(text), 100);

describe('parseMessage', () => {
  it('gives a request without members that were not sent', () => {
    assert.deepEqual(parse('{"jsonrpc":"2.0","method":"Host.ping"}'), {
      batch: false,
      items: [{ request: { jsonrpc: '2.0', method: 'Host.ping' } }],
    });
  });

  it('leaves members that JSON-RPC does not know out of the request', () => {
    const { items } = parse('{"jsonrpc":"2.0","method":"m","result":1,"error":2,"__proto__":{"id":3}}');
    assert.deepEqual(items, [{ request: { jsonrpc: '2.0', method: 'm' } }]);
  });

  it('gives every element of a batch, in order', () => {
    const { batch, items } = parse(
      '[{"jsonrpc":"2.0","method":"a","id":1},7,{"jsonrpc":"2.0","method":"b"}]',
    );
    assert.equal(batch, true);
    assert.deepEqual(
      items.map((item) => ('request' in item ? item.request.method : item.fault.code)),
      ['a', -32600, 'b'],
    );
  });

  it('takes back every valid request as it was', () => {
    const request: fc.Arbitrary<JsonRpcRequest> = fc.record(
      {
        jsonrpc: fc.constant('2.0' as const),
        method: fc.string(),
        params: fc.oneof(fc.array(fc.jsonValue()), fc.dictionary(fc.string(), fc.jsonValue())),
        id: fc.oneof(fc.string(), fc.maxSafeInteger(), fc.constant(null)),
      },
      { requiredKeys: ['jsonrpc', 'method'] },
    );
    fc.assert(
      fc.property(request, (sent) => {
        const text = JSON.stringify(sent);
        assert.deepEqual(parse(text), {
          batch: false,
          items: [{ request: JSON.parse(text) as unknown }],
        });
      }),
    );
  });

  it('never throws, whatever the bytes, and gives at least one item', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (bytes) => {
          assert.ok(parseMessage(Buffer.from(bytes), 100).items.length > 0);
        },
      ),
    );
  });
});
