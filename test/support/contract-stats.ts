/**
 * The contract of statistics: which domains, which groups, whose names.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { StatsRequest } from '../../src/domain/hypervisor.js';
import type { VmId } from '../../src/domain/ids.js';
import {
  BLOCK_COLUMNS,
  BlockColumn,
  NET_COLUMNS,
  NetColumn,
  Scalar,
  SCALARS,
  StatsGroup,
} from '../../src/domain/stats.js';
import type { StatsBatch } from '../../src/domain/stats.js';
import { unknownId } from './contract-subject.js';
import type { Bench } from './contract-bench.js';
import type { HypervisorTraits } from './contract-subject.js';

const ALL = Object.values(StatsGroup).reduce((all, bit) => all | bit, 0);
const RUNNING = 1;
const PAUSED = 3;
const SHUTOFF = 5;

type GroupName = keyof typeof StatsGroup;
/** Scalars that a running domain has, by the group that brings them. */
const scalarsOf: Partial<Record<GroupName, readonly (keyof typeof Scalar)[]>> = {
  state: ['state', 'reason'],
  cpu: ['cpuTime', 'cpuUser', 'cpuSystem'],
  balloon: ['balloonCurrent', 'balloonMaximum'],
  vcpu: ['vcpuCurrent', 'vcpuMaximum'],
};
/** The port lets CPU statistics bring the state along. */
const uninvited = new Set(['state', 'reason']);

/** Of one VM in a batch. */
class Row {
  readonly #index: number;
  constructor(
    private readonly batch: StatsBatch,
    id: VmId,
  ) {
    this.#index = batch.vmIds.indexOf(id);
    assert.ok(this.#index >= 0 && this.#index < batch.vmCount, `${id} has statistics`);
  }
  scalar(name: keyof typeof Scalar): number {
    return this.batch.scalars[this.#index * SCALARS + Scalar[name]]!;
  }
  get nets(): string[] {
    return this.batch.netNames.slice(this.batch.netStart[this.#index], this.batch.netStart[this.#index + 1]);
  }
  get blocks(): string[] {
    const { blockNames, blockStart } = this.batch;
    return blockNames.slice(blockStart[this.#index], blockStart[this.#index + 1]);
  }
  net(column: keyof typeof NetColumn): number {
    return this.batch.net[this.batch.netStart[this.#index]! * NET_COLUMNS + NetColumn[column]]!;
  }
  block(column: keyof typeof BlockColumn): number {
    return this.batch.block[this.batch.blockStart[this.#index]! * BLOCK_COLUMNS + BlockColumn[column]]!;
  }
  /** Everything that counts up, by name. */
  counters(): Record<string, number> {
    return {
      ...pick(['cpuTime', 'cpuUser', 'cpuSystem'], (name) => this.scalar(name)),
      ...pick(['rxBytes', 'rxPkts', 'txBytes', 'txPkts'], (name) => this.net(name)),
      ...pick(['rdReqs', 'rdBytes', 'wrReqs', 'wrBytes'], (name) => this.block(name)),
    };
  }
}

function pick<N extends string>(names: readonly N[], read: (name: N) => number): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, read(name)]));
}

export function statsContract(started: () => Promise<Bench>, traits: HypervisorTraits): void {
  it('tells statistics of the domains asked for, running or not, and of no others', async () => {
    const bench = await started();
    const { hypervisor } = bench;
    const ids = [await bench.define(1), await bench.run(2), await bench.run(3)];
    await bench.does(ids[2]!, 'suspend', { state: 'paused', reason: 'user' });
    for (const lane of ['free', 'backed'] as const) {
      const request: StatsRequest = { groups: StatsGroup.state, lane, ids: [...ids, unknownId] };
      const batch = await hypervisor.stats(request);
      assert.deepEqual([...batch.vmIds].slice(0, batch.vmCount).sort(), ids);
      const states = ids.map((id) => new Row(batch, id).scalar('state'));
      assert.deepEqual(states, [SHUTOFF, RUNNING, PAUSED]);
    }
    const one = await hypervisor.stats({ groups: StatsGroup.state, lane: 'free', ids: [ids[1]!] });
    assert.deepEqual(one.vmIds, [ids[1]]);
    const none = await hypervisor.stats({ groups: StatsGroup.state, lane: 'free', ids: [] });
    assert.deepEqual([none.vmCount, none.vmIds], [0, []], 'no ids are no domains, not all');
    const gone = await hypervisor.stats({ groups: StatsGroup.state, lane: 'free', ids: [unknownId] });
    assert.equal(gone.vmCount, 0);
  });

  it('tells statistics of all active domains where none are named', async () => {
    const bench = await started();
    const stopped = await bench.define(1);
    const ids = [await bench.run(2), await bench.run(3)];
    const { vmIds } = await bench.hypervisor.stats({ groups: StatsGroup.state, lane: 'free' });
    for (const id of ids) assert.ok(vmIds.includes(id));
    assert.ok(!vmIds.includes(stopped));
    assert.equal(new Set(vmIds).size, vmIds.length);
  });

  if (traits.stats === 'states') return;

  it('fills the groups that are asked for and leaves the others out', async () => {
    const bench = await started();
    const id = await bench.run(1, true);
    for (const [name, bit] of Object.entries(StatsGroup) as [GroupName, number][]) {
      const batch = await bench.hypervisor.stats({ groups: bit, lane: 'backed', ids: [id] });
      const row = new Row(batch, id);
      const mine = scalarsOf[name] ?? [];
      for (const scalar of Object.keys(Scalar) as (keyof typeof Scalar)[]) {
        if (mine.includes(scalar)) assert.ok(row.scalar(scalar) >= 0, `${scalar} of group ${name}`);
        else if (name !== 'balloon' && !uninvited.has(scalar)) {
          assert.ok(Number.isNaN(row.scalar(scalar)), `${scalar} in group ${name}`);
        }
      }
      assert.equal(row.nets.length, name === 'interface' ? 1 : 0, `NICs in group ${name}`);
      assert.equal(row.blocks.length, name === 'block' ? 1 : 0, `disks in group ${name}`);
    }
  });

  it('names NICs and disks as the description does', async () => {
    const bench = await started();
    const id = await bench.run(1, true);
    const batch = await bench.hypervisor.stats({ groups: ALL, lane: 'backed', ids: [id] });
    const { nics, disks } = await bench.hypervisor.describe(id);
    const row = new Row(batch, id);
    assert.deepEqual(row.nets, [nics[0]!.target]);
    assert.deepEqual(row.blocks, ['vda']);
    assert.deepEqual(batch.blockPaths, [disks[0]!.source]);
    assert.ok(row.block('capacity') > 0);
    assert.equal(row.scalar('balloonMaximum'), 16_384);
    assert.equal(row.scalar('vcpuCurrent'), 1);
  });

  it('never counts backwards while a domain runs or pauses', async () => {
    const bench = await started();
    const id = await bench.run(1, true);
    const read = async (): Promise<Record<string, number>> =>
      new Row(await bench.hypervisor.stats({ groups: ALL, lane: 'backed', ids: [id] }), id).counters();
    let last = await read();
    for (const verb of [undefined, 'suspend', undefined, 'resume', undefined] as const) {
      if (verb) await bench.call(id, verb);
      const next = await read();
      for (const [name, value] of Object.entries(next)) {
        const before = last[name]!;
        assert.ok(value >= before, `${name}: ${value} after ${before}, ${verb ?? 'asked again'}`);
      }
      last = next;
    }
  });

  if (traits.stats === 'all') {
    it('tells of a stopped domain what is still known: its limits and its disks’ sizes', async () => {
      const bench = await started();
      const id = await bench.define(1, true);
      const batch = await bench.hypervisor.stats({ groups: ALL, lane: 'backed', ids: [id] });
      const row = new Row(batch, id);
      assert.deepEqual([row.nets, row.blocks], [[], ['vda']]);
      assert.ok(row.block('capacity') > 0 && Number.isNaN(row.block('rdReqs')));
      assert.equal(row.scalar('balloonMaximum'), 16_384);
      assert.ok(Number.isNaN(row.scalar('rss')));
    });
  }
}
