import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { State } from '../../../src/simulator/domain.js';
import { RpcError, until } from './rpc-client.js';
import type { RpcClient } from './rpc-client.js';
import { watch, withServer } from './server-fixture.js';
import type { Fixture } from './server-fixture.js';

const code = (expected: number) => (error: unknown) => error instanceof RpcError && error.code === expected;
const xml = (name: string, more = '') =>
  `<domain type='kvm'><name>${name}</name><memory>1</memory><os><type>hvm</type></os><devices>${more}</devices></domain>`;

async function defined({ host }: Fixture, client: RpcClient, name: string) {
  const { dom } = await client.call('DOMAIN_DEFINE_XML', { xml: xml(name) });
  return { dom, domain: host.require(name) };
}

describe('starts on the simulated host', () => {
  it('take their time, a few at once, each in its turn', () =>
    withServer({ domains: 0, startMs: 100, parallelStarts: 2 }, async (fixture) => {
      const client = await fixture.open();
      const made: Awaited<ReturnType<typeof defined>>[] = [];
      for (const name of ['a', 'b', 'c', 'd']) made.push(await defined(fixture, client, name));
      const starts = made.map(({ dom }) => watch(client.call('DOMAIN_CREATE', { dom })));
      const states = () => made.map(({ domain }) => domain.state);
      await until(() => fixture.clock.pendingTimers === 2);
      assert.deepEqual(
        made.map(({ domain: { active, reason } }) => [active, reason]),
        [
          [true, 11],
          [true, 11],
          [false, 0],
          [false, 0],
        ],
      );
      await fixture.clock.advance(100);
      await until(() => starts[1]!.settled);
      assert.deepEqual(states(), [State.running, State.running, State.paused, State.paused]);
      await fixture.clock.advance(100);
      await until(() => starts[3]!.settled);
      assert.ok(states().every((state) => state === State.running));
      assert.deepEqual(
        starts.map(({ error }) => error),
        [undefined, undefined, undefined, undefined],
      );
    }));

  it('hold the domain: a second start waits for the first, and is one too many', () =>
    withServer({ domains: 0, startMs: 100 }, async (fixture) => {
      const [client, other] = [await fixture.open(), await fixture.open()];
      const { dom } = await defined(fixture, client, 'a');
      const first = watch(client.call('DOMAIN_CREATE_WITH_FLAGS', { dom, flags: 1 }));
      await until(() => fixture.clock.pendingTimers === 1);
      const second = watch(other.call('DOMAIN_CREATE', { dom }));
      await fixture.clock.advance(100);
      await until(() => first.settled && second.settled);
      assert.equal(first.error, undefined);
      assert.ok(code(55)(second.error));
      assert.equal(fixture.host.require('a').state, State.paused);
    }));

  it('are ended by a destroy, before and after their turn has come', () =>
    withServer({ domains: 0, startMs: 100, parallelStarts: 1 }, async (fixture) => {
      const client = await fixture.open();
      const a = watch(client.call('DOMAIN_CREATE_XML', { xml: xml('a'), flags: 0 }));
      const b = watch(client.call('DOMAIN_CREATE_XML', { xml: xml('b'), flags: 0 }));
      await until(() => fixture.host.findByName('b') !== undefined);
      const dom = (name: string) => ({ name, uuid: fixture.host.require(name).uuid, id: -1 });
      await assert.rejects(client.call('DOMAIN_DESTROY', { dom: dom('b') }), code(55), 'it does not run yet');
      await client.call('DOMAIN_DESTROY', { dom: dom('a') });
      await until(() => a.settled);
      assert.ok(code(1)(a.error));
      assert.equal(fixture.host.findByName('a'), undefined);
      await fixture.clock.advance(100);
      await until(() => b.settled);
      assert.equal(b.error, undefined);
    }));

  it('fail when they are told to, once, and leave the domain as libvirt does', () =>
    withServer({ domains: 0 }, async (fixture) => {
      const client = await fixture.open();
      for (const eventId of [0, 7]) {
        await client.call('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY', { eventId });
      }
      const { dom, domain } = await defined(fixture, client, 'a');
      fixture.host.starts.failNext(domain);
      await assert.rejects(client.call('DOMAIN_CREATE', { dom }), code(1));
      assert.deepEqual([domain.state, domain.reason, domain.active], [State.shutoff, 6, false]);
      await until(() => client.events.length === 2);
      assert.deepEqual(
        client.events.map(({ name }) => name),
        ['lifecycle', 'controlError'],
      );
      await client.call('DOMAIN_CREATE', { dom });
      assert.equal(domain.state, State.running);
    }));

  it('fail without an image that should be there', () =>
    withServer({ domains: 0 }, async ({ open, host }) => {
      const folder = mkdtempSync(join(tmpdir(), 'starts-'));
      try {
        const client = await open();
        const image = join(folder, 'image');
        const disk = `<disk type='file'><source file='${image}'/><target dev='vda' bus='virtio'/></disk>`;
        const { dom } = await client.call('DOMAIN_DEFINE_XML', { xml: xml('a', disk) });
        await assert.rejects(client.call('DOMAIN_CREATE', { dom }), code(38));
        assert.deepEqual([host.require('a').state, host.require('a').reason], [State.shutoff, 6]);
        await assert.rejects(client.call('DOMAIN_CREATE_XML', { xml: xml('b', disk), flags: 0 }), code(38));
        assert.equal(host.findByName('b'), undefined, 'a transient one is forgotten');
        writeFileSync(image, '');
        await client.call('DOMAIN_CREATE', { dom });
      } finally {
        rmSync(folder, { recursive: true });
      }
    }));

  it('of the daemon that is killed come to nothing', () =>
    withServer({ domains: 0, startMs: 100, parallelStarts: 1 }, async (fixture) => {
      const client = await fixture.open();
      const made = [await defined(fixture, client, 'a'), await defined(fixture, client, 'b')];
      for (const { dom } of made) watch(client.call('DOMAIN_CREATE', { dom }));
      await until(() => fixture.clock.pendingTimers === 1);
      await fixture.server.kill();
      await fixture.clock.advance(1000);
      assert.ok(made.every(({ domain }) => !domain.active));
      await fixture.server.start();
      const again = await fixture.open();
      const starts = made.map(({ dom }) => watch(again.call('DOMAIN_CREATE', { dom })));
      await until(() => made.some(({ domain }) => domain.active));
      await fixture.clock.advance(99);
      assert.equal(made.filter(({ domain }) => domain.active).length, 1, 'there is still one place');
      await fixture.clock.advance(1);
      await until(() => starts[0]!.settled);
      await fixture.clock.advance(100);
      await until(() => starts[1]!.settled);
      assert.deepEqual(
        starts.map(({ error }) => error),
        [undefined, undefined],
      );
    }));
});
