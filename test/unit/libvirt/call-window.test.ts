import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LibvirtError } from '../../../src/libvirt/errors.js';
import { PacketType } from '../../../src/libvirt/wire.js';
import { XdrWriter } from '../../../src/libvirt/xdr.js';
import { ConnectionFixture, dom, kind, onDom } from './connection-fixture.js';
import { DaemonFault } from './fake-daemon.js';

const fixture = ConnectionFixture.use();

describe('calls of a connection', () => {
  it('give each caller its own reply although replies come out of order', async () => {
    const connection = await fixture.open();
    fixture.daemon.silence('DOMAIN_GET_STATE');
    const answers = [1, 2, 3].map(() => connection.call('DOMAIN_GET_STATE', onDom));
    const calls = await fixture.daemon.receives('DOMAIN_GET_STATE', 3);
    [2, 0, 1].forEach((i) => fixture.daemon.reply(calls[i]!, 'DOMAIN_GET_STATE', { state: i, reason: 0 }));
    assert.deepEqual(
      (await Promise.all(answers)).map(({ state }) => state),
      [0, 1, 2],
    );
  });

  it('reject with the daemon’s error, naming procedure and domain', async () => {
    const connection = await fixture.open();
    fixture.daemon.answer('DOMAIN_SUSPEND', () => {
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
    const connection = await fixture.open();
    for (const name of ['DOMAIN_GET_INFO', 'DOMAIN_SUSPEND', 'DOMAIN_GET_STATE'] as const)
      fixture.daemon.silence(name);
    const info = { state: 1, maxMem: 1, memory: 1, vcpus: 1, cpuTime: 1 };
    const running = [1, 2, 3, 4].map(() => connection.call('DOMAIN_GET_INFO', { dom }));
    const fifth = connection.call('DOMAIN_SUSPEND', { dom });
    const priority = connection.call('DOMAIN_GET_STATE', onDom);
    const calls = await fixture.daemon.receives('DOMAIN_GET_INFO', 4);
    assert.deepEqual(
      [fixture.daemon.calls('DOMAIN_SUSPEND'), fixture.daemon.calls('DOMAIN_GET_STATE')],
      [[], []],
    );

    fixture.daemon.reply(calls[0]!, 'DOMAIN_GET_INFO', info);
    const [state] = await fixture.daemon.receives('DOMAIN_GET_STATE');
    assert.equal(fixture.daemon.calls('DOMAIN_SUSPEND').length, 0);
    fixture.daemon.reply(state!, 'DOMAIN_GET_STATE', { state: 1, reason: 1 });
    const [suspend] = await fixture.daemon.receives('DOMAIN_SUSPEND');
    fixture.daemon.reply(suspend!, 'DOMAIN_SUSPEND', undefined);
    for (const call of calls.slice(1)) fixture.daemon.reply(call, 'DOMAIN_GET_INFO', info);
    await Promise.all([...running, fifth, priority]);
  });

  it('end at their deadline, keep their slot, and the late reply is counted and dropped', async () => {
    const connection = await fixture.open();
    fixture.daemon.silence('DOMAIN_SUSPEND');
    const stuck = [1, 2, 3, 4].map(() =>
      assert.rejects(
        connection.call('DOMAIN_SUSPEND', { dom }, { deadlineMs: 6999.9876 }),
        kind('timeout', / 7 s$/),
      ),
    );
    const calls = await fixture.daemon.receives('DOMAIN_SUSPEND', 4);
    await fixture.clock.advance(7000);
    await Promise.all(stuck);
    assert.equal(connection.abandonedCalls, 4);

    fixture.daemon.answer('DOMAIN_GET_STATE', () => ({ state: 3, reason: 1 }));
    const waiting = connection.call('DOMAIN_GET_STATE', onDom);
    await fixture.clock.advance(499);
    assert.equal(fixture.daemon.calls('DOMAIN_GET_STATE').length, 0, 'all four slots are still taken');
    fixture.daemon.reply(calls[0]!, 'DOMAIN_SUSPEND', undefined);
    assert.deepEqual(await waiting, { state: 3, reason: 1 });
    assert.equal(await fixture.counter('libvirt_late_replies_total'), 1);
    assert.equal(connection.abandonedCalls, 3);
  });

  it('are refused behind four that nobody waits for, by names of what hangs', async () => {
    const connection = await fixture.open();
    fixture.daemon.silence('DOMAIN_SUSPEND');
    const stuck = [1, 2, 3, 4].map(() =>
      assert.rejects(connection.call('DOMAIN_SUSPEND', { dom }, { deadlineMs: 7000 }), kind('timeout')),
    );
    const refused = kind('busy', /DOMAIN_RESUME of wr1 was not sent: .*DOMAIN_SUSPEND of wr1/);
    const queued = assert.rejects(connection.call('DOMAIN_RESUME', { dom }), refused);
    await fixture.daemon.receives('DOMAIN_SUSPEND', 4);
    await fixture.clock.advance(7000);
    await Promise.all(stuck);
    await fixture.clock.advance(500);
    await queued;
    const another = assert.rejects(connection.call('DOMAIN_RESUME', { dom }), refused);
    await fixture.clock.advance(500);
    await another;
    assert.equal(fixture.daemon.calls('DOMAIN_RESUME').length, 0);
  });

  it('end at their deadline while they wait, and are then never sent', async () => {
    const connection = await fixture.open();
    fixture.daemon.silence('DOMAIN_SUSPEND');
    const running = [1, 2, 3, 4].map(() => connection.call('DOMAIN_SUSPEND', { dom }));
    const waiting = assert.rejects(
      connection.call('DOMAIN_RESUME', { dom }, { deadlineMs: 100 }),
      kind('busy', /DOMAIN_RESUME of wr1 was not sent/),
    );
    const calls = await fixture.daemon.receives('DOMAIN_SUSPEND', 4);
    await fixture.clock.advance(100);
    await waiting;
    for (const call of calls) fixture.daemon.reply(call, 'DOMAIN_SUSPEND', undefined);
    await Promise.all(running);
    fixture.daemon.answer('DOMAIN_GET_STATE', () => ({ state: 1, reason: 1 }));
    await connection.call('DOMAIN_GET_STATE', onDom);
    assert.equal(fixture.daemon.calls('DOMAIN_RESUME').length, 0);
  });

  it('end when their caller gives up', async () => {
    const connection = await fixture.open();
    fixture.daemon.silence('DOMAIN_SUSPEND');
    const abort = new AbortController();
    const call = assert.rejects(
      connection.call('DOMAIN_SUSPEND', { dom }, { signal: abort.signal }),
      kind('aborted'),
    );
    await fixture.daemon.receives('DOMAIN_SUSPEND');
    abort.abort();
    await call;
    await assert.rejects(
      connection.call('DOMAIN_RESUME', { dom }, { signal: abort.signal }),
      kind('aborted'),
    );
    assert.equal(fixture.daemon.calls('DOMAIN_RESUME').length, 0, 'an aborted call is not even sent');
  });

  it('that do not fit the protocol fail without being sent', async () => {
    const connection = await fixture.open();
    await assert.rejects(connection.call('DOMAIN_GET_STATE', { dom, flags: -1 }), kind('failed'));
    assert.equal(fixture.daemon.calls('DOMAIN_GET_STATE').length, 0);
  });

  it('with a garbled reply fail, and the connection goes on', async () => {
    const connection = await fixture.open();
    fixture.daemon.silence('CONNECT_GET_HOSTNAME');
    const garbled = assert.rejects(
      connection.call('CONNECT_GET_HOSTNAME', undefined),
      kind('failed', /garbled/),
    );
    const [call] = await fixture.daemon.receives('CONNECT_GET_HOSTNAME');
    const body = new XdrWriter();
    body.u32(1000);
    fixture.daemon.send(call!.socket, { ...call!.header, type: PacketType.reply }, body);
    await garbled;
    assert.deepEqual(await connection.call('CONNECT_GET_TYPE', undefined), { type: 'QEMU' });
  });
});
