import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { VmId } from '../../../src/domain/ids.js';
import { BulkStatsDecoder } from '../../../src/libvirt/bulk-stats.js';
import { WireError } from '../../../src/libvirt/wire.js';
import { batchToPlain, plainRecord } from '../../support/bulk-model.js';
import { encodeReply, realisticRecord, REPLY_HEADER_BYTES } from '../../support/bulk-reply.js';
import type { ReplyParam, ReplyRecord } from '../../support/bulk-reply.js';
import { replyParam, replyRecords } from '../../support/bulk-arbitrary.js';

const id = '3a1c1f4e-0d5b-4c57-9a55-2c2b6a1d9f01' as VmId;

function record(params: readonly ReplyParam[], vmId = id): ReplyRecord {
  return { name: 'vm', id: vmId, domainId: 7, params };
}

function plain(records: readonly ReplyRecord[]): unknown {
  return records.map((each) => plainRecord(each.id, each.params));
}

/** A decoder that counts its misses. */
function counting(): { decode(packet: Buffer): unknown; misses: number } {
  const self = {
    misses: 0,
    decode: (packet: Buffer): unknown => batchToPlain(decoder.decode(packet, REPLY_HEADER_BYTES)),
  };
  const decoder = new BulkStatsDecoder({ onLayoutMiss: () => self.misses++ });
  return self;
}

describe('BulkStatsDecoder', () => {
  it('decodes an empty reply to an empty batch', () => {
    const batch = new BulkStatsDecoder().decode(encodeReply([]), REPLY_HEADER_BYTES);
    assert.equal(batch.vmCount, 0);
    assert.deepEqual([...batch.vmIds], []);
  });

  it('finds every value of realistic records', () => {
    const records = [0, 1, 2].map((index) => realisticRecord(index, 3));
    assert.deepEqual(counting().decode(encodeReply(records)), plain(records));
  });

  it('takes the slow path once for VMs of equal shape and never again while nothing changes', () => {
    const decoder = counting();
    decoder.decode(encodeReply(Array.from({ length: 50 }, (_, i) => realisticRecord(i))));
    assert.equal(decoder.misses, 1);
    const later = Array.from({ length: 50 }, (_, i) => realisticRecord(49 - i, 1));
    assert.deepEqual(decoder.decode(encodeReply(later)), plain(later));
    assert.equal(decoder.misses, 1);
  });

  it('remembers the shapes of calls for different groups that alternate', () => {
    const all = realisticRecord(1);
    const free = { ...all, params: all.params.filter(({ field }) => /^(state|net)\./.test(field)) };
    const decoder = counting();
    for (let round = 0; round < 4; round++) {
      assert.deepEqual(decoder.decode(encodeReply([all])), plain([all]));
      assert.deepEqual(decoder.decode(encodeReply([free])), plain([free]));
    }
    assert.equal(decoder.misses, 2);
  });

  it('follows devices that are plugged and unplugged', () => {
    const decoder = counting();
    for (const [disks, nics] of [
      [1, 1],
      [3, 1],
      [3, 2],
      [0, 0],
      [2, 1],
    ] as const) {
      const records = [0, 1].map((index) =>
        realisticRecord(index, disks, { vcpus: 2, disks, nics, kvm: true }),
      );
      assert.deepEqual(decoder.decode(encodeReply(records)), plain(records));
    }
  });

  it('reads unsigned 64-bit numbers above 2^53, negative and fractional ones', () => {
    const params: ReplyParam[] = [
      { field: 'cpu.time', type: 'ullong', value: 0xffff_ffff_ffff_ffffn },
      { field: 'cpu.user', type: 'llong', value: -5n },
      { field: 'cpu.system', type: 'double', value: 0.25 },
      { field: 'state.state', type: 'int', value: -1 },
      { field: 'vcpu.current', type: 'uint', value: 0xffff_ffff },
      { field: 'vcpu.maximum', type: 'boolean', value: true },
    ];
    const [vm] = batchToPlain(
      new BulkStatsDecoder().decode(encodeReply([record(params)]), REPLY_HEADER_BYTES),
    );
    assert.deepEqual(vm?.scalars, {
      'cpu.time': 2 ** 64,
      'cpu.user': -5,
      'cpu.system': 0.25,
      'state.state': -1,
      'vcpu.current': 0xffff_ffff,
      'vcpu.maximum': 1,
    });
  });

  it('takes device fields before the name, out of order and with gaps in the indices', () => {
    const params: ReplyParam[] = [
      { field: 'net.7.rx.bytes', type: 'ullong', value: 70 },
      { field: 'block.4.rd.reqs', type: 'ullong', value: 44 },
      { field: 'net.2.name', type: 'string', value: 'vnet2' },
      { field: 'block.4.name', type: 'string', value: 'vdb' },
      { field: 'block.1.path', type: 'string', value: '/a' },
      { field: 'net.7.name', type: 'string', value: 'vnet7' },
      { field: 'block.1.name', type: 'string', value: 'vda' },
    ];
    const [vm] = batchToPlain(
      new BulkStatsDecoder().decode(encodeReply([record(params)]), REPLY_HEADER_BYTES),
    );
    assert.deepEqual(vm?.nets, [
      { name: 'vnet2', values: {} },
      { name: 'vnet7', values: { 'rx.bytes': 70 } },
    ]);
    assert.deepEqual(vm.blocks, [
      { name: 'vda', path: '/a', values: {} },
      { name: 'vdb', path: '', values: { 'rd.reqs': 44 } },
    ]);
  });

  it('takes counters per vCPU for each other where they begin alike, and sees another field in the place of one', () => {
    const decoder = counting();
    const counters: ReplyParam[] = [
      { field: 'vcpu.0.exits.sum', type: 'ullong', value: 1 },
      { field: 'vcpu.0.extra.sum', type: 'ullong', value: 2 },
      { field: 'vcpu.0.state', type: 'int', value: 1 },
    ];
    decoder.decode(encodeReply([record(counters)]));
    const [first, second, state] = counters as [ReplyParam, ReplyParam, ReplyParam];
    decoder.decode(encodeReply([record([second, first, state])]));
    assert.equal(decoder.misses, 1);
    const current = record([first, second, { field: 'vcpu.current', type: 'int', value: 5 }]);
    assert.deepEqual(decoder.decode(encodeReply([current])), plain([current]));
    assert.equal(decoder.misses, 2);
  });

  it('believes the fields, not net.count and block.count', () => {
    const params: ReplyParam[] = [
      { field: 'net.count', type: 'uint', value: 4_000_000_000 },
      { field: 'block.count', type: 'uint', value: 0 },
      { field: 'block.0.name', type: 'string', value: 'vda' },
    ];
    const [vm] = batchToPlain(
      new BulkStatsDecoder().decode(encodeReply([record(params)]), REPLY_HEADER_BYTES),
    );
    assert.equal(vm?.nets.length, 0);
    assert.equal(vm.blocks.length, 1);
  });

  it('ignores members of a backing chain, whether they repeat the name or have none', () => {
    const params: ReplyParam[] = [
      { field: 'block.0.name', type: 'string', value: 'vda' },
      { field: 'block.0.capacity', type: 'ullong', value: 1 },
      { field: 'block.1.name', type: 'string', value: 'vda' },
      { field: 'block.1.capacity', type: 'ullong', value: 2 },
      { field: 'block.2.path', type: 'string', value: '/base' },
      { field: 'block.2.capacity', type: 'ullong', value: 3 },
      { field: 'block.3.name', type: 'string', value: 'vdb' },
      { field: 'block.3.capacity', type: 'ullong', value: 4 },
    ];
    const decoder = counting();
    const next = record(params, '3a1c1f4e-0d5b-4c57-9a55-2c2b6a1d9f02' as VmId);
    const expected = [
      { name: 'vda', path: '', values: { capacity: 1 } },
      { name: 'vdb', path: '', values: { capacity: 4 } },
    ];
    for (const vm of decoder.decode(encodeReply([record(params), next])) as { blocks: unknown }[]) {
      assert.deepEqual(vm.blocks, expected);
    }
    assert.equal(decoder.misses, 1);
  });

  it('decodes ten thousand parameters of one record, twice', () => {
    const params = Array.from({ length: 10_000 }, (_, i): ReplyParam => ({
      field: `net.${i}.tx.bytes`,
      type: 'ullong',
      value: i,
    }));
    const decoder = counting();
    const packet = encodeReply([record(params)]);
    assert.deepEqual(decoder.decode(packet), plain([record(params)]));
    decoder.decode(packet);
    assert.equal(decoder.misses, 1);
  });

  it('reads a packet that does not lie on a word boundary', () => {
    const packet = encodeReply([realisticRecord(5)]);
    const shifted = Buffer.alloc(packet.length + 1);
    packet.copy(shifted, 1);
    assert.deepEqual(counting().decode(shifted.subarray(1)), plain([realisticRecord(5)]));
  });

  it('keeps the strings of one reply apart from the bytes of its packet', () => {
    const packet = encodeReply([realisticRecord(5)]);
    const decoder = new BulkStatsDecoder();
    const batch = decoder.decode(packet, REPLY_HEADER_BYTES);
    packet.fill(0xee);
    assert.deepEqual(batchToPlain(batch), plain([realisticRecord(5)]));
    assert.deepEqual(
      batchToPlain(decoder.decode(encodeReply([realisticRecord(5, 1)]), REPLY_HEADER_BYTES)),
      plain([realisticRecord(5, 1)]),
    );
  });

  it('refuses counts and lengths that the packet cannot hold, and surplus bytes', () => {
    const good = encodeReply([realisticRecord(1)]);
    const broken = (change: (packet: Buffer) => Buffer): void => {
      for (const warm of [false, true]) {
        const decoder = new BulkStatsDecoder();
        if (warm) decoder.decode(good, REPLY_HEADER_BYTES);
        assert.throws(() => decoder.decode(change(Buffer.from(good)), REPLY_HEADER_BYTES), WireError);
      }
    };
    const word = (value: number, at: number) => (packet: Buffer) => {
      packet.writeUInt32BE(value, at);
      return packet;
    };
    broken(word(2, REPLY_HEADER_BYTES));
    broken(word(0, REPLY_HEADER_BYTES));
    broken(word(0xffff_ffff, REPLY_HEADER_BYTES));
    broken(word(0xffff_fffe, REPLY_HEADER_BYTES + 4));
    const paramCountAt = REPLY_HEADER_BYTES + 4 + 12 + 16 + 4;
    broken(word(0xffff_ffff, paramCountAt));
    broken(word(1, paramCountAt));
    broken(word(0xffff_fff0, paramCountAt + 4));
    broken((packet) => packet.subarray(0, packet.length - 4));
    broken((packet) => packet.subarray(0, packet.length - 3));
    broken((packet) => Buffer.concat([packet, Buffer.alloc(4)]));
    broken((packet) => packet.subarray(0, REPLY_HEADER_BYTES));
  });

  it('refuses a type that does not exist', () => {
    const packet = encodeReply([record([{ field: 'cpu.time', type: 'ullong', value: 1 }])]);
    packet.writeUInt32BE(8, packet.length - 12);
    assert.throws(() => new BulkStatsDecoder().decode(packet, REPLY_HEADER_BYTES), WireError);
  });
});

describe('BulkStatsDecoder, for any input', () => {
  it('decodes what was encoded, cold, warm, and after other shapes', () => {
    const decoder = counting();
    fc.assert(
      fc.property(fc.array(replyRecords, { minLength: 1, maxLength: 4 }), (replies) => {
        for (const records of [...replies, ...replies]) {
          const packet = encodeReply(records);
          const expected = plain(records);
          assert.deepEqual(counting().decode(packet), expected);
          assert.deepEqual(decoder.decode(packet), expected);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('decodes a record whose fields come in another order each time', () => {
    const decoder = counting();
    const params = realisticRecord(3).params;
    fc.assert(
      fc.property(
        fc.shuffledSubarray([...params]),
        fc.array(replyParam, { maxLength: 3 }),
        (order, extra) => {
          const shuffled = record([...order, ...extra]);
          assert.deepEqual(decoder.decode(encodeReply([shuffled])), plain([shuffled]));
        },
      ),
      { numRuns: 200 },
    );
  });

  it('throws nothing but WireError on any bytes, and makes no more than a multiple of them', () => {
    const warm = new BulkStatsDecoder();
    const attempt = (decoder: BulkStatsDecoder, packet: Buffer): void => {
      try {
        const batch = decoder.decode(packet, 0);
        const cells = batch.scalars.length + batch.net.length + batch.block.length;
        assert.ok(cells <= packet.length * 8 + 1000, `${cells} cells for ${packet.length} bytes`);
      } catch (error) {
        assert.ok(error instanceof WireError, String(error));
      }
    };
    const good = encodeReply([realisticRecord(1), realisticRecord(2)]).subarray(REPLY_HEADER_BYTES);
    warm.decode(good, 0);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        attempt(warm, Buffer.from(bytes));
        attempt(new BulkStatsDecoder(), Buffer.from(bytes));
      }),
      { numRuns: 1000 },
    );
    const edit = fc.tuple(fc.nat({ max: good.length / 4 - 1 }), fc.oneof(fc.nat({ max: 20 }), fc.integer()));
    fc.assert(
      fc.property(
        fc.array(edit, { minLength: 1, maxLength: 4 }),
        fc.nat({ max: good.length }),
        (edits, cut) => {
          const bytes = Buffer.from(good);
          for (const [at, value] of edits) bytes.writeInt32BE(value, at * 4);
          attempt(warm, bytes);
          attempt(warm, bytes.subarray(0, cut));
        },
      ),
      { numRuns: 2000 },
    );
    const records = [realisticRecord(1, 5), realisticRecord(2, 5)];
    assert.deepEqual(batchToPlain(warm.decode(encodeReply(records), REPLY_HEADER_BYTES)), plain(records));
  });
});
