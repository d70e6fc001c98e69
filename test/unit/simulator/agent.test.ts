import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { TypedParam } from '../../../src/libvirt/typed-params.js';
import { Fault } from '../../../src/simulator/fault.js';
import { obeyAgentCommand } from '../../../src/simulator/guest-agent.js';
import { SimulatedHost } from '../../../src/simulator/simulated-host.js';
import { ManualClock } from '../../support/manual-clock.js';
import { code, onDomain } from './rpc-domain.js';
import type { OnDomain } from './rpc-domain.js';
import { until } from './rpc-client.js';
import { watch } from './server-fixture.js';

const record = (params: readonly TypedParam[]) =>
  Object.fromEntries(params.map(({ field, value }) => [field, value]));
const ask = async ({ client, dom }: OnDomain, command: string) => {
  const { result } = await client.call('DOMAIN_AGENT_COMMAND', { dom, command, timeout: -1, flags: 0 });
  return (JSON.parse(result!) as { return: unknown }).return;
};
const execute = (name: string) => JSON.stringify({ execute: name });
const info = ({ client, dom }: OnDomain, types: number) =>
  client.call('DOMAIN_GET_GUEST_INFO', { dom, types, flags: 0 });

/** Every call that an agent answers. */
const calls: Readonly<Record<string, (on: OnDomain) => Promise<unknown>>> = {
  info: (on) => info(on, 8),
  command: (on) => ask(on, execute('guest-ping')),
  addresses: ({ client, dom }) => client.call('DOMAIN_INTERFACE_ADDRESSES', { dom, source: 1, flags: 0 }),
  freeze: ({ client, dom }) => client.call('DOMAIN_FSFREEZE', { dom, mountpoints: [], flags: 0 }),
  thaw: ({ client, dom }) => client.call('DOMAIN_FSTHAW', { dom, mountpoints: [], flags: 0 }),
  filesystems: ({ client, dom }) => client.call('DOMAIN_GET_FSINFO', { dom, flags: 0 }),
  vcpus: ({ client, dom }) => client.call('DOMAIN_GET_GUEST_VCPUS', { dom, flags: 0 }),
  time: ({ client, dom }) => client.call('DOMAIN_GET_TIME', { dom, flags: 0 }),
  shutdown: ({ client, dom }) => client.call('DOMAIN_SHUTDOWN_FLAGS', { dom, flags: 2 }),
  reboot: ({ client, dom }) => client.call('DOMAIN_REBOOT', { dom, flags: 2 }),
};

describe('the agent of a simulated guest', () => {
  it('tells of the guest by kinds', () =>
    onDomain({}, async (on) => {
      assert.deepEqual((await info(on, 8)).params, [{ field: 'hostname', type: 'string', value: 'vm-0001' }]);
      assert.equal(record((await info(on, 4)).params)['timezone.offset'], 0);
      const all = record((await info(on, 0)).params);
      assert.equal(all['user.count'], 1);
      assert.equal(all['fs.count'], 2);
      assert.equal(all['fs.0.mountpoint'], '/');
      assert.equal(all['disk.count'], 2);
      assert.equal(all['if.1.hwaddr'], on.domain.config.nics[0]!.mac);
      await assert.rejects(info(on, 128), code(8));
    }));

  it('obeys commands of its own protocol', () =>
    onDomain({}, async (on) => {
      assert.deepEqual(await ask(on, execute('guest-ping')), {});
      const { version, supported_commands: commands } = (await ask(on, execute('guest-info'))) as {
        version: string;
        supported_commands: { name: string; enabled: boolean }[];
      };
      assert.match(version, /^\d+\.\d+/);
      for (const { name, enabled } of commands) {
        if (enabled && name !== 'guest-shutdown')
          assert.ok((await ask(on, execute(name))) !== undefined, name);
        await ask(on, execute('guest-fsfreeze-thaw'));
      }
      assert.equal(((await ask(on, execute('guest-get-vcpus'))) as unknown[]).length, 2);
      assert.equal(((await ask(on, execute('guest-get-devices'))) as unknown[]).length, 3);
      for (const bad of ['nonsense', '{"foo":1}', '[]', '7', execute('guest-nosuch'), execute('toString')]) {
        await assert.rejects(ask(on, bad), code(1), bad);
      }
    }));

  it('gives its addresses, which are the taps’ too', () =>
    onDomain({}, async (on) => {
      const { client, dom } = on;
      const addresses = async (source: number) =>
        (await client.call('DOMAIN_INTERFACE_ADDRESSES', { dom, source, flags: 0 })).interfaces;
      const [lo, eth0] = await addresses(1);
      assert.deepEqual([lo?.name, eth0?.name], ['lo', 'eth0']);
      assert.deepEqual(await addresses(0), [{ ...eth0, name: on.domain.taps[0] }]);
      const reader = await on.open(1);
      const asked = { dom, source: 1, flags: 0 };
      await assert.rejects(reader.call('DOMAIN_INTERFACE_ADDRESSES', asked), code(29));
      assert.ok(await reader.call('DOMAIN_INTERFACE_ADDRESSES', { ...asked, source: 0 }));
    }));

  it('freezes and thaws, and does little else while frozen', () =>
    onDomain({}, async (on) => {
      const { client, dom } = on;
      const freeze = (...mountpoints: string[]) =>
        client.call('DOMAIN_FSFREEZE', { dom, mountpoints, flags: 0 });
      const thaw = (...mountpoints: string[]) => client.call('DOMAIN_FSTHAW', { dom, mountpoints, flags: 0 });
      assert.equal((await freeze()).filesystems, 2);
      await assert.rejects(freeze(), code(1));
      await assert.rejects(calls['shutdown']!(on), code(1));
      assert.equal(await ask(on, execute('guest-fsfreeze-status')), 'frozen');
      await assert.rejects(thaw('/'), code(74));
      assert.equal((await thaw()).filesystems, 2);
      assert.equal((await thaw()).filesystems, 0);
      assert.equal((await freeze('/', '/no/such')).filesystems, 1);
    }));

  it('is asked for power, and the button is pressed where it cannot', () =>
    onDomain({}, async (on) => {
      const { client, dom, host, domain } = on;
      await client.call('DOMAIN_REBOOT', { dom, flags: 2 });
      await on.clock.advance(2000);
      assert.deepEqual(await on.next(4), ['reboot', 'reboot', 'reboot', 'agentLifecycle 2']);
      host.guests.setBehaviour(domain, { agent: 'silent' });
      await on.passing(client.call('DOMAIN_SHUTDOWN_FLAGS', { dom, flags: 1 | 2 }));
      assert.equal(domain.shutdownPending, true);
      await assert.rejects(client.call('DOMAIN_SHUTDOWN_FLAGS', { dom, flags: 4 }), code(8));
    }));

  it('costs error 86 where it is absent, 74 where there is no channel, 55 where nothing runs', () =>
    onDomain({}, async (on) => {
      const { host, domain } = on;
      const all = async (expected: number, state: string) => {
        for (const [name, call] of Object.entries(calls)) {
          await assert.rejects(call(on), code(expected), `${name} of ${state}`);
        }
      };
      host.guests.setBehaviour(domain, { agent: 'absent' });
      await all(86, 'an absent agent');
      host.lifecycle.suspend(domain);
      await all(55, 'a paused domain');
      host.lifecycle.destroy(domain, false);
      await all(55, 'a stopped domain');
      host.define(host.xml(domain, true).replace(/<channel[^]*<\/channel>/, ''));
      host.lifecycle.start(domain, false);
      await all(74, 'a domain without channel');
    }));

  it('lets libvirt wait where it is silent: 5 s, or as long as it was told', () =>
    onDomain({ guest: { agent: 'silent' } }, async (on) => {
      const { client, dom, clock } = on;
      const waits = async (call: (on: OnDomain) => Promise<unknown>) => {
        const before = clock.nowMs();
        await assert.rejects(on.passing(call(on)), code(86));
        return clock.nowMs() - before;
      };
      const near = (ms: number, expected: number) => ms >= expected && ms < expected + 1000;
      for (const [name, call] of Object.entries(calls)) assert.ok(near(await waits(call), 5000), name);
      const set = (timeout: number) =>
        client.call('DOMAIN_AGENT_SET_RESPONSE_TIMEOUT', { dom, timeout, flags: 0 });
      assert.deepEqual(await set(60), { result: 0 });
      assert.ok(near(await waits(calls['info']!), 60_000));
      await set(0);
      assert.ok(near(await waits(calls['info']!), 0));
      await assert.rejects(set(-9), code(8));
      await set(-2);
      const outcome = watch(calls['info']!(on));
      await clock.advance(3_600_000);
      assert.equal(outcome.settled, false);
      on.host.lifecycle.destroy(on.domain, false);
      await on.passing(Promise.resolve());
      await until(() => outcome.settled);
      assert.ok(code(55)(outcome.error), 'it ends with the domain');
    }));

  it('answers JSON or fails with a Fault, whatever it is asked', () => {
    const host = new SimulatedHost({ clock: new ManualClock(), domains: 1 });
    const domain = host.require('vm-0001');
    const command = fc.oneof(
      fc.string(),
      fc.json(),
      fc
        .dictionary(fc.constantFrom('execute', 'arguments', 'id', 'x'), fc.jsonValue())
        .map((value) => JSON.stringify(value)),
    );
    fc.assert(
      fc.property(command, (text) => {
        try {
          assert.equal(typeof JSON.parse(obeyAgentCommand(domain, text)), 'object');
        } catch (error) {
          assert.ok(error instanceof Fault, String(error));
        }
      }),
    );
  });
});
