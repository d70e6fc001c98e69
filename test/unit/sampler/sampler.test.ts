import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../src/domain/hypervisor.js';
import type { VmId } from '../../../src/domain/ids.js';
import { StatsGroup } from '../../../src/domain/stats.js';
import { Sampler, type SamplerOptions } from '../../../src/sampler/sampler.js';
import { silentLogger } from '../../../src/util/log.js';
import { createMetrics } from '../../../src/util/metrics.js';
import { ManualClock, settle } from '../../support/manual-clock.js';
import { makeVm, TestVms, vmId } from './fixtures.js';
import { ScriptedHypervisor } from './scripted-hypervisor.js';

type Json = Record<string, unknown>;

/** A sampler over `count` running VMs, and what a test needs to look at. */
function setUp(count: number, options: Partial<SamplerOptions> = {}) {
  const clock = new ManualClock();
  const ids = Array.from({ length: count }, (_, n) => vmId(n));
  const hypervisor = new ScriptedHypervisor(clock, ...ids);
  const vms = new TestVms(...ids.map((id) => makeVm({ id })));
  const metrics = createMetrics();
  const health: [VmId, boolean][] = [];
  const sampler = new Sampler({
    hypervisor,
    vms,
    clock,
    log: silentLogger,
    metrics,
    shardSize: 4,
    onMonitorHealth: (id, responsive) => {
      health.push([id, responsive]);
      vms.put({ ...vms.get(id)!, monitorResponsive: responsive });
    },
    ...options,
  });
  const start = async (): Promise<void> => {
    await sampler.start();
    await rest();
  };
  const rest = (): Promise<void> => settle(40);
  /** Moves time on and lets the cycles of that time end. */
  const advance = async (ms: number): Promise<void> => {
    await clock.advance(ms);
    await rest();
  };
  const all = (): Json[] =>
    JSON.parse(Buffer.concat([...sampler.snapshot.pages()]).toString('utf8')) as Json[];
  const one = (id: VmId): Json => all().find((record) => record['vmId'] === id)!;
  return { clock, ids, hypervisor, vms, metrics, health, sampler, start, advance, rest, all, one };
}

async function counted(
  metrics: ReturnType<typeof createMetrics>,
  name: 'sampler_ticks_total',
  result: string,
): Promise<number> {
  const { values } = await metrics[name].get();
  return values.find(({ labels }) => labels['result'] === result)?.value ?? 0;
}

async function total(
  metrics: ReturnType<typeof createMetrics>,
  name: 'sampler_late_vms_total' | 'sampler_dropped_batches_total',
): Promise<number> {
  return (await metrics[name].get()).values[0]?.value ?? 0;
}

describe('a sampling cycle', () => {
  it('lists every VM with defaults before the first sample', async () => {
    const { sampler, all, hypervisor } = setUp(3);
    hypervisor.setState('connecting');
    await sampler.start();
    assert.deepEqual(
      all().map((record) => [record['vmId'], record['cpuUser'], 'disks' in record]),
      [0, 1, 2].map((n) => [vmId(n), '0.00', false]),
    );
    assert.equal(sampler.snapshot.sampledAtMs, undefined);
    await sampler.stop();
  });

  it('shows rates after the second tick, by the real interval', async () => {
    const { sampler, start, advance, one, metrics } = setUp(10);
    await start();
    assert.equal(one(vmId(9))['cpuUser'], '0.00');
    await advance(15_000);
    const record = one(vmId(9));
    assert.equal(record['cpuUser'], '50.00');
    assert.equal((record['disks'] as Record<string, Json>)['sda']!['readRate'], '1000.0');
    assert.equal((record['network'] as Record<string, Json>)['vnet0']!['rx'], '1015000');
    assert.equal(record['vcpuCount'], '2');
    assert.equal(await counted(metrics, 'sampler_ticks_total', 'ok'), 2);
    await sampler.stop();
  });

  it('asks for monitor-free groups once and for the others in explicit shards', async () => {
    const { sampler, start, ids, hypervisor } = setUp(10);
    await start();
    assert.deepEqual(hypervisor.idsAsked('free'), [undefined]);
    assert.deepEqual(hypervisor.idsAsked('backed').flat(), ids);
    assert.ok(hypervisor.idsAsked('backed').every((shard) => shard!.length <= 4));
    const free = hypervisor.requests.find(({ lane }) => lane === 'free')!;
    assert.equal(free.groups, StatsGroup.state | StatsGroup.interface);
    await sampler.stop();
  });

  it('asks for vCPUs in every fourth tick only, once they are known', async () => {
    const { sampler, start, advance, hypervisor, one } = setUp(1);
    await start();
    for (let tick = 1; tick < 9; tick++) await advance(15_000);
    const asked = hypervisor.requests
      .filter(({ lane }) => lane === 'backed')
      .map(({ groups }) => (groups & StatsGroup.vcpu) !== 0);
    assert.deepEqual(asked, [true, false, false, true, false, false, false, true, false]);
    assert.equal(one(vmId(0))['vcpuCount'], '2');
    await sampler.stop();
  });

  it('samples paused VMs, and neither those that are Down nor those that wait for their launch', async () => {
    const { sampler, start, advance, vms, hypervisor, one } = setUp(3);
    vms.put(makeVm({ id: vmId(0), status: 'Paused', cpuRunning: false }));
    const exit = { code: 0, reason: 7, message: 'User shut down from within the guest' } as const;
    vms.put(makeVm({ id: vmId(1), internal: 'Down', status: 'Down', exit }));
    vms.put(makeVm({ id: vmId(2), internal: 'WaitForLaunch', status: 'WaitForLaunch' }));
    await start();
    await advance(15_000);
    assert.deepEqual(hypervisor.idsAsked('backed'), [[vmId(0)], [vmId(0)]]);
    assert.equal(one(vmId(0))['cpuUser'], '50.00');
    assert.equal(one(vmId(1))['exitReason'], 7);
    await sampler.stop();
  });

  it('samples a VM that began to run shortly after, so that the next tick gives rates', async () => {
    const { sampler, start, advance, vms, hypervisor, one } = setUp(2);
    await start();
    await advance(5000);
    hypervisor.running.add(vmId(7));
    vms.put(makeVm({ id: vmId(7) }));
    await advance(1000);
    assert.deepEqual(hypervisor.idsAsked('backed').at(-1), [vmId(7)]);
    await advance(9000);
    assert.equal(one(vmId(7))['cpuUser'], '50.00');
    await sampler.stop();
  });

  it('forgets the samples of the QEMU process before', async () => {
    const { sampler, start, advance, vms, one } = setUp(1);
    await start();
    await advance(15_000);
    const exit = { code: 0, reason: 6, message: '' } as const;
    vms.put(makeVm({ internal: 'Down', status: 'Down', exit }));
    vms.put(makeVm());
    assert.equal(one(vmId(0))['cpuUser'], '0.00');
    assert.equal('network' in one(vmId(0)), false);
    await sampler.stop();
  });

  it('forgets them too where only the CPU time tells of a new process', async () => {
    const { sampler, start, advance, hypervisor, one } = setUp(1);
    await start();
    await advance(15_000);
    hypervisor.cpuPercent = 10;
    await advance(15_000);
    assert.equal(one(vmId(0))['cpuActual'], false);
    await advance(15_000);
    assert.equal(one(vmId(0))['cpuUser'], '10.00');
    await sampler.stop();
  });

  it('cuts the monitor-free call where there are thousands of VMs', async () => {
    const { sampler, start, advance, hypervisor, all } = setUp(4500, { shardSize: 64 });
    await start();
    await settle(400);
    const slices = hypervisor.idsAsked('free').map((ids) => ids!.length);
    assert.deepEqual(slices, Array(18).fill(250));
    await advance(15_000);
    await settle(400);
    assert.ok(all().every((record) => record['cpuUser'] === '50.00' && 'network' in record));
    await sampler.stop();
  });
});

describe('a stuck guest', () => {
  it('costs no other VM its sample, not even those of its shard', async () => {
    const { sampler, start, advance, hypervisor, one, ids, health, metrics } = setUp(10);
    await start();
    hypervisor.stuck.add(vmId(1));
    await advance(15_000);
    await advance(2000);
    const others = ids.filter((id) => id !== vmId(1));
    assert.deepEqual(new Set(others.map((id) => one(id)['cpuActual'])), new Set([true]));
    assert.deepEqual(health, [[vmId(1), false]]);
    assert.equal(one(vmId(1))['monitorResponse'], '-1');
    assert.equal(await total(metrics, 'sampler_late_vms_total'), 0, 'the one in quarantine is not late');
    assert.equal(await counted(metrics, 'sampler_ticks_total', 'partial'), 1);
    await sampler.stop();
  });

  it('is not asked again while its monitor is held, and is well again with the first sample after', async () => {
    const { sampler, start, advance, hypervisor, health, one } = setUp(10);
    await start();
    hypervisor.stuck.add(vmId(1));
    await advance(17_000);
    const before = hypervisor.idsAsked('backed').length;
    await advance(15_000);
    const later = hypervisor.idsAsked('backed').slice(before).flat();
    assert.equal(later.includes(vmId(1)), false);
    assert.equal(later.length, 9);
    hypervisor.thaw(vmId(1));
    await advance(15_000);
    assert.deepEqual(health, [
      [vmId(1), false],
      [vmId(1), true],
    ]);
    assert.equal(one(vmId(1))['monitorResponse'], '0');
    assert.equal(one(vmId(1))['cpuUser'], '43.33', 'it ran for 13 of 15 s');
    await sampler.stop();
  });

  it('does not delay the others where there are more of them than parallel calls', async () => {
    const { sampler, start, advance, hypervisor, ids, one } = setUp(40);
    await start();
    for (let n = 0; n < 40; n += 5) hypervisor.stuck.add(vmId(n));
    await advance(15_000);
    await advance(7400);
    const healthy = ids.filter((id) => !hypervisor.stuck.has(id));
    assert.deepEqual(new Set(healthy.map((id) => one(id)['cpuActual'])), new Set([true]));
    await sampler.stop();
  });

  it('is reported by the age of its sample where calls do answer without what its monitor tells', async () => {
    const { sampler, start, advance, hypervisor, health, one } = setUp(2);
    await start();
    hypervisor.busy.add(vmId(0));
    await advance(45_000);
    assert.equal(health.length, 0);
    assert.equal(one(vmId(0))['cpuUser'], '50.00');
    await advance(15_000);
    assert.deepEqual(health, [[vmId(0), false]]);
    assert.equal(sampler.oldestSampleAgeMs(), 60_000);
    hypervisor.busy.clear();
    await advance(15_000);
    assert.deepEqual(health.at(-1), [vmId(0), true]);
    await sampler.stop();
  });

  it('is not reported while it migrates', async () => {
    const { sampler, start, advance, hypervisor, health, vms } = setUp(1);
    vms.put(makeVm({ internal: 'Migration Source', status: 'Migration Source' }));
    await start();
    hypervisor.busy.add(vmId(0));
    await advance(90_000);
    assert.deepEqual(health, []);
    await sampler.stop();
  });
});

describe('a call that fails', () => {
  it('is repeated in halves where no domain stands out', async () => {
    const { sampler, start, hypervisor } = setUp(4);
    hypervisor.failure = new HypervisorError('failed', 'Unable to encode message payload');
    await start();
    assert.deepEqual(hypervisor.idsAsked('backed'), [
      [vmId(0), vmId(1), vmId(2), vmId(3)],
      [vmId(0), vmId(1)],
      [vmId(2), vmId(3)],
    ]);
    await sampler.stop();
  });

  it('is held against nobody, nor repeated, where it was not even sent', async () => {
    const { sampler, start, advance, hypervisor, health } = setUp(2, { shardSize: 1 });
    hypervisor.failure = new HypervisorError('busy', 'the calls before it hang');
    await start();
    await advance(15_000);
    assert.equal(hypervisor.idsAsked('backed').length, 4, 'two VMs in two cycles');
    assert.equal(hypervisor.controlInfoCalls, 0);
    assert.deepEqual(health, []);
    await sampler.stop();
  });

  it('does not hold up the monitor-backed figures where it is the monitor-free one', async () => {
    const { sampler, start, advance, hypervisor, one } = setUp(2);
    await start();
    hypervisor.hungLanes.add('free');
    await advance(15_000);
    await advance(1000);
    assert.equal(one(vmId(0))['cpuUser'], '50.00');
    await sampler.stop();
  });

  it('is dropped and counted where its answer comes after the deadline', async () => {
    const { sampler, start, advance, hypervisor, metrics, one } = setUp(2);
    hypervisor.latencyMs = 7600;
    await start();
    await advance(8000);
    assert.equal(await total(metrics, 'sampler_dropped_batches_total'), 2);
    hypervisor.latencyMs = 0;
    await advance(7000);
    assert.equal(one(vmId(0))['cpuActual'], false);
    await sampler.stop();
  });

  it('that outlasts a period is not repeated on top of itself', async () => {
    const { sampler, start, advance, hypervisor, metrics } = setUp(2);
    hypervisor.latencyMs = 16_000;
    await start();
    await advance(15_000);
    assert.equal(hypervisor.requests.length, 4, 'the monitor-free call, the shard, and its VMs alone');
    assert.equal(await counted(metrics, 'sampler_ticks_total', 'overlapped'), 1);
    await sampler.stop();
  });
});

describe('without the hypervisor', () => {
  it('no calls are made, ages grow, nobody is blamed, and records stay as they were', async () => {
    const { sampler, start, advance, hypervisor, health, one, metrics } = setUp(1);
    await start();
    await advance(15_000);
    const { statusTime } = one(vmId(0));
    hypervisor.setState('lost');
    const calls = hypervisor.requests.length;
    await advance(75_000);
    assert.equal(hypervisor.requests.length, calls);
    assert.equal(sampler.oldestSampleAgeMs(), 75_000);
    assert.equal((await metrics.sampler_oldest_sample_seconds.get()).values[0]?.value, 75);
    assert.deepEqual(health, []);
    assert.equal(one(vmId(0))['statusTime'], statusTime);
    hypervisor.setState('open');
    await settle(40);
    assert.equal(sampler.oldestSampleAgeMs(), 0);
    assert.deepEqual(health, []);
    await sampler.stop();
  });

  it('the time that passed is not held against a VM whose monitor is busy just after', async () => {
    const { sampler, start, advance, hypervisor, health } = setUp(1);
    await start();
    hypervisor.setState('lost');
    await advance(75_000);
    hypervisor.busy.add(vmId(0));
    hypervisor.setState('open');
    await advance(45_000);
    assert.equal(health.length, 0);
    await advance(15_000);
    assert.deepEqual(health, [[vmId(0), false]]);
    await sampler.stop();
  });
});

describe('a change between ticks', () => {
  it('shows at once, with a statusTime that is not older than an event sent for it', async () => {
    const { sampler, start, clock, vms, one } = setUp(2);
    await start();
    await clock.advance(3000);
    vms.put(makeVm({ id: vmId(1), status: 'Paused', cpuRunning: false, pauseCode: 'EIO' }));
    const eventTime = 2 ** 31 - 1 + Math.floor(clock.nowMs());
    assert.equal(one(vmId(1))['status'], 'Paused');
    assert.equal(one(vmId(1))['pauseCode'], 'EIO');
    assert.ok(Number(one(vmId(1))['statusTime']) >= eventTime);
    assert.ok(Number(one(vmId(0))['statusTime']) < eventTime);
    await sampler.stop();
  });

  it('takes a VM out of the answer when it is forgotten', async () => {
    const { sampler, start, vms, all } = setUp(2);
    await start();
    vms.forget(vmId(0));
    assert.deepEqual(
      all().map((record) => record['vmId']),
      [vmId(1)],
    );
    assert.equal(sampler.snapshot.record(vmId(0)), undefined);
    await sampler.stop();
  });
});

describe('stopping', () => {
  for (const hung of [false, true]) {
    it(`leaves no timer, listener or call behind${hung ? ', even in the middle of a cycle' : ''}`, async () => {
      const { sampler, start, clock, hypervisor, vms } = setUp(10);
      if (hung) hypervisor.stuck.add(vmId(0));
      await start();
      vms.put(makeVm({ id: vmId(77) }));
      await sampler.stop();
      await sampler.stop();
      assert.equal(clock.pendingTimers, 0);
      assert.equal(hypervisor.listenerCount, 0);
      assert.equal(vms.listenerCount, 0);
      assert.equal(hypervisor.pending, 0);
    });
  }
});
