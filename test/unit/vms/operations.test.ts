import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../src/domain/hypervisor.js';
import { fakeId } from '../../support/fake-domain.js';
import { withVm } from './harness.js';

const id = fakeId(1);

describe('VM.pause and VM.cont', () => {
  for (const events of ['now', 'held', 'lost'] as const) {
    it(`publish one event each where libvirt's own events come ${events}`, async () => {
      const harness = await withVm();
      harness.hypervisor.events = events;
      await harness.run('VM.pause', id);
      harness.hypervisor.deliver();
      await harness.rest();
      await harness.run('VM.cont', id);
      harness.hypervisor.deliver();
      await harness.rest();
      assert.deepEqual(harness.payloads(), [{ status: 'Paused', pauseCode: 'NOERR' }, { status: 'Up' }]);
    });
  }

  it('may be asked twice', async () => {
    const harness = await withVm();
    await harness.run('VM.cont', id);
    await harness.run('VM.pause', id);
    await harness.run('VM.pause', id);
    assert.deepEqual(harness.statuses(), ['Paused']);
  });

  it('repair a record that was wrong about the VM', async () => {
    const harness = await withVm();
    harness.hypervisor.events = 'lost';
    harness.hypervisor.act(id, 'suspend');
    await harness.run('VM.pause', id);
    assert.deepEqual(harness.statuses(), ['Paused']);
  });

  it('tell of an unknown VM, of a Down one, and of one that cannot be continued', async () => {
    const harness = await withVm();
    await assert.rejects(harness.run('VM.pause', fakeId(9)), {
      code: 1,
      message: `Virtual machine does not exist: {'vmId': '${fakeId(9)}'}`,
    });
    harness.registry.move(id, 'save-begun');
    await assert.rejects(harness.run('VM.cont', id), { code: 16, message: /VM vm-1 .* while it is Saving/ });
    harness.hypervisor.act(id, 'kill');
    await assert.rejects(harness.run('VM.pause', id), { code: 6 });
    await assert.rejects(harness.run('VM.cont', id), { code: 16 });
  });

  it('run one at a time; the second is told what is running', async () => {
    const harness = await withVm();
    const release = harness.hypervisor.hold('suspend');
    const first = harness.run('VM.pause', id);
    await assert.rejects(harness.run('VM.cont', id), {
      code: 40,
      message: /VM vm-1 \(.*\) is busy: running VM.pause; try again when it has ended/,
    });
    release();
    await first;
    await harness.run('VM.cont', id);
  });

  it('say that libvirt is not connected, at once and when it is lost half-way', async () => {
    const harness = await withVm();
    const release = harness.hypervisor.hold('suspend');
    const pausing = harness.run('VM.pause', id);
    harness.hypervisor.disconnect('end of file');
    release();
    await assert.rejects(pausing, { code: 40, message: /libvirt is not connected: VM.pause of VM vm-1/ });
    await assert.rejects(harness.run('VM.pause', id), {
      code: 40,
      message: /libvirt is not connected \(end of file\): VM vm-1/,
    });
  });

  it('map failures of the hypervisor to errors of the one VM, and look again', async () => {
    const harness = await withVm();
    const kinds = { timeout: 40, denied: 75, unsupported: 75, 'no-domain': 1, failed: 100 } as const;
    for (const [kind, code] of Object.entries(kinds)) {
      harness.hypervisor.failNext('suspend', new HypervisorError(kind as keyof typeof kinds, 'why'));
      await assert.rejects(harness.run('VM.pause', id), { code, name: 'VerbError' });
    }
    await harness.rest();
    assert.equal(harness.status(id), 'Up');
    assert.ok(harness.hypervisor.countCalls('domainState') > 0);
  });

  it('end with the truth where the VM stops while they run', async () => {
    const harness = await withVm();
    const release = harness.hypervisor.hold('suspend');
    const pausing = harness.run('VM.pause', id);
    harness.hypervisor.act(id, 'powerOff');
    release();
    await assert.rejects(pausing);
    assert.deepEqual(harness.statuses(), ['Down']);
  });
});
