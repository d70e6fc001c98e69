import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../src/domain/hypervisor.js';
import { domainXml, fakeId } from '../../support/fake-domain.js';
import { Harness, withVm } from './harness.js';

const id = fakeId(1);
const xml = domainXml(id, 'vm-1');
const failed = new HypervisorError('failed', 'internal error: process exited');

describe('VM.destroy', () => {
  for (const events of ['now', 'held', 'lost'] as const) {
    it(`ends, undefines and forgets the VM after one Down event, libvirt's events coming ${events}`, async () => {
      const harness = await withVm();
      harness.hypervisor.events = events;
      await harness.run('VM.destroy', id);
      harness.hypervisor.deliver();
      await harness.rest();
      assert.deepEqual(harness.statuses(), ['Powering down', 'Down']);
      const down = harness.payloads().at(-1);
      assert.deepEqual([down?.['exitCode'], down?.['exitReason']], [0, 6]);
      assert.equal(harness.registry.size, 0);
      assert.equal(harness.hypervisor.domains.size, 0);
    });
  }

  it('kills a QEMU that ignores the graceful attempts', async () => {
    const harness = await withVm();
    harness.hypervisor.stubborn = true;
    await harness.run('VM.destroy', id, { gracefulAttempts: 3 });
    assert.equal(harness.hypervisor.countCalls('destroy'), 4);
    assert.equal(harness.registry.size, 0);
  });

  it('does not ask a QEMU to end that is silent, but kills it', async () => {
    const harness = await withVm();
    harness.hypervisor.controlInfo = () => Promise.resolve({ state: 'occupied', sinceMs: 3000 });
    await harness.run('VM.destroy', id, { gracefulAttempts: 3 });
    assert.deepEqual(
      harness.hypervisor.callsOf('destroy').map(({ args }) => args?.['graceful']),
      [false],
    );
    assert.equal(harness.registry.size, 0);
  });

  it('only removes a VM that is Down, unless its domain runs all the same', async () => {
    const harness = await withVm();
    harness.hypervisor.act(id, 'powerOff');
    await harness.run('VM.destroy', id);
    assert.equal(harness.hypervisor.countCalls('destroy'), 0);
    assert.equal(harness.hypervisor.domains.size, 0);
    await assert.rejects(harness.run('VM.destroy', id), { code: 1 });

    const other = await withVm();
    other.hypervisor.act(id, 'powerOff');
    other.hypervisor.events = 'lost';
    other.hypervisor.act(id, 'start');
    await other.run('VM.destroy', id);
    assert.equal(other.hypervisor.domains.size, 0);
  });

  it('is joined by a repeated request', async () => {
    const harness = await withVm();
    const release = harness.hypervisor.hold('destroy');
    const both = Promise.all([harness.run('VM.destroy', id), harness.run('VM.destroy', id)]);
    await assert.rejects(harness.run('VM.pause', id), { code: 40, message: /running VM.destroy/ });
    release();
    await both;
    assert.equal(harness.hypervisor.countCalls('destroy'), 1);
  });

  it('takes the VM over from a verb that hangs, whose late end changes nothing', async () => {
    const harness = await withVm();
    const release = harness.hypervisor.hold('suspend');
    const pausing = harness.run('VM.pause', id);
    const destroyed = harness.hypervisor.hold('destroy');
    const destroying = harness.run('VM.destroy', id);
    await harness.rest();
    await assert.rejects(harness.run('VM.cont', id), { code: 40, message: /running VM.destroy/ });
    destroyed();
    await destroying;
    assert.equal(harness.registry.size, 0);
    harness.operations.create({ xml });
    await harness.rest();
    release();
    await assert.rejects(pausing.then(() => Promise.reject(new Error('paused'))));
    await harness.rest();
    assert.equal(harness.registry.locks.running(id), undefined);
    const state = harness.hypervisor.domains.get(id)?.state.state;
    assert.equal(harness.vm(id).cpuRunning, state === 'running', 'the new VM of that id is as it is');
  });

  it('of an external VM leaves its definition alone', async () => {
    const harness = await withVm({ managed: false });
    await harness.run('VM.destroy', id);
    assert.equal(harness.hypervisor.domains.get(id)?.state.state, 'shutoff');
    assert.equal(harness.registry.size, 0);
    assert.equal(harness.statuses().at(-1), 'Down');
  });

  it('that fails leaves the VM as it is and can be tried again', async () => {
    const harness = await withVm();
    harness.hypervisor.failNext('destroy', failed, 2);
    await assert.rejects(harness.run('VM.destroy', id), { code: 42, message: /VM.destroy of VM vm-1/ });
    assert.deepEqual(harness.statuses(), ['Powering down', 'Up']);
    harness.hypervisor.failNext('undefine', failed);
    await assert.rejects(harness.run('VM.destroy', id), { code: 42 });
    assert.equal(harness.status(id), 'Down');
    await harness.run('VM.destroy', id);
    assert.equal(harness.registry.size, 0);
  });

  it('that got no answer leaves the VM as it is, and is what ended it if it ends yet', async () => {
    const harness = await withVm();
    harness.hypervisor.failNext('destroy', new HypervisorError('timeout', 'late'), 2);
    await assert.rejects(harness.run('VM.destroy', id), { code: 40 });
    assert.deepEqual(harness.statuses(), ['Powering down', 'Up']);
    harness.hypervisor.act(id, 'kill');
    assert.deepEqual([harness.vm(id).exit?.code, harness.vm(id).exit?.reason], [0, 6]);
  });

  it('of a VM that is being started ends the start with 0/10, before and during the launch', async () => {
    for (const held of ['define', 'launch', 'describe'] as const) {
      const harness = await new Harness().start();
      const release = harness.hypervisor.hold(held);
      harness.operations.create({ xml });
      await harness.rest();
      const destroying = harness.run('VM.destroy', id);
      await harness.rest();
      release();
      await destroying;
      await harness.rest();
      assert.deepEqual(harness.statuses(), ['WaitForLaunch', 'Down'], held);
      const down = harness.payloads().at(-1);
      assert.deepEqual([down?.['exitCode'], down?.['exitReason']], [0, 10], held);
      assert.equal(harness.hypervisor.domains.size, 0, held);
      assert.equal(harness.registry.size, 0, held);
    }
  });

  it('gives up after 60 s where a start cannot be ended', async () => {
    const harness = await new Harness().start();
    const release = harness.hypervisor.hold('define');
    harness.operations.create({ xml });
    await harness.rest();
    const destroying = assert.rejects(harness.run('VM.destroy', id), { code: 42, message: /being started/ });
    await harness.clock.advance(60_000);
    await destroying;
    release();
    await harness.rest();
    assert.equal(harness.status(id), 'Down');
  });
});
