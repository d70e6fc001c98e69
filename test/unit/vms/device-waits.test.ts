import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DeviceWaits } from '../../../src/vms/device-waits.js';
import { fakeId } from '../../support/fake-domain.js';
import { withVm } from './harness.js';
import type { Harness } from './harness.js';

const [ID, OTHER] = [fakeId(1), fakeId(2)];

async function withWaits(): Promise<{ harness: Harness; waits: DeviceWaits; listeners: number }> {
  const harness = await withVm();
  const listeners = harness.hypervisor.listenerCount;
  return { harness, waits: new DeviceWaits(harness), listeners };
}

describe('waiting for a guest to let go of a device', () => {
  it('ends with the event of that device of that VM, and hears nothing any more', async () => {
    const { harness, waits, listeners } = await withWaits();
    const { end } = waits.removal(ID, 'net0');
    assert.equal(harness.hypervisor.listenerCount, listeners + 1);
    harness.hypervisor.emit(OTHER, { kind: 'device-removed', alias: 'net0' });
    harness.hypervisor.emit(ID, { kind: 'device-removed', alias: 'net1' });
    assert.equal(waits.size, 1);
    harness.hypervisor.emit(ID, { kind: 'device-removed', alias: 'net0' });
    assert.equal(await end, 'removed');
    assert.equal(waits.size, 0);
    assert.equal(harness.hypervisor.listenerCount, listeners);
  });

  it('ends where the guest refuses, and with the run of the VM', async () => {
    const { harness, waits, listeners } = await withWaits();
    const refused = waits.removal(ID, 'net0');
    const ended = waits.removal(ID, 'net1');
    harness.hypervisor.emit(ID, { kind: 'device-removal-failed', alias: 'net0' });
    assert.equal(await refused.end, 'refused');
    harness.hypervisor.act(ID, 'destroy');
    assert.equal(await ended.end, 'vm-ended');
    assert.equal(harness.hypervisor.listenerCount, listeners);
  });

  it('takes the place of an earlier wait for the same device, whose cancelling does not end it', async () => {
    const { harness, waits, listeners } = await withWaits();
    const first = waits.removal(ID, 'net0');
    const second = waits.removal(ID, 'net0');
    first.cancel();
    assert.equal(waits.size, 1);
    harness.hypervisor.emit(ID, { kind: 'device-removed', alias: 'net0' });
    assert.equal(await second.end, 'removed');
    waits.removal(ID, 'net0').cancel();
    assert.equal(waits.size, 0);
    assert.equal(harness.hypervisor.listenerCount, listeners);
  });
});
