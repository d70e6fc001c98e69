/**
 * Our side of bulk-decode, as a process of its own: `node bulk.js URI ROUNDS plain|rates`. Does what bulk-client.py
 * does, with the same fields and the same rates; prints how many records it received.
 */
import assert from 'node:assert/strict';
import {
  BLOCK_COLUMNS,
  BlockColumn,
  LibvirtClient,
  NET_COLUMNS,
  NetColumn,
  Scalar,
  SCALARS,
  StatsGroup,
} from '../../src/libvirt/client.js';
import type { StatsBatch } from '../../src/libvirt/client.js';

const GROUPS = Object.values(StatsGroup).reduce((all, bit) => all | bit, 0);
const cpu = { 'cpu.time': Scalar.cpuTime, 'cpu.user': Scalar.cpuUser, 'cpu.system': Scalar.cpuSystem };
const net = { 'rx.bytes': NetColumn.rxBytes, 'tx.bytes': NetColumn.txBytes };
const block = {
  'rd.reqs': BlockColumn.rdReqs,
  'rd.bytes': BlockColumn.rdBytes,
  'wr.reqs': BlockColumn.wrReqs,
  'wr.bytes': BlockColumn.wrBytes,
};

/** Row of the same VM and device in the last batch: rows keep their places while nothing is plugged. */
function rates(
  last: Float64Array,
  first: Float64Array | undefined,
  base: number,
  columns: Readonly<Record<string, number>>,
): Record<string, number> {
  const found: Record<string, number> = {};
  for (const [field, column] of Object.entries(columns)) {
    found[field] = (last[base + column]! - (first?.[base + column] ?? 0)) / 15;
  }
  return found;
}

function toJson(batch: StatsBatch, before: StatsBatch | undefined): string {
  const records = batch.vmIds.map((id, vm) => {
    const devices: Record<string, unknown> = {};
    for (let row = batch.netStart[vm]!; row < batch.netStart[vm + 1]!; row++) {
      devices[batch.netNames[row]!] = rates(batch.net, before?.net, row * NET_COLUMNS, net);
    }
    for (let row = batch.blockStart[vm]!; row < batch.blockStart[vm + 1]!; row++) {
      devices[batch.blockNames[row]!] = rates(batch.block, before?.block, row * BLOCK_COLUMNS, block);
    }
    return { id, cpu: rates(batch.scalars, before?.scalars, vm * SCALARS, cpu), devices };
  });
  return JSON.stringify(records);
}

const [uri = '', rounds = '0', way = 'plain'] = process.argv.slice(2);
const client = await LibvirtClient.connect(uri);
let records = 0;
let before: StatsBatch | undefined;
for (let round = 0; round < Number(rounds); round++) {
  const batch = await client.getAllDomainStats({ groups: GROUPS });
  records += batch.vmCount;
  if (way === 'rates') {
    assert.ok(toJson(batch, before).length > 100 * batch.vmCount);
    before = batch;
  }
}
await client.close();
process.stdout.write(`${JSON.stringify({ records })}\n`);
