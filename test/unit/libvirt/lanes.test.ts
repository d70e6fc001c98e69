import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { HypervisorError } from '../../../src/domain/hypervisor.js';
import type { VmId } from '../../../src/domain/ids.js';
import { Lane } from '../../../src/libvirt/lanes.js';
import type { LaneHooks } from '../../../src/libvirt/lanes.js';
import type { LibvirtTarget } from '../../../src/libvirt/uri.js';
import { RateLimiter, silentLogger } from '../../../src/util/log.js';
import { createMetrics } from '../../../src/util/metrics.js';
import type { Metrics } from '../../../src/util/metrics.js';
import { ManualClock } from '../../support/manual-clock.js';
import { DaemonFault, FakeDaemon } from './fake-daemon.js';
import { wr1 } from './golden-packets.js';

let daemon: FakeDaemon;
let clock: ManualClock;
let lanes: Lane[];
let metrics: Metrics;

beforeEach(() => {
  daemon = new FakeDaemon();
  clock = new ManualClock();
  lanes = [];
  metrics = createMetrics();
});

afterEach(async () => {
  for (const lane of lanes) await lane.stop();
  assert.equal(clock.pendingTimers, 0, 'a stopped lane leaves no timer');
  await daemon.dispose();
});

function lane(hooks: LaneHooks = {}, persistent = false, target: LibvirtTarget = daemon.target): Lane {
  const created = new Lane(
    { name: persistent ? 'events' : 'free', target, persistent, hooks },
    { clock, log: silentLogger, metrics, limiter: new RateLimiter(clock) },
  );
  lanes.push(created);
  return created;
}

describe('a lane that connects on demand', () => {
  it('opens one connection for all calls that need it at the same time', async () => {
    await daemon.start();
    const free = lane();
    assert.equal(daemon.received.length, 0);
    await Promise.all([1, 2, 3].map(() => free.call('CONNECT_GET_TYPE', undefined)));
    assert.equal(daemon.calls('CONNECT_OPEN').length, 1);
  });

  it('rejects at once where no daemon is, naming URI and socket, and finds it when it is there', async () => {
    const free = lane();
    await assert.rejects(
      free.call('CONNECT_GET_TYPE', undefined),
      (error: unknown) =>
        error instanceof HypervisorError &&
        error.kind === 'unavailable' &&
        error.message.includes('qemu:///fake') &&
        error.message.includes(daemon.path),
    );
    await daemon.start();
    assert.deepEqual(await free.call('CONNECT_GET_TYPE', undefined), { type: 'QEMU' });
  });

  it('connects anew after a loss', async () => {
    await daemon.start();
    const lost: Error[] = [];
    const free = lane({ lost: (error) => lost.push(error) });
    await free.call('CONNECT_GET_TYPE', undefined);
    await daemon.stop();
    await assert.rejects(free.call('CONNECT_GET_TYPE', undefined), HypervisorError);
    await daemon.start();
    assert.deepEqual(await free.call('CONNECT_GET_TYPE', undefined), { type: 'QEMU' });
    assert.equal(lost.length, 1);
  });

  it('lets a call’s deadline count while it connects', async () => {
    daemon.silence('AUTH_LIST');
    await daemon.start();
    const call = assert.rejects(
      lane().call('CONNECT_GET_TYPE', undefined, { deadlineMs: 2000 }),
      (error: unknown) => error instanceof HypervisorError && error.kind === 'unavailable',
    );
    await daemon.receives('AUTH_LIST');
    await clock.advance(2000);
    await call;
  });
});

describe('a lane on which calls hang', () => {
  const dom = { name: 'vm1', uuid: wr1 as VmId, id: 7 };

  const connections = (): number => daemon.sockets.size;

  async function hang(onLane: Lane, count: number): Promise<void> {
    const before = daemon.calls('DOMAIN_SUSPEND').length;
    const calls = Array.from({ length: count }, () =>
      assert.rejects(
        onLane.call('DOMAIN_SUSPEND', { dom }, { deadlineMs: 5000 }),
        (error: unknown) => error instanceof HypervisorError && error.kind === 'timeout',
      ),
    );
    await daemon.receives('DOMAIN_SUSPEND', before + count);
    await clock.advance(5000);
    await Promise.all(calls);
  }

  it('uses the slots that are left, then a fresh connection, and closes what is idle again', async () => {
    daemon.silence('DOMAIN_SUSPEND');
    await daemon.start();
    const verbs = lane();
    await hang(verbs, 3);
    assert.deepEqual(await verbs.call('CONNECT_GET_TYPE', undefined), { type: 'QEMU' });
    assert.equal(connections(), 1, 'a slot was left');
    await hang(verbs, 1);
    assert.equal(verbs.hangingCalls, 4);
    assert.deepEqual(await verbs.call('CONNECT_GET_TYPE', undefined), { type: 'QEMU' });
    assert.equal(connections(), 2);

    for (const call of daemon.calls('DOMAIN_SUSPEND')) daemon.reply(call, 'DOMAIN_SUSPEND', undefined);
    while (connections() > 1) {
      await verbs.call('CONNECT_GET_TYPE', undefined);
      await new Promise(setImmediate);
    }
    assert.equal(verbs.hangingCalls, 0);
    assert.equal(daemon.calls('CONNECT_OPEN').length, 2);
    const { values } = await metrics.libvirt_set_aside_total.get();
    assert.deepEqual(
      values.map(({ value }) => value),
      [1],
    );
    assert.equal((await metrics.libvirt_reconnects_total.get()).values.length, 0, 'nothing was lost');
  });

  it('keeps no call waiting behind those that hang, although all were made together', async () => {
    daemon.silence('DOMAIN_SUSPEND');
    await daemon.start();
    const verbs = lane();
    await hang(verbs, 3);
    daemon.silence('DOMAIN_RESUME');
    const resumed = [1, 2, 3, 4].map(() => verbs.call('DOMAIN_RESUME', { dom }));
    const calls = await daemon.receives('DOMAIN_RESUME', 4);
    assert.equal(connections(), 2);
    for (const call of calls) daemon.reply(call, 'DOMAIN_RESUME', undefined);
    await Promise.all(resumed);
  });

  it('opens further connections where it is wide and all slots are taken, three at most', async () => {
    await daemon.start();
    const starts = new Lane(
      { name: 'starts', target: daemon.target, wide: true },
      { clock, log: silentLogger, metrics, limiter: new RateLimiter(clock) },
    );
    lanes.push(starts);
    daemon.silence('DOMAIN_RESUME');
    const calls = Array.from({ length: 13 }, () => starts.call('DOMAIN_RESUME', { dom }));
    const sent = await daemon.receives('DOMAIN_RESUME', 12);
    assert.equal(daemon.calls('CONNECT_OPEN').length, 3);
    for (const call of sent) daemon.reply(call, 'DOMAIN_RESUME', undefined);
    const [last] = (await daemon.receives('DOMAIN_RESUME', 13)).slice(12);
    assert.ok(last);
    daemon.reply(last, 'DOMAIN_RESUME', undefined);
    await Promise.all(calls);
  });

  it('lets no more than eight hang, and then refuses at once', async () => {
    daemon.silence('DOMAIN_SUSPEND');
    await daemon.start();
    const verbs = lane();
    for (const count of [1, 1, 2, 4]) await hang(verbs, count);
    assert.equal(daemon.sockets.size, 2);
    await assert.rejects(
      verbs.call('CONNECT_GET_TYPE', undefined),
      (error: unknown) => error instanceof HypervisorError && error.kind === 'busy',
    );
    assert.equal(daemon.sockets.size, 2);
    const [first] = daemon.calls('DOMAIN_SUSPEND');
    daemon.reply(first!, 'DOMAIN_SUSPEND', undefined);
    while (verbs.hangingCalls === 8) await new Promise(setImmediate);
    assert.deepEqual(await verbs.call('CONNECT_GET_TYPE', undefined), { type: 'QEMU' });
  });

  it('loses nothing of the fresh connection when the old one is lost', async () => {
    daemon.silence('DOMAIN_SUSPEND');
    await daemon.start();
    const lost: Error[] = [];
    const verbs = lane({ lost: (error) => lost.push(error) });
    await hang(verbs, 4);
    await verbs.call('CONNECT_GET_TYPE', undefined);
    const fresh = verbs.connection;
    const [old] = daemon.calls('DOMAIN_SUSPEND');
    old!.socket.destroy();
    while (connections() > 1) await new Promise(setImmediate);
    assert.deepEqual(await verbs.call('CONNECT_GET_TYPE', undefined), { type: 'QEMU' });
    assert.equal(verbs.connection, fresh);
    assert.equal(lost.length, 0);
  });
});

describe('a lane that stays connected', () => {
  it('asks a daemon that lets it in and dies ever more slowly', async () => {
    await daemon.start();
    let next: () => void = () => undefined;
    const events = lane({ lost: () => next(), ready: () => next() }, true);
    await events.start();
    for (const pauseMs of [50, 100, 200]) {
      const lost = new Promise<void>((resolve) => (next = resolve));
      for (const socket of daemon.sockets) socket.destroy();
      await lost;
      const opens = daemon.calls('CONNECT_OPEN').length;
      await clock.advance(pauseMs - 1);
      assert.equal(clock.pendingTimers, 1, 'it waits');
      assert.equal(daemon.calls('CONNECT_OPEN').length, opens);
      const ready = new Promise<void>((resolve) => (next = resolve));
      await clock.advance(1);
      await ready;
    }
  });

  it('tries until the daemon is there, a second apart at most', async () => {
    let failures = 0;
    let ready: () => void = () => undefined;
    const isReady = new Promise<void>((resolve) => (ready = resolve));
    const events = lane({ failed: () => failures++, ready: () => ready() }, true);
    await events.start();
    assert.equal(failures, 1);
    await daemon.start();
    await clock.advance(1000);
    await isReady;
    assert.ok(events.connection);
  });

  it('runs its hook on every connection before it is ready', async () => {
    await daemon.start();
    const steps: string[] = [];
    let ready: () => void = () => undefined;
    const nextReady = (): Promise<void> => new Promise((resolve) => (ready = resolve));
    const events = lane(
      {
        opened: async (connection) => {
          await connection.call('CONNECT_GET_TYPE', undefined);
          steps.push('opened');
        },
        ready: () => {
          steps.push('ready');
          ready();
        },
        lost: () => {
          steps.push('lost');
          ready();
        },
      },
      true,
    );
    await events.start();
    const lost = nextReady();
    await daemon.stop();
    await lost;
    await daemon.start();
    const again = nextReady();
    await clock.advance(1000);
    await again;
    assert.deepEqual(steps, ['opened', 'ready', 'lost', 'opened', 'ready']);
  });

  it('stops in the middle of an attempt', async () => {
    daemon.silence('CONNECT_OPEN');
    await daemon.start();
    const events = lane({}, true);
    const started = events.start();
    await daemon.receives('CONNECT_OPEN');
    await events.stop();
    await started;
    assert.equal(events.connection, undefined);
  });
});

describe('the choice of socket', () => {
  it('takes the first that answers', async () => {
    await daemon.start();
    const missing = `${daemon.folder}/absent`;
    const free = lane({}, false, { ...daemon.target, socketPaths: [missing, daemon.path] });
    await free.call('CONNECT_GET_TYPE', undefined);
    assert.equal(free.connection?.request.path, daemon.path);
  });

  it('falls back to the read-only socket where access is denied', async () => {
    daemon.answer('AUTH_LIST', () => ({ types: [2] }));
    daemon.answer('AUTH_POLKIT', () => {
      throw new DaemonFault(45, 'access denied by policy');
    });
    await daemon.start();
    const open = new FakeDaemon();
    await open.start();
    const readOnlySocketPaths = [open.path];
    const free = lane({}, false, { ...daemon.target, readOnlySocketPaths });
    await free.call('CONNECT_GET_TYPE', undefined);
    assert.equal(free.connection?.request.readOnly, true);
    assert.deepEqual(open.calls('CONNECT_OPEN')[0]?.args, { name: 'qemu:///system', flags: 1 });
    await free.stop();
    await open.dispose();
  });

  it('does not take the read-only socket just because the other is missing', async () => {
    await daemon.start();
    const readOnlyPath = `${daemon.path}-ro`;
    renameSync(daemon.path, readOnlyPath);
    const free = lane({}, false, { ...daemon.target, readOnlySocketPaths: [readOnlyPath] });
    await assert.rejects(free.call('CONNECT_GET_TYPE', undefined), HypervisorError);
    assert.equal(daemon.received.length, 0);
  });
});
