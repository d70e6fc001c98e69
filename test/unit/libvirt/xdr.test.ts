import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { VmId } from '../../../src/domain/ids.js';
import { HEADER_BYTES, WireError } from '../../../src/libvirt/wire.js';
import {
  array,
  bool,
  charArray,
  charList,
  f64,
  i32,
  i64,
  opaque,
  optional,
  string,
  struct,
  u32,
  u64,
  uuid,
} from '../../../src/libvirt/xdr-codecs.js';
import type { Codec } from '../../../src/libvirt/xdr-codecs.js';
import { XdrReader, XdrWriter } from '../../../src/libvirt/xdr.js';
import * as golden from './golden-packets.js';

const header = { program: 0, version: 1, procedure: 0, type: 0, serial: 0, status: 0 };

function encode<T>(codec: Codec<T>, value: T): Buffer {
  const writer = new XdrWriter(8);
  codec.write(writer, value);
  return writer.finish(header);
}

function bodyHex<T>(codec: Codec<T>, value: T): string {
  return encode(codec, value).subarray(HEADER_BYTES).toString('hex');
}

function roundTrip<T>(codec: Codec<T>, value: T): T {
  const reader = new XdrReader(encode(codec, value));
  const read = codec.read(reader);
  assert.equal(reader.remaining, 0, 'everything written is read');
  return read;
}

describe('XDR numbers', () => {
  it('writes 64-bit numbers high word first', () => {
    assert.equal(bodyHex(u64, 0x1_0000_0002), '0000000100000002');
    assert.equal(bodyHex(i64, -1), 'ffffffffffffffff');
    assert.equal(bodyHex(i64, -(2 ** 32) - 1), 'fffffffeffffffff');
  });

  it('reads "unlimited" as the nearest double and writes it back unchanged', () => {
    const unlimited = Buffer.concat([Buffer.alloc(HEADER_BYTES), Buffer.alloc(8, 0xff)]);
    const value = u64.read(new XdrReader(unlimited));
    assert.equal(value, 2 ** 64);
    assert.equal(bodyHex(u64, value), 'ffffffffffffffff');
    assert.equal(bodyHex(i64, 2 ** 63), '7fffffffffffffff');
  });

  it('keeps safe integers and doubles exactly', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.maxSafeNat(), fc.double(), (signed, unsigned, real) => {
        assert.equal(roundTrip(i64, signed), signed);
        assert.equal(roundTrip(u64, unsigned), unsigned);
        assert.ok(Object.is(roundTrip(f64, real), real));
      }),
    );
  });

  it('refuses to write what does not fit', () => {
    for (const [codec, value] of [
      [u32, -1],
      [u32, 2 ** 32],
      [i32, 2 ** 31],
      [u64, -1],
      [u64, NaN],
      [i64, 0.5],
    ] as const) {
      assert.throws(() => encode(codec, value), WireError);
    }
  });
});

describe('XDR texts and collections', () => {
  it('pads strings with zeros to a multiple of 4', () => {
    assert.equal(bodyHex(string(10), 'wr1'), '0000000377723100');
    assert.equal(bodyHex(string(10), 'four'), '00000004666f7572');
    assert.equal(bodyHex(string(10), ''), '00000000');
  });

  it('counts a string in bytes of UTF-8', () => {
    assert.equal(roundTrip(string(100), 'Ärger ☃ 🐧'), 'Ärger ☃ 🐧');
    assert.throws(() => encode(string(3), 'ää'), WireError);
  });

  it('tells an absent value from an empty one', () => {
    assert.equal(bodyHex(optional(string(9)), undefined), '00000000');
    assert.equal(bodyHex(optional(string(9)), ''), '0000000100000000');
    assert.equal(roundTrip(optional(string(9)), undefined), undefined);
  });

  it('writes a UUID as 16 bare bytes', () => {
    assert.equal(bodyHex(uuid, golden.wr1 as VmId), golden.wr1.replaceAll('-', ''));
    assert.equal(roundTrip(uuid, golden.wr1 as VmId), golden.wr1);
  });

  it("spends 4 bytes on each of C's chars", () => {
    assert.equal(encode(charArray(32), 'x86_64').length, HEADER_BYTES + 128);
    assert.equal(roundTrip(charArray(32), 'x86_64'), 'x86_64');
    assert.equal(roundTrip(charList(100), 'selinux'), 'selinux');
  });

  it('round-trips nested structures', () => {
    const codec = struct({
      flag: bool,
      bytes: opaque(9),
      rows: array(struct({ name: optional(string(50)), sizes: array(u64, 5) }), 5),
    });
    const value = {
      flag: true,
      bytes: Buffer.from([1, 2, 3, 4, 5]),
      rows: [{ name: 'a', sizes: [1, 2] }, { sizes: [] }],
    };
    const read = roundTrip(codec, value);
    assert.deepEqual(read.rows, [
      { name: 'a', sizes: [1, 2] },
      { name: undefined, sizes: [] },
    ]);
    assert.deepEqual(Buffer.from(read.bytes), value.bytes);
  });

  it('refuses a count over its limit or beyond the packet, before allocating', () => {
    const lying = (count: number): XdrReader => {
      const packet = Buffer.alloc(HEADER_BYTES + 8);
      packet.writeUInt32BE(count, HEADER_BYTES);
      return new XdrReader(packet);
    };
    assert.throws(() => array(i32, 5).read(lying(6)), /over its limit/);
    assert.throws(() => array(i32, 0xffff_ffff).read(lying(0xffff_fff0)), /does not fit/);
    assert.throws(() => string(1 << 30).read(lying(1 << 29)), /does not fit/);
  });

  it('names the offset of a value that is cut off', () => {
    const codec = struct({ first: i32, second: u64 });
    const packet = encode(codec, { first: 1, second: 2 }).subarray(0, HEADER_BYTES + 8);
    assert.throws(
      () => codec.read(new XdrReader(packet)),
      (error: unknown) => error instanceof WireError && error.offset === HEADER_BYTES + 4,
    );
  });

  it('grows to large bodies and refuses those over 32 MiB', () => {
    const chunk = opaque(1 << 24);
    const writer = new XdrWriter(8);
    const megabytes = Buffer.alloc(10 << 20, 7);
    chunk.write(writer, megabytes);
    chunk.write(writer, megabytes);
    chunk.write(writer, megabytes);
    assert.throws(() => chunk.write(writer, megabytes), WireError);
  });
});
