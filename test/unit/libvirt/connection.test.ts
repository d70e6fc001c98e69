import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { HypervisorError } from '../../../src/domain/hypervisor.js';
import type { HypervisorErrorKind } from '../../../src/domain/hypervisor.js';
import type { VmId } from '../../../src/domain/ids.js';
import { Connection } from '../../../src/libvirt/connection.js';
import type { ConnectionListener } from '../../../src/libvirt/connection.js';
import { eventPackets } from '../../../src/libvirt/domain-events.js';
import { LibvirtError } from '../../../src/libvirt/errors.js';
import type { PacketHeader } from '../../../src/libvirt/wire.js';
import { Keepalive, PacketType, Program } from '../../../src/libvirt/wire.js';
import { XdrWriter } from '../../../src/libvirt/xdr.js';
import { RateLimiter, silentLogger } from '../../../src/util/log.js';
import { createMetrics } from '../../../src/util/metrics.js';
import type { Metrics } from '../../../src/util/metrics.js';
import { ManualClock } from '../../support/manual-clock.js';
import { DaemonFault, FakeDaemon } from './fake-daemon.js';
import * as golden from './golden-packets.js';

const dom = { name: 'wr1', uuid: golden.wr1 as VmId, id: 7 };
const onDom = { dom, flags: 0 };

let daemon: FakeDaemon;
let clock: ManualClock;
let metrics: Metrics;
let connections: Connection[];

beforeEach(async () => {
  daemon = new FakeDaemon();
  clock = new ManualClock();
  metrics = createMetrics();
  connections = [];
  await daemon.start();
});

afterEach(async () => {
  for (const connection of connections) await connection.close();
  await daemon.dispose();
});

async function open(listener: ConnectionListener = {}): Promise<Connection> {
  const connection = await Connection.open(
    { path: daemon.path, name: 'qemu:///system', readOnly: false, lane: 'test' },
    { clock, log: silentLogger, metrics, limiter: new RateLimiter(clock) },
    listener,
  );
  connections.push(connection);
  return connection;
}

function kind(expected: HypervisorErrorKind, message = /./): (error: unknown) => boolean {
  return (error) =>
    error instanceof HypervisorError && error.kind === expected && message.test(error.message);
}

async function counter(name: 'libvirt_late_replies_total' | 'libvirt_unknown_total'): Promise<number> {
  const { values } = await metrics[name].get();
  return values.reduce((sum, { value }) => sum + value, 0);
}

describe('opening a connection', () => {
  it('authenticates, asks for keepalive, then opens, one after the other', async () => {
    await open();
    assert.deepEqual(
      daemon.received.map(({ name, header }) => [header.serial, name]),
      [
        [0, 'AUTH_LIST'],
        [1, 'CONNECT_SUPPORTS_FEATURE'],
        [2, 'CONNECT_OPEN'],
      ],
    );
    assert.deepEqual(daemon.calls('CONNECT_OPEN')[0]?.args, { name: 'qemu:///system', flags: 0 });
  });

  it('goes through polkit where the daemon asks for it', async () => {
    daemon.answer('AUTH_LIST', () => ({ types: [2] }));
    daemon.answer('AUTH_POLKIT', () => ({ complete: 1 }));
    const connection = await open();
    assert.equal(connection.state, 'open');
  });

  it('is denied where polkit says no', async () => {
    daemon.answer('AUTH_LIST', () => ({ types: [2] }));
    daemon.answer('AUTH_POLKIT', () => {
      throw new DaemonFault(45, 'authentication failed: access denied by policy');
    });
    await assert.rejects(open(), kind('denied'));
  });

  it('says the way out where only SASL is offered', async () => {
    daemon.answer('AUTH_LIST', () => ({ types: [1] }));
    await assert.rejects(open(), kind('unsupported', /SASL.*auth_unix_rw/));
  });

  it('does not wait for ever for a daemon that accepts and says nothing', async () => {
    daemon.silence('AUTH_LIST');
    const opening = assert.rejects(open(), kind('timeout', /AUTH_LIST/));
    await daemon.receives('AUTH_LIST');
    await clock.advance(10_000);
    await opening;
    assert.equal(clock.pendingTimers, 0);
  });

  it('names the missing socket', async () => {
    await daemon.stop();
    await assert.rejects(open(), kind('unavailable', /libvirt-sock/));
  });

  it('fails when the daemon hangs up in the middle', async () => {
    daemon.silence('CONNECT_OPEN');
    const opening = assert.rejects(open(), kind('unavailable', /closed/));
    const [call] = await daemon.receives('CONNECT_OPEN');
    call?.socket.destroy();
    await opening;
  });

  it('fails when the daemon sends garbage right behind its last reply', async () => {
    daemon.silence('CONNECT_OPEN');
    const opening = assert.rejects(open(), kind('unavailable'));
    const [call] = await daemon.receives('CONNECT_OPEN');
    call?.socket.cork();
    daemon.reply(call!, 'CONNECT_OPEN', undefined);
    call?.socket.write(Buffer.from([0, 0, 0, 27]));
    call?.socket.uncork();
    await opening;
    assert.equal(clock.pendingTimers, 0);
  });
});

describe('calls', () => {
  it('give each caller its own reply although replies come out of order', async () => {
    const connection = await open();
    daemon.silence('DOMAIN_GET_STATE');
    const answers = [1, 2, 3].map(() => connection.call('DOMAIN_GET_STATE', onDom));
    const calls = await daemon.receives('DOMAIN_GET_STATE', 3);
    [2, 0, 1].forEach((i) => daemon.reply(calls[i]!, 'DOMAIN_GET_STATE', { state: i, reason: 0 }));
    assert.deepEqual(
      (await Promise.all(answers)).map(({ state }) => state),
      [0, 1, 2],
    );
  });

  it('reject with the daemon’s error, naming procedure and domain', async () => {
    const connection = await open();
    daemon.answer('DOMAIN_SUSPEND', () => {
      throw new DaemonFault(55, 'Requested operation is not valid: domain is not running');
    });
    await assert.rejects(connection.call('DOMAIN_SUSPEND', onDom), (error: unknown) => {
      assert.ok(error instanceof LibvirtError);
      assert.deepEqual([error.kind, error.code], ['invalid-state', 55]);
      assert.match(error.message, /DOMAIN_SUSPEND of wr1/);
      return true;
    });
  });

  it('wait from the fifth on, and priority calls go first', async () => {
    const connection = await open();
    for (const name of ['DOMAIN_GET_INFO', 'DOMAIN_SUSPEND', 'DOMAIN_GET_STATE'] as const)
      daemon.silence(name);
    const info = { state: 1, maxMem: 1, memory: 1, vcpus: 1, cpuTime: 1 };
    const running = [1, 2, 3, 4].map(() => connection.call('DOMAIN_GET_INFO', { dom }));
    const fifth = connection.call('DOMAIN_SUSPEND', { dom });
    const priority = connection.call('DOMAIN_GET_STATE', onDom);
    const calls = await daemon.receives('DOMAIN_GET_INFO', 4);
    assert.deepEqual([daemon.calls('DOMAIN_SUSPEND'), daemon.calls('DOMAIN_GET_STATE')], [[], []]);

    daemon.reply(calls[0]!, 'DOMAIN_GET_INFO', info);
    const [state] = await daemon.receives('DOMAIN_GET_STATE');
    assert.equal(daemon.calls('DOMAIN_SUSPEND').length, 0);
    daemon.reply(state!, 'DOMAIN_GET_STATE', { state: 1, reason: 1 });
    const [suspend] = await daemon.receives('DOMAIN_SUSPEND');
    daemon.reply(suspend!, 'DOMAIN_SUSPEND', undefined);
    for (const call of calls.slice(1)) daemon.reply(call, 'DOMAIN_GET_INFO', info);
    await Promise.all([...running, fifth, priority]);
  });

  it('end at their deadline, keep their slot, and the late reply is counted and dropped', async () => {
    const connection = await open();
    daemon.silence('DOMAIN_SUSPEND');
    const stuck = [1, 2, 3, 4].map(() =>
      assert.rejects(
        connection.call('DOMAIN_SUSPEND', { dom }, { deadlineMs: 7000 }),
        kind('timeout', /7 s/),
      ),
    );
    const calls = await daemon.receives('DOMAIN_SUSPEND', 4);
    await clock.advance(7000);
    await Promise.all(stuck);
    assert.equal(connection.abandonedCalls, 4);

    daemon.answer('DOMAIN_GET_STATE', () => ({ state: 3, reason: 1 }));
    const waiting = connection.call('DOMAIN_GET_STATE', onDom);
    await clock.advance(1000);
    assert.equal(daemon.calls('DOMAIN_GET_STATE').length, 0, 'all four slots are still taken');
    daemon.reply(calls[0]!, 'DOMAIN_SUSPEND', undefined);
    assert.deepEqual(await waiting, { state: 3, reason: 1 });
    assert.equal(connection.abandonedCalls, 3);
    assert.equal(await counter('libvirt_late_replies_total'), 1);
  });

  it('end at their deadline while they wait, and are then never sent', async () => {
    const connection = await open();
    daemon.silence('DOMAIN_SUSPEND');
    const running = [1, 2, 3, 4].map(() => connection.call('DOMAIN_SUSPEND', { dom }));
    const waiting = assert.rejects(
      connection.call('DOMAIN_RESUME', { dom }, { deadlineMs: 100 }),
      kind('timeout'),
    );
    const calls = await daemon.receives('DOMAIN_SUSPEND', 4);
    await clock.advance(100);
    await waiting;
    for (const call of calls) daemon.reply(call, 'DOMAIN_SUSPEND', undefined);
    await Promise.all(running);
    daemon.answer('DOMAIN_GET_STATE', () => ({ state: 1, reason: 1 }));
    await connection.call('DOMAIN_GET_STATE', onDom);
    assert.equal(daemon.calls('DOMAIN_RESUME').length, 0);
  });

  it('end when their caller gives up', async () => {
    const connection = await open();
    daemon.silence('DOMAIN_SUSPEND');
    const abort = new AbortController();
    const call = assert.rejects(
      connection.call('DOMAIN_SUSPEND', { dom }, { signal: abort.signal }),
      kind('aborted'),
    );
    await daemon.receives('DOMAIN_SUSPEND');
    abort.abort();
    await call;
    await assert.rejects(
      connection.call('DOMAIN_RESUME', { dom }, { signal: abort.signal }),
      kind('aborted'),
    );
    assert.equal(daemon.calls('DOMAIN_RESUME').length, 0, 'an aborted call is not even sent');
  });

  it('that do not fit the protocol fail without being sent', async () => {
    const connection = await open();
    await assert.rejects(connection.call('DOMAIN_GET_STATE', { dom, flags: -1 }), kind('failed'));
    assert.equal(daemon.calls('DOMAIN_GET_STATE').length, 0);
  });

  it('with a garbled reply fail, and the connection goes on', async () => {
    const connection = await open();
    daemon.silence('CONNECT_GET_HOSTNAME');
    const garbled = assert.rejects(
      connection.call('CONNECT_GET_HOSTNAME', undefined),
      kind('failed', /garbled/),
    );
    const [call] = await daemon.receives('CONNECT_GET_HOSTNAME');
    const body = new XdrWriter();
    body.u32(1000);
    daemon.send(call!.socket, { ...call!.header, type: PacketType.reply }, body);
    await garbled;
    assert.deepEqual(await connection.call('CONNECT_GET_TYPE', undefined), { type: 'QEMU' });
  });
});

describe('packets that are no replies', () => {
  const lifecycle = { callbackId: 30, dom, event: 5, detail: 1 };

  it('as events, may carry the serial of a live call and come before its reply', async () => {
    const seen: PacketHeader[] = [];
    const connection = await open({ event: (header) => seen.push(header) });
    daemon.silence('CONNECT_GET_TYPE');
    daemon.silence('DOMAIN_DESTROY');
    const serial3 = connection.call('CONNECT_GET_TYPE', undefined);
    const serial4 = connection.call('DOMAIN_DESTROY', { dom });
    const [type] = await daemon.receives('CONNECT_GET_TYPE');
    const [destroy] = await daemon.receives('DOMAIN_DESTROY');
    daemon.event(eventPackets.lifecycle, lifecycle);
    daemon.send(type!.socket, {
      ...type!.header,
      procedure: eventPackets.reboot.procedure,
      type: PacketType.event,
    });
    daemon.reply(destroy!, 'DOMAIN_DESTROY', undefined);
    daemon.reply(type!, 'CONNECT_GET_TYPE', { type: 'QEMU' });
    await serial4;
    assert.deepEqual(await serial3, { type: 'QEMU' });
    assert.deepEqual(
      seen.map(({ procedure }) => procedure),
      [318, 319],
    );
  });

  it('as replies to nobody, are counted and dropped', async () => {
    const connection = await open();
    daemon.silence('CONNECT_GET_TYPE');
    const call = connection.call('CONNECT_GET_TYPE', undefined);
    const [type] = await daemon.receives('CONNECT_GET_TYPE');
    daemon.send(type!.socket, { ...type!.header, type: PacketType.reply, serial: 4711 });
    daemon.send(type!.socket, { ...type!.header, type: PacketType.reply, procedure: 1 });
    daemon.send(type!.socket, { ...type!.header, type: PacketType.stream });
    daemon.reply(type!, 'CONNECT_GET_TYPE', { type: 'QEMU' });
    assert.deepEqual(await call, { type: 'QEMU' });
    assert.equal(await counter('libvirt_unknown_total'), 3);
  });

  it('as pings, are answered', async () => {
    await open();
    const [socket] = daemon.sockets;
    socket?.write(golden.ping);
    await daemon.until(() => daemon.keepalives.length > 0);
    assert.deepEqual(daemon.keepalives[0], {
      program: Program.keepalive,
      version: 1,
      procedure: Keepalive.pong,
      type: PacketType.event,
      serial: 0,
      status: 0,
    });
  });
});

describe('the end of a connection', () => {
  it('rejects all calls and is told once when the daemon goes', async () => {
    const lost: string[] = [];
    const connection = await open({ lost: (error) => lost.push(error.message) });
    daemon.silence('DOMAIN_SUSPEND');
    const calls = [1, 2, 3, 4, 5, 6].map(() =>
      assert.rejects(connection.call('DOMAIN_SUSPEND', { dom }), kind('unavailable')),
    );
    await daemon.receives('DOMAIN_SUSPEND', 4);
    await daemon.stop();
    await Promise.all(calls);
    assert.equal(lost.length, 1);
    assert.equal(connection.state, 'lost');
    assert.equal(clock.pendingTimers, 0);
    await assert.rejects(connection.call('CONNECT_GET_TYPE', undefined), kind('unavailable'));
  });

  it('comes when framing is lost', async () => {
    let onLost: (error: HypervisorError) => void = () => undefined;
    const lost = new Promise<HypervisorError>((resolve) => (onLost = resolve));
    await open({ lost: (error) => onLost(error) });
    const [socket] = daemon.sockets;
    socket?.write(Buffer.from([0, 0, 0, 27]));
    assert.match((await lost).message, /framing/);
  });

  it('comes when the daemon no longer answers pings', async () => {
    const lost: string[] = [];
    await open({ lost: (error) => lost.push(error.message) });
    await clock.advance(40_000);
    assert.match(lost[0] ?? '', /pings/);
    assert.equal(clock.pendingTimers, 0);
  });

  it('by close() says goodbye, tells nobody and leaves nothing behind', async () => {
    const lost: string[] = [];
    const connection = await open({ lost: (error) => lost.push(error.message) });
    await connection.close();
    await connection.close();
    assert.equal(daemon.calls('CONNECT_CLOSE').length, 1);
    assert.deepEqual([connection.state, lost, clock.pendingTimers], ['closed', [], 0]);
  });
});
