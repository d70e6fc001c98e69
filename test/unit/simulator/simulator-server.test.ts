import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { StatsGroup } from '../../../src/domain/stats.js';
import { eventPackets } from '../../../src/libvirt/domain-events.js';
import { procedures } from '../../../src/libvirt/procedures.js';
import { Keepalive, keepalivePacket, readHeader } from '../../../src/libvirt/wire.js';
import { blockJob, ioError, tunable } from '../../../src/simulator/events.js';
import type { EventBody } from '../../../src/simulator/events.js';
import { RpcClient, RpcError, until } from './rpc-client.js';
import { watch, withServer } from './server-fixture.js';

const code = (expected: number) => (error: unknown) => error instanceof RpcError && error.code === expected;
const LIFECYCLE = { eventId: 0 };

function tinyXml(name: string): string {
  return `<domain type='qemu'><name>${name}</name><memory>65536</memory><os><type>hvm</type></os></domain>`;
}

describe('the simulated daemon', () => {
  it('answers the set-up of a libvirt client', () =>
    withServer({}, async ({ connect }) => {
      const client = await connect();
      assert.deepEqual(await client.call('AUTH_LIST', undefined), { types: [0] });
      assert.deepEqual(await client.call('CONNECT_SUPPORTS_FEATURE', { feature: 10 }), { supported: 1 });
      await client.call('CONNECT_OPEN', { name: 'qemu:///system', flags: 0 });
      assert.deepEqual(await client.call('CONNECT_SUPPORTS_FEATURE', { feature: 15 }), { supported: 1 });
      assert.deepEqual(await client.call('CONNECT_SUPPORTS_FEATURE', { feature: 5 }), { supported: 0 });
      await client.call('CONNECT_REGISTER_CLOSE_CALLBACK', undefined);
      assert.deepEqual(await client.call('CONNECT_GET_TYPE', undefined), { type: 'QEMU' });
      assert.deepEqual(await client.call('CONNECT_GET_URI', undefined), { uri: 'qemu:///system' });
      await client.call('CONNECT_CLOSE', undefined);
      await until(() => client.closed);
    }));

  it('refuses work before the connection is open, and a second or foreign URI', () =>
    withServer({}, async ({ connect }) => {
      const client = await connect();
      await assert.rejects(client.call('CONNECT_GET_TYPE', undefined), code(1));
      await assert.rejects(client.call('CONNECT_SUPPORTS_FEATURE', { feature: 15 }), code(1));
      await assert.rejects(client.call('CONNECT_OPEN', { name: 'xen:///system', flags: 0 }), code(5));
      await client.call('CONNECT_OPEN', { name: '', flags: 0 });
      await assert.rejects(client.call('CONNECT_OPEN', { name: 'qemu:///system', flags: 0 }), code(1));
    }));

  it('says no domain, not supported, denied and bad flags in libvirt numbers', () =>
    withServer({}, async ({ open, host }) => {
      const client = await open();
      const dom = { name: 'x', uuid: host.require('vm-0001').uuid, id: 1 };
      await assert.rejects(client.call('DOMAIN_LOOKUP_BY_NAME', { name: 'nobody' }), code(42));
      await assert.rejects(client.call('DOMAIN_MANAGED_SAVE', { dom, flags: 0 }), code(3));
      await assert.rejects(client.call('CONNECT_GET_SYSINFO', { flags: 0 }), code(3));
      const bulk = { doms: [], stats: 0, flags: 0x100 };
      await assert.rejects(client.call('CONNECT_GET_ALL_DOMAIN_STATS', bulk), code(8));
      const reader = await open(1);
      await assert.rejects(reader.call('DOMAIN_SUSPEND', { dom }), code(29));
      assert.deepEqual(await reader.call('DOMAIN_GET_STATE', { dom, flags: 0 }), { state: 1, reason: 1 });
    }));

  it('lists and looks up by filter, name, uuid and id', () =>
    withServer({}, async ({ open, host }) => {
      const client = await open();
      host.lifecycle.destroy(host.require('vm-0002'), false);
      host.lifecycle.suspend(host.require('vm-0003'));
      const names = async (flags: number) => {
        const { domains, ret } = await client.call('CONNECT_LIST_ALL_DOMAINS', { needResults: 1, flags });
        assert.equal(ret, domains.length);
        return domains.map(({ name }) => name);
      };
      assert.deepEqual(await names(0), ['vm-0001', 'vm-0002', 'vm-0003']);
      assert.deepEqual(await names(1), ['vm-0001', 'vm-0003']);
      assert.deepEqual(await names(2), ['vm-0002']);
      assert.deepEqual(await names(1 | 32 | 16), ['vm-0001', 'vm-0003']);
      assert.deepEqual(await names(2 | 32), []);
      const counted = await client.call('CONNECT_LIST_ALL_DOMAINS', { needResults: 0, flags: 0 });
      assert.deepEqual(counted, { domains: [], ret: 3 });
      const { dom } = await client.call('DOMAIN_LOOKUP_BY_NAME', { name: 'vm-0003' });
      assert.deepEqual((await client.call('DOMAIN_LOOKUP_BY_ID', { id: dom.id })).dom, dom);
      assert.deepEqual((await client.call('DOMAIN_LOOKUP_BY_UUID', { uuid: dom.uuid })).dom, dom);
    }));

  it('gives bulk records in the order of an explicit list, repeats included, unknown ones left out', () =>
    withServer({}, async ({ open, host }) => {
      const client = await open();
      const dom = (name: string) => ({ name, uuid: host.require(name).uuid, id: 1 });
      const unknown = { ...dom('vm-0001'), uuid: '00000000-0000-4000-8000-000000000000' as never };
      const doms = [dom('vm-0003'), unknown, dom('vm-0001'), dom('vm-0003')];
      const { records } = await client.call('CONNECT_GET_ALL_DOMAIN_STATS', {
        doms,
        stats: StatsGroup.state,
        flags: 0,
      });
      assert.deepEqual(
        records.map((record) => record.dom.name),
        ['vm-0003', 'vm-0001', 'vm-0003'],
      );
    }));

  it('answers error 39 instead of a bulk reply that no packet holds, and goes on', () =>
    withServer({ domains: 5700 }, async ({ open }) => {
      const client = await open();
      const ask = (stats: number) =>
        client.call('CONNECT_GET_ALL_DOMAIN_STATS', { doms: [], stats, flags: 0 });
      await assert.rejects(ask(63), code(39));
      assert.equal((await ask(StatsGroup.state)).records.length, 5700);
    }));

  it('gives single figures that equal the bulk record', () =>
    withServer({}, async ({ open, host }) => {
      const client = await open();
      const domain = host.require('vm-0001');
      const dom = { name: domain.name, uuid: domain.uuid, id: domain.id };
      const { records } = await client.call('CONNECT_GET_ALL_DOMAIN_STATS', {
        doms: [dom],
        stats: 0,
        flags: 0,
      });
      const bulk = Object.fromEntries(records[0]!.params.map(({ field, value }) => [field, value]));
      const info = await client.call('DOMAIN_GET_INFO', { dom });
      assert.equal(info.cpuTime, bulk['cpu.time']);
      const block = await client.call('DOMAIN_BLOCK_STATS', { dom, path: 'vdb' });
      assert.equal(block.wrBytes, bulk['block.1.wr.bytes']);
      const nic = await client.call('DOMAIN_INTERFACE_STATS', { dom, device: domain.taps[0]! });
      assert.equal(nic.rxBytes, bulk['net.0.rx.bytes']);
      const memory = await client.call('DOMAIN_MEMORY_STATS', { dom, maxStats: 13, flags: 0 });
      assert.equal(memory.stats.find(({ tag }) => tag === 4)!.value, bulk['balloon.unused']);
      const cpu = await client.call('DOMAIN_GET_CPU_STATS', {
        dom,
        nparams: 3,
        startCpu: -1,
        ncpus: 1,
        flags: 0,
      });
      assert.equal(cpu.params[0]!.value, bulk['cpu.time']);
      const blockInfo = await client.call('DOMAIN_GET_BLOCK_INFO', {
        dom,
        path: domain.config.disks[0]!.path,
        flags: 0,
      });
      assert.equal(blockInfo.physical, bulk['block.0.physical']);
    }));

  it('defines, starts paused, stops and undefines on demand', () =>
    withServer({}, async ({ open }) => {
      const client = await open();
      await client.call('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY', LIFECYCLE);
      const xml = tinyXml('made');
      const { dom } = await client.call('DOMAIN_DEFINE_XML_FLAGS', { xml, flags: 0 });
      const started = await client.call('DOMAIN_CREATE_WITH_FLAGS', { dom, flags: 1 });
      assert.ok(started.dom.id > 0);
      assert.deepEqual(await client.call('DOMAIN_GET_STATE', { dom, flags: 0 }), { state: 3, reason: 1 });
      await client.call('DOMAIN_RESUME', { dom });
      await client.call('DOMAIN_DESTROY_FLAGS', { dom, flags: 0 });
      await client.call('DOMAIN_UNDEFINE_FLAGS', { dom, flags: 0 });
      assert.deepEqual(client.lifecycle, ['0/0', '2/0', '3/0', '4/0', '6/2', '5/1', '1/0']);
      await assert.rejects(client.call('DOMAIN_GET_STATE', { dom, flags: 0 }), code(42));
      await assert.rejects(client.call('DOMAIN_DEFINE_XML', { xml: '<domain>' }), code(35));
    }));

  it('destroys what a client started with AUTODESTROY when its connection ends', () =>
    withServer({}, async ({ open, host }) => {
      const client = await open();
      const xml = tinyXml('mine');
      await client.call('DOMAIN_CREATE_XML', { xml, flags: 2 });
      assert.ok(host.findByName('mine')?.active);
      client.close();
      await until(() => host.findByName('mine') === undefined);
    }));
});

describe('events of the simulated daemon', () => {
  it('reach each registration with its own id, which is unique in the daemon', () =>
    withServer({}, async ({ open, host }) => {
      const [one, two] = [await open(), await open()];
      const uuid = host.require('vm-0002').uuid;
      const all = await one.call('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY', LIFECYCLE);
      const dom = { name: 'vm-0002', uuid, id: 2 };
      const some = await two.call('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY', { ...LIFECYCLE, dom });
      assert.notEqual(all.callbackId, some.callbackId);
      host.lifecycle.suspend(host.require('vm-0001'));
      host.lifecycle.suspend(host.require('vm-0002'));
      await until(() => one.events.length === 2 && two.events.length === 1);
      assert.deepEqual(
        one.events.map(({ payload }) => payload['callbackId']),
        [all.callbackId, all.callbackId],
      );
      assert.deepEqual(two.events[0]!.payload, { callbackId: some.callbackId, dom, event: 3, detail: 0 });
    }));

  it('may not be registered twice nor deregistered by a foreign id', () =>
    withServer({}, async ({ open, host }) => {
      const client = await open();
      const { callbackId } = await client.call('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY', LIFECYCLE);
      await assert.rejects(client.call('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY', LIFECYCLE), code(8));
      await assert.rejects(
        client.call('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY', { eventId: 27 }),
        code(1),
      );
      const deregister = { callbackId };
      await client.call('CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY', deregister);
      await assert.rejects(client.call('CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY', deregister), code(1));
      host.lifecycle.suspend(host.require('vm-0001'));
      await client.call('CONNECT_GET_TYPE', undefined);
      assert.deepEqual(client.events, []);
    }));

  it('come in every kind that the model knows, each with all its fields', () =>
    withServer({}, async ({ open, host }) => {
      const client = await open();
      for (const { eventId } of Object.values(eventPackets)) {
        await client.call('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY', { eventId });
      }
      const domain = host.require('vm-0001');
      const { name, uuid, id } = domain;
      const params = [{ field: 'cputune.vcpu_quota', type: 'llong', value: 1000 }] as const;
      const told: EventBody[] = [
        { kind: 'reboot' },
        { kind: 'metadataChange', type: 2, uri: 'urn:x' },
        { kind: 'balloonChange', actual: 1024 },
        { kind: 'watchdog', action: 1 },
        { kind: 'deviceAdded', alias: 'net1' },
        { kind: 'trayChange', alias: 'sata0-0-0', reason: 1 },
        { kind: 'controlError' },
        ...ioError('/a', 'virtio-disk0', 1, 'enospc'),
        ...blockJob('/a', 'vda', 4, 3),
        tunable(params),
      ];
      host.emit(domain, ...told);
      await until(() => client.events.length === told.length);
      const received = client.events.map(({ name: kind, payload: { callbackId: _id, ...payload } }) => ({
        kind,
        ...payload,
      }));
      assert.deepEqual(
        received,
        told.map((event) => ({ ...event, dom: { name, uuid, id } })),
      );
    }));
});

describe('keepalive of the simulated daemon', () => {
  it('answers a PING of any client', () =>
    withServer({}, async ({ connect }) => {
      const client = await connect();
      client.socket.write(keepalivePacket(Keepalive.ping));
      await until(() => client.keepalives.length === 1);
      assert.deepEqual(client.keepalives, [Keepalive.pong]);
    }));

  it('pings a silent client every 5 s and gives it up after 30 s', () =>
    withServer({}, async ({ open, clock }) => {
      const client = await open();
      await client.call('CONNECT_SUPPORTS_FEATURE', { feature: 10 });
      await clock.advance(29_000);
      await until(() => client.keepalives.length === 5);
      assert.equal(client.closed, false);
      await clock.advance(1000);
      await until(() => client.closed);
    }));

  it('keeps a client that answers, and one that never asked for keepalive', () =>
    withServer({}, async ({ open, clock }) => {
      const [answering, silent] = [await open(), await open()];
      await answering.call('CONNECT_SUPPORTS_FEATURE', { feature: 10 });
      for (let seen = 1; seen <= 10; seen++) {
        await clock.advance(5000);
        await until(() => answering.keepalives.length === seen);
        answering.socket.write(keepalivePacket(Keepalive.pong));
        await answering.call('CONNECT_GET_TYPE', undefined);
      }
      await clock.advance(3_600);
      assert.deepEqual([answering.closed, silent.closed], [false, false]);
      assert.deepEqual(silent.keepalives, []);
    }));
});

describe('death of the simulated daemon', () => {
  it('breaks every connection and leaves the socket file, which nobody listens on', () =>
    withServer({}, async ({ open, server, path }) => {
      const client = await open();
      await server.kill();
      await until(() => client.closed);
      assert.ok(existsSync(path));
      await assert.rejects(RpcClient.connect(path), { code: 'ECONNREFUSED' });
    }));

  it('ends with a restart on the same socket, with the same domains but no registrations', () =>
    withServer({}, async ({ open, server, host }) => {
      const before = await open();
      await before.call('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY', LIFECYCLE);
      const { dom } = await before.call('DOMAIN_LOOKUP_BY_NAME', { name: 'vm-0001' });
      await server.kill();
      host.lifecycle.suspend(host.require('vm-0001'));
      await server.start();
      const after = await open();
      assert.deepEqual((await after.call('DOMAIN_LOOKUP_BY_NAME', { name: 'vm-0001' })).dom, dom);
      assert.deepEqual(await after.call('DOMAIN_GET_STATE', { dom, flags: 0 }), { state: 3, reason: 1 });
      assert.deepEqual(after.events, []);
    }));

  it('removes the socket file where it is an orderly stop, twice if need be', () =>
    withServer({}, async ({ server, path, clock }) => {
      await server.stop();
      await server.stop();
      assert.equal(existsSync(path), false);
      assert.equal(clock.pendingTimers, 0);
    }));

  it('does not take over the socket of a daemon that lives', () =>
    withServer({}, async ({ path }) => {
      await assert.rejects(
        withServer({ socketPath: path }, () => Promise.resolve()),
        /in use by another daemon/,
      );
    }));

  it('can be made to drop and to change packets', () => {
    const { CONNECT_GET_TYPE, CONNECT_GET_URI } = procedures;
    const mutatePacket = (packet: Buffer) => {
      const { procedure } = readHeader(packet);
      if (procedure === CONNECT_GET_TYPE.number) return undefined;
      return procedure === CONNECT_GET_URI.number ? packet.fill(0, 0, 4) : packet;
    };
    return withServer({ mutatePacket }, async ({ open }) => {
      const client = await open();
      const broken: unknown[] = [];
      client.socket.prependListener('data', (chunk) => broken.push(chunk.readUInt32BE(0)));
      const dropped = watch(client.call('CONNECT_GET_TYPE', undefined));
      await client.call('CONNECT_GET_LIB_VERSION', undefined);
      assert.equal(dropped.settled, false);
      client.socket.removeAllListeners('data');
      client.socket.on('data', (chunk) => broken.push(chunk.readUInt32BE(0)));
      const changed = watch(client.call('CONNECT_GET_URI', undefined));
      await until(() => broken.includes(0));
      assert.equal(changed.settled, false);
    });
  });
});
