import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { agentCommands } from '../../../../src/vms/guest-agent/schedule.js';
import { readGolden } from '../../sampler/fixtures.js';
import { PollerBench } from './guests.js';

const OLD = { ageSec: 3600 };

async function started(bench = new PollerBench()): Promise<PollerBench> {
  await bench.poller.start();
  return bench;
}

describe('a guest agent that answers', () => {
  it('ends Powering up, by one event that has all it told', async () => {
    const bench = await started();
    const id = bench.addVm(0);
    assert.equal(bench.vm(id).status, 'Powering up');
    bench.published.length = 0;
    await bench.clock.advance(200);
    assert.equal(bench.vm(id).status, 'Up');
    const [event, ...more] = bench.events(id);
    assert.deepEqual(more, []);
    const recorded = readGolden('vm-stats-with-guest-agent.json') as Record<string, unknown>;
    const { memUsage: _, ...guest } = bench.vm(id).guest;
    assert.deepEqual(event, { status: 'Up', ...guest });
    assert.deepEqual(guest, Object.fromEntries(Object.keys(guest).map((name) => [name, recorded[name]])));
  });

  it('is believed to be there although it is slow, before it has told all', async () => {
    const bench = await started();
    const id = bench.addVm(0);
    bench.guests.of(id).takesMs = 1500;
    await bench.clock.advance(6000);
    assert.equal(bench.vm(id).status, 'Powering up');
    await bench.clock.advance(2000);
    assert.equal(bench.vm(id).status, 'Up');
    assert.equal(bench.vm(id).guest.guestCPUCount, 2);
    assert.equal('disksUsage' in bench.vm(id).guest, false);
  });

  it('is believed to be there although it falls silent in the middle', async () => {
    const bench = await started();
    const id = bench.addVm(0);
    await bench.clock.advance(7);
    bench.guests.of(id).silent = true;
    await bench.clock.advance(6000);
    assert.equal(bench.vm(id).status, 'Up');
  });

  it('is asked everything in each loop for two minutes, then each thing in its period', async () => {
    const bench = await started();
    const id = bench.addVm(0);
    const perMinute = async (command: string): Promise<number> => {
      const before = bench.guests.countOf(command, id);
      await bench.clock.advance(60_000);
      return bench.guests.countOf(command, id) - before;
    };
    await bench.clock.advance(1000);
    assert.equal(await perMinute('filesystem'), 12);
    await bench.clock.advance(60_000);
    assert.equal(await perMinute('users'), 6);
    assert.equal(await perMinute('guest-get-vcpus'), 1);
    const before = bench.guests.countOf('hostname', id);
    await bench.clock.advance(240_000);
    assert.equal(bench.guests.countOf('hostname', id) - before, 2);
    assert.equal(bench.guests.peaks.one, 1);
  });

  it('changes the record only when it tells something else', async () => {
    const bench = await started();
    const id = bench.addVm(0, OLD);
    await bench.clock.advance(1000);
    const { guest } = bench.vm(id);
    await bench.clock.advance(60_000);
    assert.ok(bench.guests.countOf('users', id) >= 6);
    assert.equal(bench.vm(id).guest, guest);
    bench.guests.of(id).info = { ...bench.guests.of(id).info, 'user.count': 1, 'user.0.name': 'anna' };
    await bench.clock.advance(15_000);
    assert.deepEqual(bench.vm(id).guest, { ...guest, username: 'anna' });
    assert.equal(bench.vm(id).guest.netIfaces, guest.netIfaces);
  });

  it('is not asked what it cannot do', async () => {
    const bench = await started();
    const id = bench.addVm(0, OLD);
    bench.guests.of(id).disabled = ['guest-get-devices', 'guest-get-osinfo'];
    await bench.clock.advance(1000);
    const asked = new Set(bench.guests.asked.map(({ command }) => command));
    assert.equal(asked.has('guest-get-devices') || asked.has('os'), false);
    assert.equal(asked.size, agentCommands.length - 2);
    assert.equal('pci_devices' in bench.vm(id).guest, false);
  });

  it('is not asked what the configuration switches off', async () => {
    const bench = await started(new PollerBench({ users: 0, capabilities: 0 }));
    const id = bench.addVm(0, OLD);
    await bench.clock.advance(120_000);
    assert.equal(bench.guests.countOf('users') + bench.guests.countOf('guest-info'), 0);
    assert.equal(bench.vm(id).guest.username, 'Unknown');
    assert.equal(bench.vm(id).guest.guestCPUCount, 2);
  });

  it('is given its limit before the first command, once', async () => {
    const bench = await started();
    const id = bench.addVm(0);
    await bench.clock.advance(60_000);
    assert.deepEqual(bench.guests.limits, [{ id, seconds: 5 }]);
  });

  it('that refuses a command is asked the others, and that one again in its time', async () => {
    const bench = await started();
    const id = bench.addVm(0, OLD);
    bench.guests.of(id).fails = 'failed';
    await bench.clock.advance(59_000);
    assert.equal(bench.guests.countOf('users', id), 6);
    assert.equal(bench.guests.countOf('hostname', id), 1);
    assert.equal(await bench.counted('ok'), 0);
    assert.equal(await bench.silentAgents(), 0);
    assert.equal(bench.vm(id).status, 'Up');
  });
});

describe('a guest that reboots', () => {
  it('is taken for another one: its agent is asked anew, and its first answers end RebootInProgress', async () => {
    const bench = await started();
    const id = bench.addVm(0, OLD);
    await bench.clock.advance(1000);
    bench.published.length = 0;
    bench.guests.of(id).version = '9.0.0';
    bench.reboot(id);
    bench.connect(id, false);
    await bench.clock.advance(10_000);
    assert.equal(bench.vm(id).status, 'RebootInProgress');
    const before = bench.guests.asked.length;
    bench.connect(id, true);
    await bench.clock.advance(1000);
    assert.equal(bench.guests.asked[before]?.command, 'guest-info');
    assert.deepEqual(
      bench.events(id).map(({ status }) => status),
      ['RebootInProgress', 'Up'],
    );
    assert.ok(bench.vm(id).guest.appsList.includes('qemu-guest-agent-9.0.0'));
    assert.equal(bench.guests.limits.length, 2, 'it has the limit from the start');
  });

  it('is not taken for up by an answer that was asked for before', async () => {
    const bench = await started();
    const id = bench.addVm(0, OLD);
    await bench.clock.advance(1000);
    bench.guests.of(id).takesMs = 300;
    await bench.clock.advance(9_100);
    assert.equal(bench.guests.asked.at(-1)?.command, 'users');
    bench.reboot(id);
    bench.guests.of(id).silent = true;
    await bench.clock.advance(1000);
    assert.equal(bench.vm(id).status, 'RebootInProgress');
  });
});

describe('a silent guest agent', () => {
  it('is left alone for a minute, then for longer, and comes back when it answers', async () => {
    const bench = await started();
    const id = bench.addVm(0, OLD);
    await bench.clock.advance(1000);
    bench.guests.of(id).silent = true;
    const from = bench.guests.asked.length;
    await bench.clock.advance(600_000);
    const times = bench.guests.asked.slice(from).map(({ atMs }) => atMs);
    const pauses = times.slice(1).map((at, n) => Math.round((at - (times[n] ?? 0)) / 10_000) * 10);
    // The pause, after the 5 s that it is waited for, up to the next loop.
    assert.deepEqual(pauses, [70, 130, 250]);
    assert.equal(await bench.silentAgents(), 1);
    assert.equal(await bench.counted('silent'), 4);
    bench.guests.of(id).silent = false;
    await bench.clock.advance(600_000);
    assert.equal(await bench.silentAgents(), 0);
    const users = bench.guests.countOf('users', id);
    await bench.clock.advance(60_000);
    assert.equal(bench.guests.countOf('users', id) - users, 6);
  });

  it('is asked at once when its channel is connected again', async () => {
    const bench = await started();
    const id = bench.addVm(0, OLD);
    bench.guests.of(id).silent = true;
    await bench.clock.advance(10_000);
    bench.connect(id, false);
    bench.guests.of(id).silent = false;
    bench.connect(id, true);
    await bench.clock.advance(1000);
    assert.equal(bench.vm(id).guest.guestFQDN, 'vm-0000.example.com');
  });

  it('does not keep the others waiting, however many there are of it', async () => {
    const bench = await started();
    const numbers = Array.from({ length: 20 }, (_, n) => n);
    const good = numbers.map((n) => bench.addVm(n, OLD));
    await bench.clock.advance(30_000);
    const silent = numbers.map((n) => bench.addVm(100 + n, OLD));
    for (const id of silent) bench.guests.of(id).silent = true;
    await bench.clock.advance(300_000);
    for (const id of good) {
      const times = bench.guests.asked.filter((each) => each.id === id && each.command === 'users');
      const gaps = times.slice(1).map(({ atMs }, n) => atMs - (times[n]?.atMs ?? 0));
      assert.ok(times.length >= 32, `${id} ${times.length}`);
      assert.ok(Math.max(...gaps) < 11_000, `${id} waited ${Math.max(...gaps)} ms`);
    }
    for (const id of silent)
      assert.ok(
        bench.guests.asked.some((each) => each.id === id),
        `${id} was starved`,
      );
    assert.equal(bench.guests.peaks.silent, 2);
    assert.ok(bench.guests.peaks.all <= 4);
    assert.equal(bench.guests.peaks.one, 1);
    assert.equal(await bench.silentAgents(), 20);
  });
});

describe('no guest agent is asked', () => {
  const cases: readonly (readonly [string, (bench: PollerBench) => void])[] = [
    ['whose channel is not connected', (bench) => bench.addVm(0, { connected: false })],
    [
      "whose guest's CPUs are stopped",
      (bench) => {
        const id = bench.addVm(0);
        bench.registry.move(id, 'paused-by-verb');
      },
    ],
    [
      'on whose VM a verb works',
      (bench) => {
        bench.registry.locks.take(bench.addVm(0, { connected: false }), 'vm-0', 'VM.freeze');
        bench.connect(bench.addVm(0), true);
      },
    ],
    [
      'of a VM that comes in by migration',
      (bench) => {
        const id = bench.addVm(0, { connected: false });
        bench.registry.move(id, 'found-incoming');
        bench.connect(id, true);
      },
    ],
    [
      'while the hypervisor is away',
      (bench) => {
        bench.status = { ...bench.status, state: 'lost' };
        bench.addVm(0);
      },
    ],
    [
      'over a connection that may only read',
      (bench) => {
        bench.status = { ...bench.status, readOnly: true };
        bench.addVm(0);
      },
    ],
    [
      'of a VM that is Down',
      (bench) => {
        const id = bench.addVm(0, { connected: false });
        bench.registry.move(id, 'stopped-crashed');
        bench.connect(id, true);
      },
    ],
  ];
  for (const [when, arrange] of cases) {
    it(when, async () => {
      const bench = await started();
      arrange(bench);
      bench.guests.asked.length = 0;
      await bench.clock.advance(60_000);
      assert.deepEqual(
        bench.guests.asked.filter(({ atMs }) => atMs > 1_000_000),
        [],
      );
    });
  }

  it('twice in a row after a failure that is not its own, but again in the next loop', async () => {
    const bench = await started();
    const id = bench.addVm(0, OLD);
    bench.guests.of(id).fails = 'busy';
    await bench.clock.advance(20_500);
    assert.equal(bench.guests.asked.length, 5);
    assert.equal(await bench.counted('unasked'), 5);
    assert.equal(await bench.silentAgents(), 0);
    delete bench.guests.of(id).fails;
    await bench.clock.advance(5000);
    assert.equal(bench.vm(id).guest.guestFQDN, 'vm-0000.example.com');
  });

  it('after a stop, which gives up what is under way and leaves no timer', async () => {
    const bench = await started();
    const ids = [0, 1, 2].map((n) => bench.addVm(n, OLD));
    for (const id of ids) bench.guests.of(id).silent = true;
    await bench.clock.advance(100);
    await bench.poller.stop();
    const asked = bench.guests.asked.length;
    bench.addVm(4);
    await bench.clock.advance(100_000);
    assert.equal(bench.guests.asked.length, asked);
    bench.registry.stop();
    assert.equal(bench.clock.pendingTimers, 0);
  });
});
