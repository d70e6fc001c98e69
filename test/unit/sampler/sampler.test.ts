import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../src/domain/hypervisor.js';
import type { VmId } from '../../../src/domain/ids.js';
import { StatsGroup } from '../../../src/domain/stats.js';
import type { ProcessLook, ProcessState } from '../../../src/sampler/quarantine.js';
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
  /** As advance(), in small steps: work that takes many turns is done in time. */
  const live = async (ms: number): Promise<void> => {
    for (let leftMs = ms; leftMs > 0; leftMs -= 125) {
      await clock.advance(Math.min(125, leftMs));
      await settle(60);
    }
  };
  const all = (): Json[] =>
    JSON.parse(Buffer.concat([...sampler.snapshot.pages()]).toString('utf8')) as Json[];
  const one = (id: VmId): Json => all().find((record) => record['vmId'] === id)!;
  return { clock, ids, hypervisor, vms, metrics, health, sampler, start, advance, live, rest, all, one };
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
    const { sampler, start, live, hypervisor, health, one } = setUp(10);
    await start();
    hypervisor.stuck.add(vmId(1));
    await live(17_000);
    const before = hypervisor.idsAsked('backed').length;
    await live(15_000);
    const later = hypervisor.idsAsked('backed').slice(before).flat();
    assert.equal(later.includes(vmId(1)), false);
    assert.equal(later.length, 9);
    hypervisor.thaw(vmId(1));
    await live(15_000);
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
    await advance(1000);
    assert.deepEqual(health, [[vmId(0), false]]);
    assert.equal(sampler.oldestSampleAgeMs(), 61_000);
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

describe('a monitor that somebody else uses just then', () => {
  it('is asked again a moment later, and the VM is not late', async () => {
    const { sampler, start, advance, hypervisor, metrics, one, clock } = setUp(3);
    await start();
    hypervisor.busy.add(vmId(1));
    await advance(15_000);
    hypervisor.busy.delete(vmId(1));
    await advance(100);
    assert.deepEqual(hypervisor.idsAsked('backed').at(-1), [vmId(1)]);
    assert.equal(await total(metrics, 'sampler_late_vms_total'), 0);
    assert.equal((one(vmId(1))['disks'] as Record<string, Json>)['sda']!['readRate'], '1000.0');
    assert.ok(sampler.oldestSampleAgeMs() <= 100, `at ${clock.nowMs()}`);
    await sampler.stop();
  });
});

describe('QEMUs of which the kernel tells', () => {
  const looking = (states: Map<VmId, ProcessState>): { processes: ProcessLook; looks: VmId[] } => {
    const looks: VmId[] = [];
    const look = (id: VmId): ProcessState => {
      looks.push(id);
      return states.get(id) ?? 'alive';
    };
    return { looks, processes: { look, pid: () => 4711, forget: () => undefined } };
  };

  it('are not asked while they are stopped, reported at once, and probed when they run', async () => {
    const states = new Map<VmId, ProcessState>();
    const { sampler, start, advance, hypervisor, health, ids, one, metrics } = setUp(30, looking(states));
    await start();
    for (const id of ids.slice(0, 21)) {
      states.set(id, 'stopped');
      hypervisor.stuck.add(id);
    }
    const before = hypervisor.idsAsked('backed').length;
    await advance(15_000);
    const asked = hypervisor.idsAsked('backed').slice(before).flat();
    assert.deepEqual(new Set(asked), new Set(ids.slice(21)));
    assert.equal(hypervisor.peakStuckCalls, 0);
    assert.equal(hypervisor.controlInfoCalls, 0);
    assert.deepEqual(
      health,
      ids.slice(0, 21).map((id) => [id, false]),
    );
    assert.equal(sampler.quarantined().length, 21);
    assert.deepEqual(
      new Set(sampler.quarantined().map(({ why, pid }) => `${why} ${pid}`)),
      new Set(['stopped 4711']),
    );
    assert.equal(await total(metrics, 'sampler_late_vms_total'), 0);
    assert.equal(one(ids[0]!)['cpuActual'], true, 'its CPU time is still read');

    states.clear();
    hypervisor.thaw(...ids.slice(0, 21));
    await advance(15_000);
    assert.equal(sampler.quarantined().length, 0);
    assert.equal(health.filter(([, responsive]) => responsive).length, 21);
    await sampler.stop();
  });

  it('that freeze within a call cost that call only', async () => {
    const states = new Map<VmId, ProcessState>();
    const { sampler, start, advance, clock, hypervisor, ids, one, metrics } = setUp(40, looking(states));
    await start();
    const victims = ids.filter((_, n) => n % 2 === 0);
    for (const id of victims) hypervisor.stuck.add(id);
    await clock.advance(15_000);
    for (const id of victims) states.set(id, 'stopped');
    await advance(1875);
    assert.ok(hypervisor.stuckCalls <= 4, `${hypervisor.stuckCalls} calls hang`);
    await advance(5600);
    assert.ok(hypervisor.peakStuckCalls <= 4);
    const others = ids.filter((_, n) => n % 2 === 1);
    assert.deepEqual(new Set(others.map((id) => one(id)['cpuActual'])), new Set([true]));
    assert.equal(sampler.quarantined().length, 20);
    assert.equal(await total(metrics, 'sampler_late_vms_total'), 0);
    await sampler.stop();
  });

  it('are asked after a second look where they only wait', async () => {
    const states = new Map<VmId, ProcessState>([[vmId(2), 'waiting']]);
    const { sampler, start, advance, hypervisor, health } = setUp(4, looking(states));
    await start();
    assert.equal(hypervisor.idsAsked('backed').flat().includes(vmId(2)), false);
    await advance(250);
    assert.deepEqual(hypervisor.idsAsked('backed').at(-1), [vmId(2)], 'a wait that comes and goes');
    await advance(14_750);
    states.set(vmId(2), 'blocked');
    await advance(250);
    assert.equal(hypervisor.idsAsked('backed').length, 3);
    assert.deepEqual(health, [[vmId(2), false]]);
    assert.equal(sampler.quarantined()[0]!.why, 'blocked');
    await sampler.stop();
  });

  it('and that run are given until the next cycle before they are reported', async () => {
    const { sampler, start, advance, hypervisor, health } = setUp(4, looking(new Map()));
    await start();
    hypervisor.stuck.add(vmId(0));
    await advance(15_000);
    await advance(7500);
    assert.deepEqual(health, []);
    assert.equal(sampler.quarantined()[0]!.why, 'hung');
    await advance(7500);
    assert.deepEqual(health, [[vmId(0), false]]);
    await sampler.stop();
  });

  it('and that do not come back are probed ever more seldom', async () => {
    const states = new Map<VmId, ProcessState>([[vmId(0), 'stopped']]);
    const { sampler, start, advance, hypervisor } = setUp(1, looking(states));
    await start();
    states.set(vmId(0), 'alive');
    hypervisor.busy.add(vmId(0));
    const probedAt: number[] = [];
    for (let tick = 1; tick <= 40; tick++) {
      const before = hypervisor.idsAsked('backed').length;
      await advance(15_000);
      if (hypervisor.idsAsked('backed').length > before) probedAt.push(tick);
    }
    assert.deepEqual(probedAt, [1, 2, 4, 8, 16, 24, 32, 40]);
    await sampler.stop();
  });
});

describe('QEMUs of which the kernel tells nothing', () => {
  it('cost no healthy VM a sample: 21 of 321 that hang at once', async () => {
    const { sampler, start, live, hypervisor, ids, metrics } = setUp(321, { shardSize: 8 });
    await start();
    await live(1000);
    const victims = ids.filter((_, n) => n % 15 === 7).slice(0, 21);
    for (const id of victims) hypervisor.stuck.add(id);
    const healthy = new Set(ids.filter((id) => !hypervisor.stuck.has(id)));
    // To just before the first tick, and then from tick to tick.
    await live(13_875);
    for (let tick = 0; tick < 4; tick++) {
      await live(5000);
      const late = sampler.late().filter(({ id }) => healthy.has(id));
      assert.deepEqual(late, []);
      assert.ok(hypervisor.stuckCalls <= 4, `${hypervisor.stuckCalls} calls hang`);
      await live(10_000);
    }
    const withheld = (await metrics.sampler_withheld_vms_total.get()).values[0]!.value;
    assert.equal(
      withheld,
      4 * 17,
      'four were found by calls that hang, the others showed no life, each time',
    );
    hypervisor.thaw(...victims);
    await live(15_000);
    assert.deepEqual(sampler.quarantined(), []);
    assert.ok(sampler.oldestSampleAgeMs() <= 16_000);
    await sampler.stop();
  });

  it('end monitor-backed calls when eight of them hang although they run', async () => {
    const { sampler, start, advance, hypervisor, ids } = setUp(64, { shardSize: 1 });
    await start();
    await settle(200);
    for (const id of ids) hypervisor.stuck.add(id);
    hypervisor.stuckUseCpu = true;
    for (let tick = 0; tick < 6; tick++) await advance(15_000);
    assert.ok(hypervisor.peakStuckCalls <= 8, `${hypervisor.peakStuckCalls} calls hang`);
    assert.deepEqual(sampler.stuckCalls.max, 8);
    await sampler.stop();
  });
});

describe('a QEMU that is slow', () => {
  it('is late, never reported, and delays nobody', async () => {
    const { sampler, start, live, hypervisor, health, ids } = setUp(40);
    await start();
    await live(1000);
    hypervisor.slow.set(vmId(5), 5000);
    await live(13_875);
    for (let tick = 0; tick < 6; tick++) {
      await live(4000);
      const late = sampler.late().filter(({ id }) => id !== vmId(5));
      assert.deepEqual(late, []);
      assert.ok(ids.length > 0 && sampler.oldestSampleAgeMs() < 40_000, `${sampler.oldestSampleAgeMs()} ms`);
      await live(11_000);
    }
    assert.deepEqual(health, []);
    assert.deepEqual(sampler.quarantined(), []);
    await sampler.stop();
  });

  it('gets calls of its own, which may outlast the cycle, so that it is sampled all the same', async () => {
    const { sampler, start, live, hypervisor, health } = setUp(8);
    await start();
    hypervisor.slow.set(vmId(5), 9000);
    let oldest = 0;
    for (let step = 0; step < 60; step++) {
      await live(5000);
      if (step > 12) oldest = Math.max(oldest, sampler.oldestSampleAgeMs());
    }
    assert.deepEqual(health, []);
    assert.ok(oldest <= 35_000, `${oldest} ms`);
    const alone = hypervisor.requests.filter(({ ids, lane }) => lane === 'backed' && ids?.length === 1);
    assert.ok(alone.length > 5);
    await sampler.stop();
  });

  it('is looked at twice as well where it waits', async () => {
    const states = new Map<VmId, ProcessState>();
    const look = (id: VmId): ProcessState => states.get(id) ?? 'alive';
    const processes: ProcessLook = { look, pid: () => undefined, forget: () => undefined };
    const { sampler, start, live, hypervisor, metrics } = setUp(4, { processes });
    await start();
    hypervisor.slow.set(vmId(2), 2500);
    await live(46_000);
    states.set(vmId(2), 'waiting');
    const late = await total(metrics, 'sampler_late_vms_total');
    await live(14_125);
    states.set(vmId(2), 'blocked');
    await live(1000);
    assert.equal(sampler.quarantined()[0]?.why, 'blocked');
    assert.equal(await total(metrics, 'sampler_late_vms_total'), late);
    await sampler.stop();
  });

  it('is one of many: then the daemon is slow, and a round is left out', async () => {
    const { sampler, start, live, hypervisor, ids, metrics } = setUp(64);
    await start();
    await live(1000);
    for (const id of ids) hypervisor.slow.set(id, 3000);
    await live(25_000);
    const asked = hypervisor.idsAsked('backed').length;
    const free = hypervisor.idsAsked('free').length;
    await live(7500);
    assert.equal(hypervisor.idsAsked('backed').length, asked);
    assert.equal(hypervisor.idsAsked('free').length, free + 1, 'the monitor-free call is made');
    assert.equal((await metrics.sampler_skipped_rounds_total.get()).values[0]?.value, 1);
    await sampler.stop();
  });
});

describe('a programming error', () => {
  it('in a part does not end sampling: it begins anew with back-off, and says so until it is over', async () => {
    const { sampler, start, advance, hypervisor, metrics, one } = setUp(6);
    await start();
    hypervisor.bug = new TypeError('x is undefined');
    await advance(15_000);
    assert.match(sampler.failure!.message, /x is undefined/);
    const tries: number[] = [];
    for (let step = 0; step < 32; step++) {
      const before = hypervisor.requests.length;
      await advance(15_000 / 16);
      if (hypervisor.requests.length > before) tries.push(step + 1);
    }
    assert.deepEqual(
      tries,
      [1, 3, 7, 15, 16, 32],
      'after 1, 2, 4 and 8 sixteenths of a period, and at each tick',
    );
    assert.ok(sampler.failure!.count >= 5);
    assert.ok((await counted(metrics, 'sampler_ticks_total', 'failed')) >= 5);
    hypervisor.bug = undefined;
    await advance(15_000);
    assert.equal(sampler.failure, undefined);
    await advance(15_000);
    assert.equal(one(vmId(0))['cpuActual'], true);
    await sampler.stop();
  });

  it('in a listener, a timer or the look at a process costs the others nothing', async () => {
    const broken = vmId(3);
    const processes: ProcessLook = {
      look: (id) => {
        if (id === broken) throw new TypeError('no look');
        return 'alive';
      },
      pid: () => undefined,
      forget: () => undefined,
    };
    const { sampler, start, advance, one, ids } = setUp(6, { processes, shardSize: 1 });
    await start();
    await advance(15_000);
    for (const id of ids) assert.equal(one(id)['cpuActual'], id !== broken);
    assert.match(sampler.failure!.message, /no look/);
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
    await advance(1000);
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
