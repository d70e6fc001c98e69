import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../src/domain/hypervisor.js';
import type { Connection } from '../../../src/libvirt/connection.js';
import type { Downloaded } from '../../../src/libvirt/download.js';
import type { Result } from '../../../src/libvirt/procedures.js';
import { PacketStatus } from '../../../src/libvirt/wire.js';
import { ConnectionFixture, dom, kind, onDom } from './connection-fixture.js';
import { DaemonFault } from './fake-daemon.js';
import type { Received } from './fake-daemon.js';

const fixture = ConnectionFixture.use();
const SCREENSHOT = 'DOMAIN_SCREENSHOT';
const reply = { mimeType: 'image/png' };
const end = Buffer.alloc(0);

interface Running {
  readonly connection: Connection;
  readonly download: Promise<Downloaded<Result<typeof SCREENSHOT>>>;
  readonly call: Received;
}

/** A screenshot that the daemon has received and not answered. */
async function begun(options: { maxBytes?: number; signal?: AbortSignal } = {}): Promise<Running> {
  const connection = await fixture.open();
  fixture.daemon.silence(SCREENSHOT);
  const request = { dom, screen: 0, flags: 0 };
  const download = connection.download(SCREENSHOT, request, {
    maxBytes: 1000,
    deadlineMs: 1000,
    ...options,
  });
  download.catch(() => undefined);
  const [call] = await fixture.daemon.receives(SCREENSHOT);
  assert.ok(call);
  return { connection, download, call };
}

async function streamEnds(count: number): Promise<number[]> {
  const { daemon } = fixture;
  await daemon.until(() => daemon.streamEnds.length >= count);
  return daemon.streamEnds.map(({ status }) => status);
}

/** Resolves when the connection has read all that was sent to it so far. */
async function caughtUp(connection: Connection): Promise<void> {
  fixture.daemon.answer('DOMAIN_GET_STATE', () => ({ state: 1, reason: 1 }));
  await connection.call('DOMAIN_GET_STATE', onDom);
}

async function lateStreamPackets(): Promise<number> {
  return (await fixture.metrics.libvirt_late_stream_packets_total.get()).values[0]?.value ?? 0;
}

describe('a stream from the daemon', () => {
  it('is put together of packets of any size, and its end is confirmed', async () => {
    const { connection, download, call } = await begun();
    const { daemon } = fixture;
    daemon.reply(call, SCREENSHOT, reply);
    for (const data of ['a picture', ' in', ' three parts']) daemon.stream(call, Buffer.from(data));
    daemon.stream(call, end);
    assert.deepEqual(await streamEnds(1), [PacketStatus.ok]);
    assert.equal(connection.callsInFlight, 1, 'the serial is taken until the daemon has confirmed');
    daemon.stream(call, 'confirm');
    const { result, data } = await download;
    assert.deepEqual([result, data.toString()], [reply, 'a picture in three parts']);
    assert.equal(connection.callsInFlight, 0);
  });

  for (const early of [1, 2, 3]) {
    it(`may overtake the reply, the first ${early} of its 3 packets`, async () => {
      const { connection, download, call } = await begun();
      const { daemon } = fixture;
      const packets = [Buffer.from('a '), Buffer.from('picture'), end];
      for (const packet of packets.slice(0, early)) daemon.stream(call, packet);
      await caughtUp(connection);
      assert.deepEqual(daemon.streamEnds, [], 'nothing is said of the stream before the reply is here');
      daemon.reply(call, SCREENSHOT, reply);
      for (const packet of packets.slice(early)) daemon.stream(call, packet);
      assert.deepEqual(await streamEnds(1), [PacketStatus.ok]);
      daemon.stream(call, 'confirm');
      assert.equal((await download).data.toString(), 'a picture');
      assert.equal(connection.callsInFlight, 0);
    });
  }

  it('may fail before the reply comes, which frees the slot', async () => {
    const { connection, download, call } = await begun();
    fixture.daemon.stream(call, Buffer.from('half a pic'));
    fixture.daemon.failStream(call, new DaemonFault(38, 'cannot read'));
    await assert.rejects(download, kind('failed', /cannot read/));
    assert.equal(connection.abandonedCalls, 1);
    fixture.daemon.reply(call, SCREENSHOT, reply);
    await caughtUp(connection);
    assert.equal(connection.callsInFlight, 0);
    assert.deepEqual(fixture.daemon.streamEnds, []);
  });

  it('does not begin where the call is refused', async () => {
    const { connection, download, call } = await begun();
    fixture.daemon.fail(call, new DaemonFault(55, 'no screens to take screenshot from'));
    await assert.rejects(download, kind('invalid-state', /no screens/));
    assert.equal(connection.callsInFlight, 0);
  });

  it('may end with an error', async () => {
    const { connection, download, call } = await begun();
    fixture.daemon.reply(call, SCREENSHOT, reply);
    fixture.daemon.stream(call, Buffer.from('half a pic'));
    fixture.daemon.failStream(call, new DaemonFault(38, 'cannot read'));
    await assert.rejects(download, kind('failed', /DOMAIN_SCREENSHOT of wr1: cannot read/));
    assert.equal(connection.callsInFlight, 0);
    assert.deepEqual(fixture.daemon.streamEnds, []);
  });

  it('that the daemon ends without saying that all was sent is no picture', async () => {
    const { connection, download, call } = await begun();
    fixture.daemon.reply(call, SCREENSHOT, reply);
    fixture.daemon.stream(call, Buffer.from('half a pic'));
    fixture.daemon.stream(call, 'confirm');
    await assert.rejects(download, kind('failed', /too early/));
    assert.equal(connection.callsInFlight, 0);
  });

  it('that is too long is given up, what still comes of it dropped and counted', async () => {
    const { connection, download, call } = await begun({ maxBytes: 10 });
    const { daemon } = fixture;
    daemon.reply(call, SCREENSHOT, reply);
    daemon.stream(call, Buffer.alloc(10));
    daemon.stream(call, Buffer.alloc(1));
    await assert.rejects(download, kind('failed', /longer than 10 bytes/));
    assert.deepEqual(await streamEnds(1), [PacketStatus.error]);
    assert.equal(connection.abandonedCalls, 1);
    for (let i = 0; i < 3; i++) daemon.stream(call, Buffer.alloc(100));
    daemon.stream(call, 'confirm');
    await caughtUp(connection);
    assert.equal(await lateStreamPackets(), 4);
    assert.deepEqual([connection.abandonedCalls, connection.callsInFlight], [0, 0]);
    assert.deepEqual(await streamEnds(1), [PacketStatus.error], 'the daemon is told once');
  });

  const waysToGiveUp = {
    'by its deadline': () => fixture.clock.advance(1000),
    'by its caller': (controller: AbortController) => {
      controller.abort();
      return Promise.resolve();
    },
  };
  for (const [how, giveUp] of Object.entries(waysToGiveUp)) {
    it(`given up ${how} is aborted, and frees its slot when the daemon has confirmed that`, async () => {
      const controller = new AbortController();
      const { connection, download, call } = await begun({ signal: controller.signal });
      fixture.daemon.reply(call, SCREENSHOT, reply);
      fixture.daemon.stream(call, Buffer.from('half a pic'));
      await caughtUp(connection);
      await giveUp(controller);
      await assert.rejects(download, HypervisorError);
      assert.deepEqual(await streamEnds(1), [PacketStatus.error]);
      assert.equal(connection.abandonedCalls, 1);
      fixture.daemon.stream(call, 'confirm');
      await caughtUp(connection);
      assert.equal(connection.callsInFlight, 0);
      assert.equal(fixture.clock.pendingTimers, 1, 'the timer of keepalive alone');
    });
  }

  it('whose call was given up before its reply is aborted when it begins', async () => {
    const { connection, download, call } = await begun();
    await fixture.clock.advance(1000);
    await assert.rejects(download, kind('timeout'));
    assert.deepEqual(fixture.daemon.streamEnds, [], 'there is nothing to abort yet');
    fixture.daemon.reply(call, SCREENSHOT, reply);
    assert.deepEqual(await streamEnds(1), [PacketStatus.error]);
    fixture.daemon.stream(call, Buffer.from('half a pic'));
    fixture.daemon.stream(call, 'confirm');
    await caughtUp(connection);
    assert.equal(connection.callsInFlight, 0);
    assert.equal(await fixture.counter('libvirt_late_replies_total'), 1);
  });

  it('ends with its connection', async () => {
    const { download, call } = await begun();
    fixture.daemon.reply(call, SCREENSHOT, reply);
    fixture.daemon.stream(call, Buffer.from('half a pic'));
    await fixture.daemon.stop();
    await assert.rejects(download, kind('unavailable'));
  });

  it('that nobody asked for is dropped and counted', async () => {
    const connection = await fixture.open();
    fixture.daemon.silence('DOMAIN_SUSPEND');
    const suspended = connection.call('DOMAIN_SUSPEND', { dom });
    const [call] = await fixture.daemon.receives('DOMAIN_SUSPEND');
    assert.ok(call);
    fixture.daemon.stream(call, Buffer.from('data'));
    fixture.daemon.stream({ ...call, header: { ...call.header, serial: 4711 } }, 'confirm');
    await caughtUp(connection);
    assert.equal(await fixture.counter('libvirt_unknown_total'), 2);
    fixture.daemon.reply(call, 'DOMAIN_SUSPEND', undefined);
    await suspended;
  });
});
