import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HypervisorError } from '../../../src/domain/hypervisor.js';
import { eventPackets } from '../../../src/libvirt/domain-events.js';
import type { PacketHeader } from '../../../src/libvirt/wire.js';
import { Keepalive, PacketType, Program } from '../../../src/libvirt/wire.js';
import { ConnectionFixture, dom, kind } from './connection-fixture.js';
import { DaemonFault } from './fake-daemon.js';
import * as golden from './golden-packets.js';

const fixture = ConnectionFixture.use();

describe('opening a connection', () => {
  it('authenticates, asks for keepalive, then opens, one after the other', async () => {
    await fixture.open();
    assert.deepEqual(
      fixture.daemon.received.map(({ name, header }) => [header.serial, name]),
      [
        [0, 'AUTH_LIST'],
        [1, 'CONNECT_SUPPORTS_FEATURE'],
        [2, 'CONNECT_OPEN'],
      ],
    );
    assert.deepEqual(fixture.daemon.calls('CONNECT_OPEN')[0]?.args, { name: 'qemu:///system', flags: 0 });
  });

  it('goes through polkit where the daemon asks for it', async () => {
    fixture.daemon.answer('AUTH_LIST', () => ({ types: [2] }));
    fixture.daemon.answer('AUTH_POLKIT', () => ({ complete: 1 }));
    const connection = await fixture.open();
    assert.equal(connection.state, 'open');
  });

  it('is denied where polkit says no', async () => {
    fixture.daemon.answer('AUTH_LIST', () => ({ types: [2] }));
    fixture.daemon.answer('AUTH_POLKIT', () => {
      throw new DaemonFault(45, 'authentication failed: access denied by policy');
    });
    await assert.rejects(fixture.open(), kind('denied'));
  });

  it('says the way out where only SASL is offered', async () => {
    fixture.daemon.answer('AUTH_LIST', () => ({ types: [1] }));
    await assert.rejects(fixture.open(), kind('unsupported', /SASL.*auth_unix_rw/));
  });

  it('does not wait for ever for a daemon that accepts and says nothing', async () => {
    fixture.daemon.silence('AUTH_LIST');
    const opening = assert.rejects(fixture.open(), kind('timeout', /AUTH_LIST/));
    await fixture.daemon.receives('AUTH_LIST');
    await fixture.clock.advance(10_000);
    await opening;
    assert.equal(fixture.clock.pendingTimers, 0);
  });

  it('names the missing socket', async () => {
    await fixture.daemon.stop();
    await assert.rejects(fixture.open(), kind('unavailable', /libvirt-sock/));
  });

  it('fails when the daemon hangs up in the middle', async () => {
    fixture.daemon.silence('CONNECT_OPEN');
    const opening = assert.rejects(fixture.open(), kind('unavailable', /closed/));
    const [call] = await fixture.daemon.receives('CONNECT_OPEN');
    call?.socket.destroy();
    await opening;
  });

  it('fails when the daemon sends garbage right behind its last reply', async () => {
    fixture.daemon.silence('CONNECT_OPEN');
    const opening = assert.rejects(fixture.open(), kind('unavailable'));
    const [call] = await fixture.daemon.receives('CONNECT_OPEN');
    call?.socket.cork();
    fixture.daemon.reply(call!, 'CONNECT_OPEN', undefined);
    call?.socket.write(Buffer.from([0, 0, 0, 27]));
    call?.socket.uncork();
    await opening;
    assert.equal(fixture.clock.pendingTimers, 0);
  });
});

describe('packets that are no replies', () => {
  const lifecycle = { callbackId: 30, dom, event: 5, detail: 1 };

  it('as events, may carry the serial of a live call and come before its reply', async () => {
    const seen: PacketHeader[] = [];
    const connection = await fixture.open({ event: (header) => seen.push(header) });
    fixture.daemon.silence('CONNECT_GET_TYPE');
    fixture.daemon.silence('DOMAIN_DESTROY');
    const serial3 = connection.call('CONNECT_GET_TYPE', undefined);
    const serial4 = connection.call('DOMAIN_DESTROY', { dom });
    const [type] = await fixture.daemon.receives('CONNECT_GET_TYPE');
    const [destroy] = await fixture.daemon.receives('DOMAIN_DESTROY');
    fixture.daemon.event(eventPackets.lifecycle, lifecycle);
    fixture.daemon.send(type!.socket, {
      ...type!.header,
      procedure: eventPackets.reboot.procedure,
      type: PacketType.event,
    });
    fixture.daemon.reply(destroy!, 'DOMAIN_DESTROY', undefined);
    fixture.daemon.reply(type!, 'CONNECT_GET_TYPE', { type: 'QEMU' });
    await serial4;
    assert.deepEqual(await serial3, { type: 'QEMU' });
    assert.deepEqual(
      seen.map(({ procedure }) => procedure),
      [318, 319],
    );
  });

  it('as replies to nobody, are counted and dropped', async () => {
    const connection = await fixture.open();
    fixture.daemon.silence('CONNECT_GET_TYPE');
    const call = connection.call('CONNECT_GET_TYPE', undefined);
    const [type] = await fixture.daemon.receives('CONNECT_GET_TYPE');
    fixture.daemon.send(type!.socket, { ...type!.header, type: PacketType.reply, serial: 4711 });
    fixture.daemon.send(type!.socket, { ...type!.header, type: PacketType.reply, procedure: 1 });
    fixture.daemon.send(type!.socket, { ...type!.header, type: PacketType.stream });
    fixture.daemon.reply(type!, 'CONNECT_GET_TYPE', { type: 'QEMU' });
    assert.deepEqual(await call, { type: 'QEMU' });
    assert.equal(await fixture.counter('libvirt_unknown_total'), 3);
  });

  it('as pings, are answered', async () => {
    await fixture.open();
    const [socket] = fixture.daemon.sockets;
    socket?.write(golden.ping);
    await fixture.daemon.until(() => fixture.daemon.keepalives.length > 0);
    assert.deepEqual(fixture.daemon.keepalives[0], {
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
    const connection = await fixture.open({ lost: (error) => lost.push(error.message) });
    fixture.daemon.silence('DOMAIN_SUSPEND');
    const calls = [1, 2, 3, 4, 5, 6].map(() =>
      assert.rejects(connection.call('DOMAIN_SUSPEND', { dom }), kind('unavailable')),
    );
    await fixture.daemon.receives('DOMAIN_SUSPEND', 4);
    await fixture.daemon.stop();
    await Promise.all(calls);
    assert.equal(lost.length, 1);
    assert.equal(connection.state, 'lost');
    assert.equal(fixture.clock.pendingTimers, 0);
    await assert.rejects(connection.call('CONNECT_GET_TYPE', undefined), kind('unavailable'));
  });

  it('comes when framing is lost', async () => {
    let onLost: (error: HypervisorError) => void = () => undefined;
    const lost = new Promise<HypervisorError>((resolve) => (onLost = resolve));
    await fixture.open({ lost: (error) => onLost(error) });
    const [socket] = fixture.daemon.sockets;
    socket?.write(Buffer.from([0, 0, 0, 27]));
    assert.match((await lost).message, /framing/);
  });

  it('comes within two intervals when a packet does not end, whatever comes behind it', async () => {
    const lost: string[] = [];
    await fixture.open({ lost: (error) => lost.push(error.message) });
    const [socket] = fixture.daemon.sockets;
    socket?.write(Buffer.from([2, 0, 0, 0]));
    for (let second = 0; second < 11; second++) {
      socket?.write(Buffer.alloc(28));
      await fixture.clock.advance(1000);
    }
    assert.match(lost[0] ?? '', /framing is lost: a packet does not end/);
    assert.equal(fixture.clock.pendingTimers, 0);
  });

  it('comes when the daemon no longer answers pings', async () => {
    const lost: string[] = [];
    await fixture.open({ lost: (error) => lost.push(error.message) });
    await fixture.clock.advance(40_000);
    assert.match(lost[0] ?? '', /pings/);
    assert.equal(fixture.clock.pendingTimers, 0);
  });

  it('by close() says goodbye, tells nobody and leaves nothing behind', async () => {
    const lost: string[] = [];
    const connection = await fixture.open({ lost: (error) => lost.push(error.message) });
    await connection.close();
    await connection.close();
    assert.equal(fixture.daemon.calls('CONNECT_CLOSE').length, 1);
    assert.deepEqual([connection.state, lost, fixture.clock.pendingTimers], ['closed', [], 0]);
  });
});
