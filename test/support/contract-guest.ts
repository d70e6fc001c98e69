/** The contract of guest agents: of guests without one, and of one that answers, where the subject has such a guest. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { GuestCalls } from '../../src/domain/hypervisor-verbs.js';
import type { VmId } from '../../src/domain/ids.js';
import { rejectsWith } from './contract-bench.js';
import { AGENT_CHANNEL, unknownId } from './contract-subject.js';
import type { Bench } from './contract-bench.js';

const calls: Readonly<Record<string, (guest: GuestCalls, id: VmId) => Promise<unknown>>> = {
  info: (guest, id) => guest.info(id, ['os', 'hostname']),
  interfaces: (guest, id) => guest.interfaces(id),
  command: (guest, id) => guest.command(id, { execute: 'guest-ping' }),
  freeze: (guest, id) => guest.freeze(id),
  thaw: (guest, id) => guest.thaw(id),
};

export function guestContract(started: () => Promise<Bench>): void {
  it('tells that a guest agent is not configured or not connected apart from all else', async () => {
    const bench = await started();
    const { guest } = bench.hypervisor;
    const without = await bench.run(1);
    const silent = await bench.run(2, false, AGENT_CHANNEL);
    const stopped = await bench.define(3, false, AGENT_CHANNEL);
    for (const [name, call] of Object.entries(calls)) {
      await rejectsWith('agent', call(guest, without), `${name} without a channel`);
      await rejectsWith('agent', call(guest, silent), `${name} without an agent`);
      await rejectsWith('invalid-state', call(guest, stopped), `${name} of a stopped domain`);
      await rejectsWith('no-domain', call(guest, unknownId), `${name} of no domain`);
    }
    await bench.does(silent, 'suspend', { state: 'paused', reason: 'user' });
    await rejectsWith('invalid-state', calls['info']!(guest, silent), 'info of a paused domain');
  });

  it('asks an agent that answers, and tells what it does not know apart from what fails', async (t) => {
    const bench = await started();
    const { guest } = bench.hypervisor;
    const { agentGuest } = bench.subject;
    if (!agentGuest) {
      t.skip('there is no guest with an agent');
      return;
    }
    const id = await bench.runAgentGuest(1, agentGuest);
    const { hostname } = await guest.info(id, ['hostname']);
    assert.match(String(hostname), /\w/);
    assert.ok((await guest.interfaces(id)).some(({ ipv4 }) => ipv4.includes('127.0.0.1')));
    assert.deepEqual(await guest.command(id, { execute: 'guest-ping' }), {});
    const unknown = guest.command(id, { execute: 'guest-contract' });
    await rejectsWith('unsupported', unknown, 'a command that no agent knows');

    const frozen = await guest.freeze(id);
    assert.ok(frozen > 0);
    await rejectsWith('failed', guest.freeze(id), 'freezing what is frozen');
    await rejectsWith('failed', guest.info(id, ['os']), 'asking a frozen guest');
    await rejectsWith(
      'failed',
      guest.command(id, { execute: 'guest-network-get-interfaces' }),
      'commanding a frozen guest',
    );
    assert.equal(await guest.thaw(id), frozen);
    assert.equal(await guest.thaw(id), 0);
    await bench.does(id, 'suspend', { state: 'paused', reason: 'user' });
    await rejectsWith('invalid-state', guest.command(id, { execute: 'guest-ping' }));
  });

  it('sets how long agents may take, of domains that run or not', async () => {
    const bench = await started();
    const { guest } = bench.hypervisor;
    for (const id of [await bench.define(1), await bench.run(2, false, AGENT_CHANNEL)]) {
      await guest.setAgentTimeout(id, 3);
    }
    await rejectsWith('no-domain', guest.setAgentTimeout(unknownId, 3));
  });
}
