import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { procedure, procedures } from '../../../src/libvirt/procedures.js';
import type { ProcedureName } from '../../../src/libvirt/procedures.js';
import type { Codec } from '../../../src/libvirt/xdr-codecs.js';
import { readHeader, WireError } from '../../../src/libvirt/wire.js';
import { XdrReader, XdrWriter } from '../../../src/libvirt/xdr.js';
import * as golden from './golden-packets.js';

const names = Object.keys(procedures) as ProcedureName[];

function reencoded<T>(codec: Codec<T>, packet: Buffer): Buffer {
  const reader = new XdrReader(packet);
  const value = codec.read(reader);
  assert.equal(reader.remaining, 0);
  const writer = new XdrWriter();
  codec.write(writer, value);
  return writer.finish(readHeader(packet));
}

describe('procedure table', () => {
  it('gives each procedure a number of its own', () => {
    const keys = names.map((name) => `${procedure(name).program}/${procedure(name).number}`);
    assert.equal(new Set(keys).size, names.length);
  });

  it('writes the recorded CONNECT_OPEN call', () => {
    const writer = new XdrWriter();
    procedures.CONNECT_OPEN.args.write(writer, { name: 'qemu:///system', flags: 0 });
    assert.deepEqual(writer.finish(readHeader(golden.connectOpenCall)), golden.connectOpenCall);
  });

  it('reads recorded replies and writes them back byte for byte', () => {
    assert.deepEqual(reencoded(procedures.CONNECT_OPEN.args, golden.connectOpenCall), golden.connectOpenCall);
    assert.deepEqual(reencoded(procedures.AUTH_LIST.result, golden.authListReply), golden.authListReply);
    assert.deepEqual(reencoded(procedures.DOMAIN_GET_INFO.result, golden.getInfoReply), golden.getInfoReply);
    const stats = procedures.CONNECT_GET_ALL_DOMAIN_STATS;
    assert.deepEqual(reencoded(stats.args, golden.bulkStatsCall), golden.bulkStatsCall);
    assert.deepEqual(reencoded(stats.result, golden.bulkStatsReply), golden.bulkStatsReply);
  });

  it('reads the values of recorded replies', () => {
    assert.deepEqual(procedures.DOMAIN_GET_INFO.result.read(new XdrReader(golden.getInfoReply)), {
      state: 1,
      maxMem: 196_608,
      memory: 163_840,
      vcpus: 2,
      cpuTime: 4_800_000_000,
    });
    const { records } = procedures.CONNECT_GET_ALL_DOMAIN_STATS.result.read(
      new XdrReader(golden.bulkStatsReply),
    );
    assert.deepEqual(records, [
      {
        dom: { name: 'wr1', uuid: golden.wr1, id: 79 },
        params: [
          { field: 'state.state', type: 'int', value: 1 },
          { field: 'state.reason', type: 'int', value: 1 },
        ],
      },
    ]);
  });

  it('reads arbitrary bytes to a value or a WireError, for every procedure', () => {
    const words = fc.array(fc.oneof(fc.nat(8), fc.nat(0xffff_ffff)), { maxLength: 40 });
    fc.assert(
      fc.property(fc.constantFrom(...names), words, (name, body) => {
        const packet = Buffer.alloc(28 + body.length * 4);
        body.forEach((word, i) => packet.writeUInt32BE(word, 28 + i * 4));
        for (const codec of [procedure(name).args, procedure(name).result]) {
          try {
            codec.read(new XdrReader(packet));
          } catch (error) {
            assert.ok(error instanceof WireError, String(error));
          }
        }
      }),
      { numRuns: 2000 },
    );
  });
});
