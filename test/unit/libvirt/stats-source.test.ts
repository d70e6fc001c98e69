import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { VmId } from '../../../src/domain/ids.js';
import { Scalar, SCALARS, StatsGroup } from '../../../src/domain/stats.js';
import { LibvirtHypervisor } from '../../../src/libvirt/driver.js';
import type { DomainStatsRecord } from '../../../src/libvirt/objects.js';
import { silentLogger } from '../../../src/util/log.js';
import { createMetrics } from '../../../src/util/metrics.js';
import { ManualClock } from '../../support/manual-clock.js';
import { FakeDaemon } from './fake-daemon.js';
import { wr1 } from './golden-packets.js';

const id = wr1 as VmId;
const dom = { name: 'wr1', uuid: id, id: 7 };

let daemon: FakeDaemon;
let hypervisor: LibvirtHypervisor;

describe('the libvirt adapter’s statistics', () => {
  const groups = StatsGroup.cpu | StatsGroup.balloon;
  const record = (withCpu: boolean): DomainStatsRecord => ({
    dom,
    params: [
      { field: 'state.state', type: 'int', value: 1 },
      { field: 'state.reason', type: 'int', value: 1 },
      ...(withCpu ? [{ field: 'cpu.time', type: 'ullong' as const, value: 42 }] : []),
    ],
  });

  beforeEach(async () => {
    daemon = new FakeDaemon();
    await daemon.start();
    hypervisor = new LibvirtHypervisor({
      target: daemon.target,
      clock: new ManualClock(),
      log: silentLogger,
      metrics: createMetrics(),
    });
  });

  afterEach(async () => {
    await hypervisor.stop();
    await daemon.dispose();
  });

  it('come from one bulk call that never waits for a job: all active domains, or those named', async () => {
    daemon.answer('CONNECT_GET_ALL_DOMAIN_STATS', () => ({ records: [record(true)] }));
    const batch = await hypervisor.stats({ groups, lane: 'backed' });
    assert.deepEqual(batch.vmIds, [id]);
    assert.equal(batch.scalars[Scalar.cpuTime], 42);
    await hypervisor.stats({ groups, ids: [id], lane: 'free' });
    const asked = daemon.calls('CONNECT_GET_ALL_DOMAIN_STATS').map(({ args }) => args);
    assert.deepEqual(asked, [
      { doms: [], stats: groups | StatsGroup.state, flags: 0x2000_0001 },
      { doms: [{ name: '', uuid: id, id: -1 }], stats: groups | StatsGroup.state, flags: 0x2000_0000 },
    ]);
  });

  it('of an earlier answer stay what they were when later ones come in the same memory', async () => {
    const many = (round: number): DomainStatsRecord[] =>
      Array.from({ length: 300 }, (_, n) => ({
        dom: { ...dom, uuid: `${String(round * 1000 + n).padStart(8, '0')}${wr1.slice(8)}` as VmId },
        params: [
          { field: 'state.state', type: 'int', value: 1 },
          { field: 'cpu.time', type: 'ullong', value: round * 1000 + n },
          { field: 'block.count', type: 'uint', value: 1 },
          { field: 'block.0.name', type: 'string', value: `disk${round}-${n}` },
        ],
      }));
    let round = 0;
    daemon.answer('CONNECT_GET_ALL_DOMAIN_STATS', () => ({ records: many(round++) }));
    const ask = () => hypervisor.stats({ groups, lane: 'backed' });
    const batches = [await ask(), ...(await Promise.all([ask(), ask(), ask()])), await ask()];
    const expected = [0, 1, 2, 3, 4].map(many);
    for (const [at, batch] of batches.entries()) {
      assert.deepEqual(
        batch.vmIds,
        expected[at]!.map((each) => each.dom.uuid),
      );
      assert.equal(batch.blockNames[299], `disk${at}-299`);
      assert.equal(batch.scalars[299 * SCALARS + Scalar.cpuTime], at * 1000 + 299);
    }
  });

  it('fall back to calls per domain where the bulk answer lacks the CPU time of a running domain', async () => {
    daemon.answer('CONNECT_GET_ALL_DOMAIN_STATS', () => ({ records: [record(false)] }));
    daemon.answer('CONNECT_LIST_ALL_DOMAINS', () => ({ domains: [dom], ret: 1 }));
    daemon.answer('DOMAIN_GET_INFO', () => ({ state: 1, maxMem: 9, memory: 8, vcpus: 1, cpuTime: 77 }));
    for (let round = 0; round < 2; round++) {
      const batch = await hypervisor.stats({ groups, lane: 'backed' });
      assert.equal(batch.scalars[Scalar.cpuTime], 77);
    }
    assert.equal(daemon.calls('DOMAIN_GET_INFO').length, 2);
  });

  it('come in bulk for good once a running domain had its CPU time, also after one that had none', async () => {
    const ending = { ...record(false), dom: { ...dom, uuid: `00000000${wr1.slice(8)}` as VmId } };
    const answers = [[ending], [ending, record(true)], [ending]];
    daemon.answer('CONNECT_GET_ALL_DOMAIN_STATS', () => ({ records: answers.shift() ?? [] }));
    daemon.answer('CONNECT_LIST_ALL_DOMAINS', () => ({ domains: [], ret: 0 }));
    for (let round = 0; round < 3; round++) await hypervisor.stats({ groups, lane: 'backed' });
    assert.equal(daemon.calls('CONNECT_GET_ALL_DOMAIN_STATS').length, 3);
    assert.equal(daemon.calls('CONNECT_LIST_ALL_DOMAINS').length, 1, 'per domain in the first round only');
  });

  it('do not take a domain that is not running for a sign', async () => {
    const off = { ...record(false), params: [{ field: 'state.state', type: 'int' as const, value: 5 }] };
    daemon.answer('CONNECT_GET_ALL_DOMAIN_STATS', () => ({ records: [off] }));
    const batch = await hypervisor.stats({ groups, lane: 'backed' });
    assert.ok(Number.isNaN(batch.scalars[Scalar.cpuTime]));
    await hypervisor.stats({ groups, lane: 'backed' });
    assert.equal(daemon.calls('CONNECT_GET_ALL_DOMAIN_STATS').length, 2);
  });

  it('go call by call from the start with libvirt’s test driver', async () => {
    daemon.answer('CONNECT_GET_TYPE', () => ({ type: 'TEST' }));
    daemon.answer('CONNECT_LIST_ALL_DOMAINS', () => ({ domains: [dom], ret: 1 }));
    daemon.answer('DOMAIN_GET_STATE', () => ({ state: 1, reason: 0 }));
    await hypervisor.stats({ groups: StatsGroup.state, lane: 'free' });
    assert.equal(daemon.calls('CONNECT_GET_ALL_DOMAIN_STATS').length, 0);
  });
});
