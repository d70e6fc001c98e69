import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { StatsGroup } from '../../../src/domain/stats.js';
import { Keepalive, keepalivePacket } from '../../../src/libvirt/wire.js';
import type { RpcClient } from './rpc-client.js';
import { RpcError, until } from './rpc-client.js';
import { watch, withServer } from './server-fixture.js';
import type { Fixture } from './server-fixture.js';

const NOWAIT = 0x2000_0000;
const ALL_GROUPS = 63;

const bulk = (client: RpcClient, flags: number, stats = ALL_GROUPS) =>
  client.call('CONNECT_GET_ALL_DOMAIN_STATS', { doms: [], stats, flags });

function domOf({ host }: Fixture, name: string) {
  const { uuid, id } = host.require(name);
  return { name, uuid, id };
}

const occupied = ({ host }: Fixture, name: string) => host.require(name).monitor.occupiedMs !== undefined;
const errorCode = (watched: { error?: unknown }) =>
  watched.error instanceof RpcError ? watched.error.code : undefined;

describe('a hung domain of the simulated host', () => {
  it('swallows the first NOWAIT bulk call and gives later ones its partial record at once', () =>
    withServer({}, async (fixture) => {
      const client = await fixture.open();
      fixture.server.hang('vm-0002');
      const first = watch(bulk(client, NOWAIT));
      await until(() => occupied(fixture, 'vm-0002'));
      const { records } = await bulk(client, NOWAIT);
      const sizes = records.map(({ params }) => params.length);
      assert.equal(sizes[0], sizes[2]);
      assert.ok(sizes[1]! > 30 && sizes[1]! < 45, `${sizes[1]!} parameters remain`);
      assert.equal(first.settled, false);
      fixture.server.release('vm-0002');
      await until(() => first.settled);
      assert.equal((first.value as { records: unknown[] }).records.length, 3);
    }));

  it('does not disturb the groups that need no monitor', () =>
    withServer({}, async (fixture) => {
      const client = await fixture.open();
      fixture.server.hang('vm-0002');
      const { records } = await bulk(client, 0, StatsGroup.state | StatsGroup.interface);
      assert.equal(records.length, 3);
      assert.equal(occupied(fixture, 'vm-0002'), false);
    }));

  it('costs plain calls 30 s each, one domain after the other, and single calls error 68', () =>
    withServer({}, async (fixture) => {
      const { clock, server } = fixture;
      const [stuck, client] = [await fixture.open(), await fixture.open()];
      for (const name of ['vm-0001', 'vm-0002']) {
        server.hang(name);
        watch(stuck.call('DOMAIN_MEMORY_STATS', { dom: domOf(fixture, name), maxStats: 13, flags: 0 }));
        await until(() => occupied(fixture, name));
      }
      const timers = clock.pendingTimers;
      const plain = watch(bulk(client, 0));
      await until(() => clock.pendingTimers > timers);
      await clock.advance(30_000);
      assert.equal(plain.settled, false);
      await clock.advance(30_000);
      await until(() => plain.settled);
      assert.equal((plain.value as { records: unknown[] }).records.length, 3);
      const single = watch(client.call('DOMAIN_GET_JOB_INFO', { dom: domOf(fixture, 'vm-0001') }));
      await until(() => clock.pendingTimers > timers);
      await clock.advance(30_000);
      await until(() => single.settled);
      assert.equal(errorCode(single), 68);
    }));

  it('is seen by control info, which never blocks', () =>
    withServer({}, async (fixture) => {
      const client = await fixture.open();
      const dom = domOf(fixture, 'vm-0001');
      const control = () => client.call('DOMAIN_GET_CONTROL_INFO', { dom, flags: 0 });
      fixture.server.hang('vm-0001');
      assert.equal((await control()).state, 0, 'nobody has used the monitor yet');
      watch(client.call('DOMAIN_SUSPEND', { dom }));
      await until(() => occupied(fixture, 'vm-0001'));
      await fixture.clock.advance(7000);
      assert.deepEqual(await control(), { state: 2, details: 0, stateTime: 7000 });
      for (const name of ['DOMAIN_GET_INFO', 'DOMAIN_IS_ACTIVE'] as const)
        assert.ok(await client.call(name, { dom }));
      assert.ok(await client.call('DOMAIN_GET_XML_DESC', { dom, flags: 0 }));
    }));

  it('can be destroyed, which fails the hanging call with code 1', () =>
    withServer({}, async (fixture) => {
      const { clock, host, server } = fixture;
      const [stuck, client] = [await fixture.open(), await fixture.open()];
      await client.call('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY', { eventId: 0 });
      const dom = domOf(fixture, 'vm-0001');
      server.hang('vm-0001');
      const hanging = watch(bulk(stuck, NOWAIT));
      await until(() => occupied(fixture, 'vm-0001'));
      const destroy = watch(client.call('DOMAIN_DESTROY_FLAGS', { dom, flags: 0 }));
      await until(() => clock.pendingTimers > 0);
      await clock.advance(11_500);
      await until(() => destroy.settled && hanging.settled);
      assert.equal(destroy.error, undefined);
      assert.equal(errorCode(hanging), 1);
      assert.deepEqual(client.lifecycle, ['5/1']);
      assert.equal(host.require('vm-0001').active, false);
    }));

  it('stands still with its guest, and goes on where it was', () =>
    withServer({}, async (fixture) => {
      const { clock, host, server } = fixture;
      const domain = host.require('vm-0001');
      const cpuTime = () => host.stats.of(domain).value(domain, 'cpu.time');
      host.guests.shutdown(domain);
      await clock.advance(1000);
      server.hang('vm-0001');
      const before = cpuTime();
      await clock.advance(60_000);
      assert.equal(cpuTime(), before);
      const client = await fixture.open();
      const asked = watch(
        client.call('DOMAIN_GET_GUEST_INFO', { dom: domOf(fixture, 'vm-0001'), types: 8, flags: 0 }),
      );
      await until(() => clock.pendingTimers > 0);
      await clock.advance(5000);
      await until(() => asked.settled);
      assert.equal(errorCode(asked), 86);
      server.release('vm-0001');
      await clock.advance(999);
      assert.ok(cpuTime() > before);
      assert.equal(domain.active, true);
      await clock.advance(1);
      assert.equal(domain.active, false);
    }));

  it('must run to hang', () =>
    withServer({}, ({ host, server }) => {
      host.lifecycle.destroy(host.require('vm-0001'), false);
      assert.throws(() => server.hang('vm-0001'), /not running/);
      assert.throws(() => server.hang('nobody'), /not found/i);
      return Promise.resolve();
    }));
});

describe('limits of the simulated daemon', () => {
  it('stops reading a connection at five unanswered calls, and serves the others', () =>
    withServer({}, async (fixture) => {
      const [client, other] = [await fixture.open(), await fixture.open()];
      fixture.server.hang('vm-0001');
      const dom = domOf(fixture, 'vm-0001');
      const five = Array.from({ length: 5 }, () =>
        watch(client.call('DOMAIN_MEMORY_STATS', { dom, maxStats: 13, flags: 0 })),
      );
      const sixth = watch(client.call('DOMAIN_GET_STATE', { dom, flags: 0 }));
      await until(() => occupied(fixture, 'vm-0001'));
      for (let i = 0; i < 20; i++) await other.call('DOMAIN_GET_STATE', { dom, flags: 0 });
      assert.ok(five.every(({ settled }) => !settled));
      assert.equal(sixth.settled, false);
      await fixture.clock.advance(30_000);
      await until(() => sixth.settled);
      assert.equal(five.filter(({ settled }) => settled).length, 4);
      assert.deepEqual(sixth.value, { state: 1, reason: 1 });
    }));

  it('does not see the PONGs of a client that it has stopped reading, and gives it up', () =>
    withServer({ domains: 6 }, async (fixture) => {
      const client = await fixture.open();
      await client.call('CONNECT_SUPPORTS_FEATURE', { feature: 10 });
      for (let i = 1; i <= 5; i++) {
        fixture.server.hang(`vm-000${i}`);
        watch(
          client.call('DOMAIN_MEMORY_STATS', { dom: domOf(fixture, `vm-000${i}`), maxStats: 13, flags: 0 }),
        );
      }
      await until(() => occupied(fixture, 'vm-0005'));
      for (let i = 0; i < 6; i++) {
        client.socket.write(keepalivePacket(Keepalive.pong));
        await fixture.clock.advance(5000);
      }
      await until(() => client.closed);
    }));

  it('lets hung calls take every ordinary worker, but no priority worker', () =>
    withServer({ domains: 4, workers: { ordinary: 2, priority: 1 } }, async (fixture) => {
      const [stuck, client] = [await fixture.open(), await fixture.open()];
      for (const name of ['vm-0001', 'vm-0002']) {
        fixture.server.hang(name);
        watch(stuck.call('DOMAIN_MEMORY_STATS', { dom: domOf(fixture, name), maxStats: 13, flags: 0 }));
        await until(() => occupied(fixture, name));
      }
      const dom = domOf(fixture, 'vm-0003');
      const low = watch(client.call('DOMAIN_GET_INFO', { dom }));
      assert.deepEqual(await client.call('DOMAIN_GET_STATE', { dom, flags: 0 }), { state: 1, reason: 1 });
      assert.equal(low.settled, false);
      stuck.close();
      await client.call('DOMAIN_GET_STATE', { dom, flags: 0 });
      assert.equal(low.settled, false, 'closing the connection does not free the worker');
      fixture.server.release('vm-0001');
      await until(() => low.settled);
      assert.equal(low.error, undefined);
    }));

  it('takes its service time per monitor-backed record, shards in parallel', () =>
    withServer({ domains: 10, serviceTime: { meanMs: 5 } }, async (fixture) => {
      const { clock, host } = fixture;
      const client = await fixture.open();
      const free = await bulk(client, NOWAIT, StatsGroup.state);
      assert.equal(free.records.length, 10);
      const doms = [...host.domains].map(({ name }) => domOf(fixture, name));
      const shards = [doms.slice(0, 5), doms.slice(5)].map((shard) =>
        watch(client.call('CONNECT_GET_ALL_DOMAIN_STATS', { doms: shard, stats: ALL_GROUPS, flags: NOWAIT })),
      );
      await until(() => clock.pendingTimers === 2);
      await clock.advance(24);
      assert.deepEqual(
        shards.map(({ settled }) => settled),
        [false, false],
      );
      await clock.advance(1);
      await until(() => shards.every(({ settled }) => settled));
    }));

  it('forgets hung calls when it is killed, while the domain hangs on', () =>
    withServer({}, async (fixture) => {
      const { clock, server } = fixture;
      const client = await fixture.open();
      server.hang('vm-0001');
      watch(bulk(client, NOWAIT));
      await until(() => occupied(fixture, 'vm-0001'));
      await server.kill();
      assert.equal(clock.pendingTimers, 0);
      await server.start();
      const again = await fixture.open();
      watch(bulk(again, NOWAIT));
      await until(() => occupied(fixture, 'vm-0001'));
      assert.equal((await bulk(again, NOWAIT)).records.length, 3);
    }));
});
