import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fakeId } from '../../support/fake-domain.js';
import { Harness } from './harness.js';

const id = fakeId(1);

describe('a loss of the connection', () => {
  it('changes no record; after it every difference is announced once and descriptions are read again', async () => {
    const harness = new Harness();
    for (let n = 1; n <= 3; n++) harness.hypervisor.addDomain(n);
    await harness.start();
    const before = [...harness.registry.all()];
    harness.hypervisor.disconnect();
    harness.hypervisor.events = 'lost';
    harness.hypervisor.act(fakeId(1), 'suspend');
    harness.hypervisor.act(fakeId(2), 'kill');
    await harness.clock.advance(120_000);
    assert.deepEqual([...harness.registry.all()], before);
    harness.hypervisor.events = 'now';
    const described = harness.hypervisor.countCalls('describeMany');
    harness.hypervisor.connect();
    await harness.rest();
    assert.deepEqual(harness.statuses().sort(), ['Down', 'Paused']);
    assert.ok(harness.hypervisor.countCalls('describeMany') > described);
    harness.hypervisor.connect(false);
    await harness.rest();
    assert.equal(harness.published.length, 2);
  });

  it('keeps what was to be read until the connection is back', async () => {
    const harness = new Harness();
    harness.hypervisor.addDomain(1);
    await harness.start();
    harness.hypervisor.domains.get(id)!.vcpuQuota = 1;
    harness.hypervisor.emit(id, { kind: 'tunable', values: {} });
    harness.hypervisor.disconnect();
    await harness.rest();
    assert.equal(harness.vm(id).vcpuQuota, -1);
    harness.hypervisor.connect(false);
    await harness.rest();
    assert.equal(harness.vm(id).vcpuQuota, 1);
  });
});

describe('stop', () => {
  it('leaves no timer and no listener', async () => {
    const harness = new Harness();
    harness.hypervisor.addDomain(1);
    await harness.start();
    harness.hypervisor.failNext('listDomains');
    await harness.clock.advance(60_000);
    harness.hypervisor.emit(id, { kind: 'reboot' });
    await harness.stop();
    await harness.stop();
    harness.registry.move(id, 'rebooted');
    assert.equal(harness.clock.pendingTimers, 0);
    assert.equal(harness.hypervisor.listenerCount, 0);
  });
});
