import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  HEADER_BYTES,
  Keepalive,
  keepalivePacket,
  MAX_PACKET_BYTES,
  PacketSplitter,
  readHeader,
  WireError,
  writeHeader,
} from '../../../src/libvirt/wire.js';
import * as golden from './golden-packets.js';

function split(chunks: readonly Uint8Array[]): Buffer[] {
  const packets: Buffer[] = [];
  const splitter = new PacketSplitter((_header, packet) => packets.push(packet));
  for (const chunk of chunks) splitter.push(chunk);
  return packets;
}

function lengthWord(length: number): Buffer {
  const word = Buffer.alloc(4);
  word.writeUInt32BE(length);
  return word;
}

describe('packet header', () => {
  it('reads a recorded error reply', () => {
    assert.deepEqual(readHeader(golden.noDomainReply), {
      program: 0x20008086,
      version: 1,
      procedure: 23,
      type: 1,
      serial: 6,
      status: 1,
    });
  });

  it('writes what it read', () => {
    for (const packet of Object.values(golden)) {
      if (typeof packet === 'string') continue;
      const copy = Buffer.from(packet);
      copy.fill(0, 0, HEADER_BYTES);
      writeHeader(copy, readHeader(packet));
      assert.deepEqual(copy, packet);
    }
  });

  it('makes keepalive packets as libvirt does', () => {
    assert.deepEqual(keepalivePacket(Keepalive.ping), golden.ping);
    assert.deepEqual(keepalivePacket(Keepalive.pong), golden.pong);
  });
});

describe('PacketSplitter', () => {
  it('refuses a length word below the header', () => {
    assert.throws(() => split([lengthWord(HEADER_BYTES - 1)]), WireError);
  });

  it('refuses a length word over the limit before allocating for it', () => {
    assert.throws(() => split([lengthWord(MAX_PACKET_BYTES + 1)]), WireError);
    assert.throws(() => split([lengthWord(0xffff_ffff)]), WireError);
  });

  it('accepts the largest packet', () => {
    const packet = Buffer.alloc(MAX_PACKET_BYTES);
    packet.writeUInt32BE(MAX_PACKET_BYTES);
    const [only, ...none] = split([packet.subarray(0, 1000), packet.subarray(1000)]);
    assert.equal(only?.length, MAX_PACKET_BYTES);
    assert.equal(none.length, 0);
  });

  it('gives each packet a buffer of its own, so that later chunks cannot change it', () => {
    const chunk = Buffer.concat([golden.ping, golden.pong]);
    const [first, second] = split([chunk]);
    chunk.fill(0xee);
    assert.deepEqual(first, golden.ping);
    assert.deepEqual(second, golden.pong);
  });

  it('finds the same packets whatever the chunks', () => {
    const packetBody = fc.uint8Array({ maxLength: 200 });
    const cuts = fc.array(fc.nat(400), { maxLength: 20 });
    fc.assert(
      fc.property(fc.array(packetBody, { maxLength: 8 }), cuts, (bodies, sizes) => {
        const packets = bodies.map((body) => {
          const packet = Buffer.concat([Buffer.alloc(HEADER_BYTES), body]);
          packet.writeUInt32BE(packet.length);
          return packet;
        });
        const chunks: Buffer[] = [];
        let stream = Buffer.concat(packets);
        for (const size of sizes) {
          chunks.push(stream.subarray(0, size));
          stream = stream.subarray(size);
        }
        const found = split([...chunks, stream]);
        assert.deepEqual(found, packets);
        for (const packet of found) assert.equal(packet.byteOffset % 4, 0);
      }),
    );
  });

  it('throws nothing but WireError for arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 100 })), (chunks) => {
        try {
          split(chunks);
        } catch (error) {
          assert.ok(error instanceof WireError);
        }
      }),
    );
  });
});
