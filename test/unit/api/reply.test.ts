import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { EncodedResult } from '../../../src/api/call.js';
import { encodeResponse, joinBatch } from '../../../src/api/reply.js';
import type { JsonRpcResponse } from '../../../src/protocol/jsonrpc.js';

const fail = (): void => assert.fail('nothing here is no JSON');

describe('a reply', () => {
  it('writes the same JSON whether results are encoded already or not', () => {
    const one = fc.record({
      id: fc.oneof(fc.string(), fc.integer(), fc.constant(null)),
      result: fc.jsonValue(),
      cuts: fc.option(fc.array(fc.nat())),
    });
    fc.assert(
      fc.property(fc.array(one, { minLength: 1 }), fc.boolean(), (items, batch) => {
        const sent = batch ? items : items.slice(0, 1);
        const plain = sent.map(({ id, result }): JsonRpcResponse => ({ jsonrpc: '2.0', id, result }));
        const encoded = sent.map(({ id, result, cuts }): JsonRpcResponse => {
          if (cuts === null) return { jsonrpc: '2.0', id, result };
          return {
            jsonrpc: '2.0',
            id,
            result: new EncodedResult(cut(Buffer.from(JSON.stringify(result)), cuts)),
          };
        });
        const pieces = encoded.map((response) => encodeResponse(response, fail));
        const text = Buffer.concat(batch ? joinBatch(pieces) : pieces.flat()).toString();
        assert.equal(text, JSON.stringify(batch ? plain : plain[0]));
      }),
    );
  });

  it('answers an error in place of a result that is no JSON, and leaves the others of the batch alone', () => {
    const faults: unknown[] = [];
    const responses: JsonRpcResponse[] = [
      { jsonrpc: '2.0', id: 1, result: 1n },
      { jsonrpc: '2.0', id: 2, result: true },
    ];
    const pieces = responses.map((response) => encodeResponse(response, (fault) => faults.push(fault)));
    const text = Buffer.concat(joinBatch(pieces)).toString();
    const [first, second] = JSON.parse(text) as [{ error: { code: number } }, unknown];
    assert.equal(first.error.code, -32603);
    assert.deepEqual(second, { jsonrpc: '2.0', id: 2, result: true });
    assert.equal(faults.length, 1);
  });
});

/** The bytes in pieces, cut at the places given. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}
