import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { BulkStatsDecoder } from '../../../src/libvirt/bulk-stats.js';
import { packageRoot } from '../../../src/util/package-root.js';
import { batchToPlain, plainRecord } from '../../support/bulk-model.js';
import { REPLY_HEADER_BYTES } from '../../support/bulk-reply.js';

interface GoldenRecord {
  readonly id: string;
  readonly params: Readonly<Record<string, number | string>>;
}

function golden(name: string): { packet: Buffer; records: GoldenRecord[] } {
  const path = join(packageRoot, 'test/golden', name);
  const records = JSON.parse(readFileSync(`${path}.json`, 'utf8')) as GoldenRecord[];
  return { packet: readFileSync(`${path}.bin`), records };
}

describe('BulkStatsDecoder on replies of a real libvirtd', () => {
  for (const name of ['bulk-stats-tcg-kvm', 'bulk-stats-backing-chain', 'bulk-stats-paused-and-off']) {
    it(`finds in ${name} what an independent decoder found, cold and warm`, () => {
      const { packet, records } = golden(name);
      const expected = records.map(({ id, params }) =>
        plainRecord(
          id,
          Object.entries(params).map(([field, value]) => ({
            field,
            value,
            type: typeof value === 'string' ? ('string' as const) : ('double' as const),
          })),
        ),
      );
      let misses = 0;
      const decoder = new BulkStatsDecoder({ onLayoutMiss: () => misses++ });
      assert.deepEqual(batchToPlain(decoder.decode(packet, REPLY_HEADER_BYTES)), expected);
      const cold = misses;
      assert.deepEqual(batchToPlain(decoder.decode(packet, REPLY_HEADER_BYTES)), expected);
      assert.equal(misses, cold);
    });
  }

  it('names the devices of the recorded domains', () => {
    const { packet } = golden('bulk-stats-tcg-kvm');
    const vms = batchToPlain(new BulkStatsDecoder().decode(packet, REPLY_HEADER_BYTES));
    for (const vm of vms) {
      assert.deepEqual(
        vm.blocks.map(({ name }) => name),
        ['vda', 'vdb'],
      );
      assert.match(vm.nets[0]?.name ?? '', /^vnet\d+$/);
    }
  });

  it('keeps the top image of a backing chain, and a drive without medium without a path', () => {
    const { packet } = golden('bulk-stats-backing-chain');
    const [vm] = batchToPlain(new BulkStatsDecoder().decode(packet, REPLY_HEADER_BYTES));
    assert.deepEqual(
      vm?.blocks.map(({ name, path }) => [name, path?.split('/').at(-1)]),
      [
        ['vda', 'top.qcow2'],
        ['sda', ''],
      ],
    );
  });
});
