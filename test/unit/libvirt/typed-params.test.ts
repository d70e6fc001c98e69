import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { paramRecord, typedParams } from '../../../src/libvirt/typed-params.js';
import type { TypedParam } from '../../../src/libvirt/typed-params.js';
import { readHeader, WireError } from '../../../src/libvirt/wire.js';
import { XdrReader, XdrWriter } from '../../../src/libvirt/xdr.js';
import * as golden from './golden-packets.js';

function valued<T extends TypedParam['type'], V>(type: T, value: fc.Arbitrary<V>) {
  return fc.tuple(fc.string(), value).map(([field, v]) => ({ field, type, value: v }));
}

const param: fc.Arbitrary<TypedParam> = fc.oneof(
  valued('int', fc.integer()),
  valued('uint', fc.nat(0xffff_ffff)),
  valued('llong', fc.maxSafeInteger()),
  valued('ullong', fc.maxSafeNat()),
  valued('double', fc.double()),
  valued('boolean', fc.boolean()),
  valued('string', fc.string({ unit: 'grapheme' })),
);

function encode(params: readonly TypedParam[], max: number): Buffer {
  const writer = new XdrWriter();
  typedParams(max).write(writer, params);
  return writer.finish(readHeader(golden.ping));
}

describe('typed parameters', () => {
  it('keep name, type and value', () => {
    fc.assert(
      fc.property(fc.array(param, { maxLength: 20 }), (params) => {
        assert.deepEqual(typedParams(20).read(new XdrReader(encode(params, 20))), params);
      }),
    );
  });

  it('refuse a type they do not know', () => {
    const packet = encode([{ field: 'a', type: 'int', value: 1 }], 1);
    packet.writeUInt32BE(8, packet.length - 8);
    assert.throws(() => typedParams(1).read(new XdrReader(packet)), WireError);
  });

  it('become a record by name', () => {
    const record = paramRecord([
      { field: 'operation', type: 'int', value: 5 },
      { field: 'success', type: 'boolean', value: true },
      { field: 'errmsg', type: 'string', value: '' },
    ]);
    assert.deepEqual(record, { operation: 5, success: true, errmsg: '' });
  });
});
