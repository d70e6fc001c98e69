import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../../src/domain/hypervisor.js';
import { withPatience } from '../../../../src/vms/guest-agent/patience.js';
import { fakeId } from '../../../support/fake-domain.js';
import { withVm } from '../harness.js';

const id = fakeId(1);

describe('the limit of an agent', () => {
  it('is raised for work that takes longer, and is the usual one afterwards, however it ended', async () => {
    const { hypervisor } = await withVm();
    const limit = (): number | undefined => hypervisor.guest.timeouts.get(id);
    assert.equal(await withPatience(hypervisor, id, 30, () => Promise.resolve(limit())), 30);
    assert.equal(limit(), 5);
    const failing = withPatience(hypervisor, id, 40, () => {
      assert.equal(limit(), 40);
      return Promise.reject(new Error('frozen half-way'));
    });
    await assert.rejects(failing, /half-way/);
    assert.equal(limit(), 5);
  });

  it('does not keep work from being done where it cannot be set', async () => {
    const { hypervisor } = await withVm();
    const unsupported = new HypervisorError('unsupported', 'libvirt is too old');
    hypervisor.failNext('guest.setAgentTimeout', unsupported, 2);
    assert.equal(await withPatience(hypervisor, id, 30, () => Promise.resolve('done')), 'done');
  });
});
