import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../src/domain/hypervisor.js';
import { engineTime } from '../../../src/util/time.js';
import { domainXml, fakeId } from '../../support/fake-domain.js';
import { Harness } from './harness.js';

const id = fakeId(1);
const xml = domainXml(id, 'vm-1');
const failed = new HypervisorError('failed', 'internal error: process exited');

describe('VM.create', () => {
  it('answers at once and brings the VM up', async () => {
    const harness = await new Harness().start();
    const result = harness.operations.create({ xml });
    const statusTime = String(engineTime(harness.clock.nowMs()));
    assert.deepEqual(result, { vmId: id, status: 'WaitForLaunch', statusTime, xml });
    await harness.rest();
    await harness.clock.advance(60_000);
    assert.deepEqual(harness.statuses(), ['WaitForLaunch', 'Powering up', 'Up']);
    assert.equal(harness.vm(id).external, false);
    assert.equal(harness.vm(id).vcpuPeriod, 100_000);
  });

  for (const managed of [true, false]) {
    it(`leaves a managed VM with its age to the next agent, ${managed ? 'with' : 'without'} metadata of the caller`, async () => {
      const first = await new Harness().start();
      await first.clock.advance(90_000);
      first.operations.create({ xml: domainXml(id, 'vm-1', { managed }) });
      await first.rest();
      const next = await new Harness(first.hypervisor).start();
      assert.equal(next.vm(id).external, false);
      assert.equal(next.vm(id).startedAtMs, first.clock.wallMs());
      assert.notEqual(next.clock.wallMs(), first.clock.wallMs());
    });
  }

  for (const events of ['held', 'lost'] as const) {
    it(`needs none of libvirt's events: they come ${events}`, async () => {
      const harness = await new Harness().start();
      harness.hypervisor.events = events;
      harness.operations.create({ xml });
      await harness.rest();
      harness.hypervisor.deliver();
      await harness.rest();
      assert.deepEqual(harness.statuses(), ['WaitForLaunch', 'Powering up']);
    });
  }

  it('honours launchPaused', async () => {
    const harness = await new Harness().start();
    harness.operations.create({ xml: domainXml(id, 'vm-1', { launchPaused: true }) });
    await harness.rest();
    const last = harness.payloads().at(-1);
    assert.deepEqual([last?.['status'], last?.['pauseCode']], ['Paused', 'NOERR']);
  });

  it('refuses XML that is no domain, and a VM that exists already, also as a repeated request', async () => {
    const harness = await new Harness().start();
    assert.throws(() => harness.operations.create({ xml: '<network/>' }), {
      code: 100,
      message: /XML error/,
    });
    harness.operations.create({ xml });
    assert.throws(() => harness.operations.create({ xml }), { code: 4 });
    await harness.rest();
    assert.throws(() => harness.operations.create({ xml }), { code: 4 });
    harness.hypervisor.disconnect();
    assert.throws(() => harness.operations.create({ xml: domainXml(fakeId(2), 'vm-2') }), { code: 40 });
  });

  it('is Down 1/1 with the text of libvirt where it fails, and can be destroyed and tried again', async () => {
    const harness = await new Harness().start();
    harness.hypervisor.failNext('launch', failed);
    harness.operations.create({ xml });
    await harness.rest();
    assert.deepEqual(harness.vm(id).exit, { code: 1, reason: 1, message: failed.message });
    await harness.run('VM.destroy', id);
    assert.equal(harness.hypervisor.domains.size, 0);
    harness.operations.create({ xml });
    await harness.rest();
    assert.equal(harness.status(id), 'Powering up');
  });

  it('replaces a stale definition of the same id, and refuses to touch a running domain', async () => {
    const harness = await new Harness().start();
    harness.hypervisor.addDomain(1, { state: 'shutoff', reason: 'unknown' });
    harness.operations.create({ xml });
    await harness.rest();
    assert.equal(harness.hypervisor.countCalls('undefine'), 1);
    assert.equal(harness.status(id), 'Powering up');
    harness.hypervisor.addDomain(2);
    harness.operations.create({ xml: domainXml(fakeId(2), 'vm-2') });
    await harness.rest();
    assert.match(harness.vm(fakeId(2)).exit?.message ?? '', /running already/);
    assert.equal(harness.hypervisor.domains.get(fakeId(2))?.state.state, 'running');
  });

  it('tells of a guest that ended before its start was reported', async () => {
    const harness = await new Harness().start();
    const release = harness.hypervisor.hold('describe');
    harness.operations.create({ xml });
    await harness.rest();
    harness.hypervisor.act(id, 'powerOff');
    release();
    await harness.rest();
    assert.deepEqual(harness.statuses(), ['WaitForLaunch', 'Down']);
    assert.equal(harness.vm(id).exit?.reason, 7);
  });

  it('reads the live XML later where it cannot be had after the launch', async () => {
    const harness = await new Harness().start();
    harness.hypervisor.failNext('describe', new HypervisorError('timeout', 'no answer'));
    harness.operations.create({ xml });
    await harness.rest();
    assert.deepEqual(harness.statuses(), ['WaitForLaunch', 'Powering up']);
    assert.equal(harness.hypervisor.countCalls('describe'), 2);
  });

  it('does not call a launch without an answer a failure, but finds out what became of it', async () => {
    const harness = await new Harness().start();
    const release = harness.hypervisor.hold('launch');
    harness.operations.create({ xml });
    await harness.rest();
    harness.hypervisor.disconnect();
    release();
    await harness.rest();
    assert.deepEqual(harness.statuses(), ['WaitForLaunch']);
    harness.hypervisor.events = 'lost';
    harness.hypervisor.act(id, 'start');
    harness.hypervisor.connect();
    await harness.rest();
    assert.deepEqual(harness.statuses(), ['WaitForLaunch', 'Up']);
  });

  it('does not believe an error of the launch while the VM runs', async () => {
    const harness = await new Harness().start();
    const release = harness.hypervisor.hold('launch');
    harness.operations.create({ xml });
    await harness.rest();
    harness.hypervisor.act(id, 'start');
    release();
    await harness.rest();
    assert.deepEqual(harness.statuses(), ['WaitForLaunch', 'Powering up']);
  });

  it('starts four at a time', async () => {
    const harness = await new Harness().start();
    const release = harness.hypervisor.hold('launch');
    for (let n = 1; n <= 9; n++) harness.operations.create({ xml: domainXml(fakeId(n), `vm-${n}`) });
    await harness.rest();
    assert.equal(harness.hypervisor.countCalls('launch'), 4);
    release();
    await harness.rest();
    await harness.rest();
    assert.equal([...harness.registry.all()].filter(({ status }) => status === 'Powering up').length, 9);
  });
});
