/** The contract of power buttons. The guests of the suite have no system that would react to one. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { rejectsWith } from './contract-bench.js';
import { AGENT_CHANNEL, unknownId } from './contract-subject.js';
import type { Bench } from './contract-bench.js';

const running = { state: 'running', reason: 'booted' };

export function powerContract(started: () => Promise<Bench>): void {
  it('presses power buttons, which a guest may ignore', async () => {
    const bench = await started();
    const id = await bench.run(1);
    const { power } = bench.hypervisor;
    await power.shutdown(id, 'acpi');
    await power.reboot(id, 'acpi');
    assert.deepEqual(await bench.hypervisor.domainState(id), running);
    assert.deepEqual(bench.lifecycle(id), ['defined added', ...bench.traits.events.launch]);
  });

  it('resets at once, and tells of the reboot', async () => {
    const bench = await started();
    const id = await bench.run(1);
    await bench.hypervisor.power.reset(id);
    await bench.next(id, 'reboot', 0);
    assert.deepEqual(await bench.hypervisor.domainState(id), running);
    await bench.does(id, 'suspend', { state: 'paused', reason: 'user' });
    await bench.hypervisor.power.reset(id);
    assert.deepEqual(await bench.hypervisor.domainState(id), { state: 'paused', reason: 'user' });
  });

  it('needs a guest agent for its ways, and one that is connected', async () => {
    const bench = await started();
    const without = await bench.run(1);
    const silent = await bench.run(2, false, AGENT_CHANNEL);
    for (const id of [without, silent]) {
      await rejectsWith('agent', bench.hypervisor.power.shutdown(id, 'agent'));
      await rejectsWith('agent', bench.hypervisor.power.reboot(id, 'agent'));
    }
  });

  it('has no buttons on a domain that does not run, or is not there', async () => {
    const bench = await started();
    const { power } = bench.hypervisor;
    const id = await bench.define(1);
    for (const [of, kind] of [
      [id, 'invalid-state'],
      [unknownId, 'no-domain'],
    ] as const) {
      await rejectsWith(kind, power.shutdown(of, 'acpi'), 'shutdown');
      await rejectsWith(kind, power.shutdown(of, 'agent'), 'shutdown by the agent');
      await rejectsWith(kind, power.reboot(of, 'acpi'), 'reboot');
      await rejectsWith(kind, power.reset(of), 'reset');
    }
  });
}
