import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { VmId } from '../../../src/domain/ids.js';
import { HypervisorError, LibvirtClient, Scalar, StatsGroup } from '../../../src/libvirt/client.js';
import type { ConnectOptions, DomainEvent, RawEvent } from '../../../src/libvirt/client.js';
import { eventPackets } from '../../../src/libvirt/domain-events.js';
import { i32 } from '../../../src/libvirt/xdr-codecs.js';
import { createMetrics } from '../../../src/util/metrics.js';
import { ManualClock } from '../../support/manual-clock.js';
import { FakeDaemon } from './fake-daemon.js';
import { wr1 } from './golden-packets.js';

const dom = { name: 'wr1', uuid: wr1 as VmId, id: 7 };

let daemon: FakeDaemon;
let clients: LibvirtClient[];

beforeEach(async () => {
  daemon = new FakeDaemon();
  clients = [];
  await daemon.start();
});

afterEach(async () => {
  for (const client of clients) await client.close();
  await daemon.dispose();
});

async function connect(options: ConnectOptions = {}): Promise<LibvirtClient> {
  const client = await LibvirtClient.connect(`qemu+unix:///system?socket=${daemon.path}`, {
    clock: new ManualClock(),
    ...options,
  });
  clients.push(client);
  return client;
}

describe('LibvirtClient', () => {
  it('opens the hypervisor of the URI, read-only if asked', async () => {
    assert.equal((await connect()).readOnly, false);
    assert.equal((await connect({ readOnly: true })).readOnly, true);
    assert.deepEqual(
      daemon.calls('CONNECT_OPEN').map(({ args }) => args),
      [
        { name: 'qemu:///system', flags: 0 },
        { name: 'qemu:///system', flags: 1 },
      ],
    );
  });

  it('gives statistics as columns and as objects', async () => {
    daemon.answer('CONNECT_GET_ALL_DOMAIN_STATS', () => ({
      records: [{ dom, params: [{ field: 'state.state', type: 'int', value: 3 }] }],
    }));
    const client = await connect();
    const batch = await client.getAllDomainStats({ groups: StatsGroup.state });
    assert.deepEqual([batch.vmIds, batch.scalars[Scalar.state]], [[wr1], 3]);
    assert.deepEqual(await client.getAllDomainStatsObjects({ groups: StatsGroup.state }), [
      { dom, stats: { 'state.state': 3 } },
    ]);
  });

  it('registers domain events once, for the first listener, and delivers them to all', async () => {
    const client = await connect();
    const first: DomainEvent[] = [];
    const second: DomainEvent[] = [];
    const raw: RawEvent[] = [];
    client.onEvent((event) => raw.push(event));
    const remove = await client.onDomainEvent((event) => first.push(event));
    const registrations = daemon.calls('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY').length;
    await client.onDomainEvent((event) => second.push(event));
    assert.equal(daemon.calls('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY').length, registrations);

    daemon.event(eventPackets.reboot, { callbackId: 1, dom });
    await client.call('CONNECT_GET_TYPE', undefined);
    remove();
    daemon.event(eventPackets.controlError, { callbackId: 1, dom });
    await client.call('CONNECT_GET_TYPE', undefined);
    assert.deepEqual(
      [first, second].map((events) => events.map(({ kind }) => kind)),
      [['reboot'], ['reboot', 'control-error']],
    );
    assert.deepEqual(
      raw.map(({ procedure, body }) => [procedure, body.readInt32BE(0)]),
      [
        [319, 1],
        [325, 1],
      ],
    );
  });

  it('tells of the loss of its connection, but not of its own close', async () => {
    const losing = await connect();
    const lost = new Promise<HypervisorError>((resolve) => losing.onClose(resolve));
    await daemon.stop();
    assert.equal((await lost).kind, 'unavailable');

    await daemon.start();
    const closing = await connect();
    closing.onClose(() => assert.fail('close() was announced as a loss'));
    await closing.close();
    await assert.rejects(closing.call('CONNECT_GET_TYPE', undefined), HypervisorError);
  });

  it('registers again for the next listener where the first registration failed', async () => {
    const clock = new ManualClock();
    const client = await connect({ clock });
    daemon.silence('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY');
    const told: DomainEvent[] = [];
    const failed = assert.rejects(
      client.onDomainEvent((event) => told.push(event)),
      HypervisorError,
    );
    const calls = await daemon.receives('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY', 4);
    await clock.advance(10_000);
    await failed;
    daemon.answer('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY', () => ({ callbackId: 1 }));
    for (const call of calls)
      daemon.reply(call, 'CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY', { callbackId: 1 });
    await client.call('CONNECT_GET_TYPE', undefined);

    const second: DomainEvent[] = [];
    await client.onDomainEvent((event) => second.push(event));
    daemon.event(eventPackets.reboot, { callbackId: 1, dom });
    await client.call('CONNECT_GET_TYPE', undefined);
    assert.deepEqual([told.length, second.length], [0, 1]);
  });

  it('counts an event that cannot be decoded, and goes on', async () => {
    const metrics = createMetrics();
    const client = await connect({ metrics });
    const told: DomainEvent[] = [];
    await client.onDomainEvent((event) => told.push(event));
    daemon.event({ procedure: eventPackets.reboot.procedure, codec: i32 }, 1);
    daemon.event(eventPackets.reboot, { callbackId: 1, dom });
    await client.call('CONNECT_GET_TYPE', undefined);
    assert.equal(told.length, 1);
    const { values } = await metrics.libvirt_malformed_total.get();
    assert.deepEqual(
      values.map(({ labels, value }) => [labels['kind'], value]),
      [['event', 1]],
    );
  });

  it('refuses a URI that it cannot use', async () => {
    await assert.rejects(LibvirtClient.connect('qemu+ssh://host/system'), /ssh/);
  });
});
