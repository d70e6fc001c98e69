import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../../src/domain/hypervisor.js';
import { fakeId } from '../../../support/fake-domain.js';
import { Harness, withVm } from '../harness.js';

const id = fakeId(1);

describe('VM.reset', () => {
  it('shows RebootInProgress for 60 s and restarts the age of the guest, wherever the event comes', async () => {
    for (const events of ['now', 'held', 'lost'] as const) {
      const harness = await withVm({ startTime: 1000 });
      harness.hypervisor.events = events;
      assert.equal(await harness.run('VM.reset', id), true);
      harness.hypervisor.deliver();
      await harness.clock.advance(60_000);
      assert.deepEqual(harness.statuses(), ['RebootInProgress', 'Up'], events);
      const age = harness.clock.wallMs() - (harness.vm(id).startedAtMs ?? 0);
      assert.equal(age === 60_000, events !== 'lost', events);
    }
  });

  it('is refused for a VM that is Down, and has its own code when it fails', async () => {
    const harness = await withVm();
    harness.hypervisor.failNext('power.reset', new HypervisorError('failed', 'no'));
    await assert.rejects(harness.run('VM.reset', id), { code: 90, message: /^Failed to reset VM\./ });
    assert.deepEqual(harness.statuses(), []);
    harness.hypervisor.act(id, 'powerOff');
    await assert.rejects(harness.run('VM.reset', id), { code: 1 });
  });
});

describe('VM.setDestroyOnReboot', () => {
  it('ends the VM with 0/13 at the reboot that follows, however soon', async () => {
    const harness = await withVm();
    harness.hypervisor.events = 'held';
    assert.equal(await harness.run('VM.setDestroyOnReboot', id), true);
    assert.deepEqual(harness.statuses(), []);
    harness.hypervisor.events = 'now';
    harness.hypervisor.emit(id, { kind: 'reboot' });
    await harness.rest();
    assert.deepEqual(harness.statuses(), ['Down']);
    assert.deepEqual([harness.vm(id).exit?.code, harness.vm(id).exit?.reason], [0, 13]);
  });

  it('outlives the agent', async () => {
    const before = await withVm();
    await before.run('VM.setDestroyOnReboot', id);
    await before.stop();
    const after = await new Harness(before.hypervisor).start();
    after.hypervisor.emit(id, { kind: 'reboot' });
    await after.rest();
    assert.equal(after.vm(id).exit?.reason, 13);
  });

  it('is refused for a VM that is Down', async () => {
    const harness = await withVm();
    harness.hypervisor.act(id, 'powerOff');
    await assert.rejects(harness.run('VM.setDestroyOnReboot', id), { code: 6 });
  });
});

describe('verbs on a migration that is not', () => {
  const codes = {
    'VM.getMigrationStatus': 81,
    'VM.migrateCancel': 47,
    'VM.migrateChangeParams': 81,
  } as const;
  for (const [verb, code] of Object.entries(codes)) {
    it(`${verb} answers ${code}, and 1 for an unknown VM`, async () => {
      const harness = await withVm();
      const name = verb as keyof typeof codes;
      await assert.rejects(harness.run(name, id, { params: {} }), { code });
      await assert.rejects(harness.run(name, fakeId(9), { params: {} }), { code: 1 });
    });
  }
});
