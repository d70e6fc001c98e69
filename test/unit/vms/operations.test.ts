import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../src/domain/hypervisor.js';
import { engineTime } from '../../../src/util/time.js';
import { domainXml, fakeId } from '../../support/fake-domain.js';
import type { DomainXmlOptions } from '../../support/fake-domain.js';
import { Harness } from './harness.js';

const id = fakeId(1);
const xml = domainXml(id, 'vm-1');
const failed = new HypervisorError('failed', 'internal error: process exited');

async function withVm(options?: DomainXmlOptions): Promise<Harness> {
  const harness = new Harness();
  harness.hypervisor.addDomain(1, undefined, options);
  return harness.start();
}

describe('VM.pause and VM.cont', () => {
  for (const events of ['now', 'held', 'lost'] as const) {
    it(`publish one event each where libvirt's own events come ${events}`, async () => {
      const harness = await withVm();
      harness.hypervisor.events = events;
      await harness.operations.pause(id);
      harness.hypervisor.deliver();
      await harness.rest();
      await harness.operations.cont(id);
      harness.hypervisor.deliver();
      await harness.rest();
      assert.deepEqual(harness.payloads(), [{ status: 'Paused', pauseCode: 'NOERR' }, { status: 'Up' }]);
    });
  }

  it('may be asked twice', async () => {
    const harness = await withVm();
    await harness.operations.cont(id);
    await harness.operations.pause(id);
    await harness.operations.pause(id);
    assert.deepEqual(harness.statuses(), ['Paused']);
  });

  it('repair a record that was wrong about the VM', async () => {
    const harness = await withVm();
    harness.hypervisor.events = 'lost';
    harness.hypervisor.act(id, 'suspend');
    await harness.operations.pause(id);
    assert.deepEqual(harness.statuses(), ['Paused']);
  });

  it('tell of an unknown VM, of a Down one, and of one that cannot be continued', async () => {
    const harness = await withVm();
    await assert.rejects(harness.operations.pause(fakeId(9)), {
      code: 1,
      message: `Virtual machine does not exist: {'vmId': '${fakeId(9)}'}`,
    });
    harness.registry.move(id, 'save-begun');
    await assert.rejects(harness.operations.cont(id), { code: 16, message: /VM vm-1 .* while it is Saving/ });
    harness.hypervisor.act(id, 'kill');
    await assert.rejects(harness.operations.pause(id), { code: 6 });
    await assert.rejects(harness.operations.cont(id), { code: 16 });
  });

  it('run one at a time; the second is told what is running', async () => {
    const harness = await withVm();
    const release = harness.hypervisor.hold('suspend');
    const first = harness.operations.pause(id);
    await assert.rejects(harness.operations.cont(id), {
      code: 40,
      message: /VM vm-1 \(.*\) is busy: running VM.pause; try again when it has ended/,
    });
    release();
    await first;
    await harness.operations.cont(id);
  });

  it('say that libvirt is not connected, at once and when it is lost half-way', async () => {
    const harness = await withVm();
    const release = harness.hypervisor.hold('suspend');
    const pausing = harness.operations.pause(id);
    harness.hypervisor.disconnect('end of file');
    release();
    await assert.rejects(pausing, { code: 40, message: /libvirt is not connected: VM.pause of VM vm-1/ });
    await assert.rejects(harness.operations.pause(id), {
      code: 40,
      message: /libvirt is not connected \(end of file\): VM vm-1/,
    });
  });

  it('map failures of the hypervisor to errors of the one VM, and look again', async () => {
    const harness = await withVm();
    const kinds = { timeout: 100, denied: 100, unsupported: 75, 'no-domain': 1, failed: 100 } as const;
    for (const [kind, code] of Object.entries(kinds)) {
      harness.hypervisor.failNext('suspend', new HypervisorError(kind as keyof typeof kinds, 'why'));
      await assert.rejects(harness.operations.pause(id), { code, name: 'VerbError' });
    }
    await harness.rest();
    assert.equal(harness.status(id), 'Up');
    assert.ok(harness.hypervisor.countCalls('domainState') > 0);
  });

  it('end with the truth where the VM stops while they run', async () => {
    const harness = await withVm();
    const release = harness.hypervisor.hold('suspend');
    const pausing = harness.operations.pause(id);
    harness.hypervisor.act(id, 'powerOff');
    release();
    await assert.rejects(pausing);
    assert.deepEqual(harness.statuses(), ['Down']);
  });
});

describe('VM.create', () => {
  it('answers at once and brings the VM up', async () => {
    const harness = await new Harness().start();
    const result = harness.operations.create(xml);
    const statusTime = String(engineTime(harness.clock.nowMs()));
    assert.deepEqual(result, { vmId: id, status: 'WaitForLaunch', statusTime, xml });
    await harness.rest();
    await harness.clock.advance(60_000);
    assert.deepEqual(harness.statuses(), ['WaitForLaunch', 'Powering up', 'Up']);
    assert.equal(harness.vm(id).external, false);
    assert.equal(harness.vm(id).vcpuPeriod, 100_000);
  });

  for (const events of ['held', 'lost'] as const) {
    it(`needs none of libvirt's events: they come ${events}`, async () => {
      const harness = await new Harness().start();
      harness.hypervisor.events = events;
      harness.operations.create(xml);
      await harness.rest();
      harness.hypervisor.deliver();
      await harness.rest();
      assert.deepEqual(harness.statuses(), ['WaitForLaunch', 'Powering up']);
    });
  }

  it('honours launchPaused', async () => {
    const harness = await new Harness().start();
    harness.operations.create(domainXml(id, 'vm-1', { launchPaused: true }));
    await harness.rest();
    const last = harness.payloads().at(-1);
    assert.deepEqual([last?.['status'], last?.['pauseCode']], ['Paused', 'NOERR']);
  });

  it('refuses XML that is no domain, and a VM that exists already, also as a repeated request', async () => {
    const harness = await new Harness().start();
    assert.throws(() => harness.operations.create('<network/>'), { code: 100, message: /XML error/ });
    harness.operations.create(xml);
    assert.throws(() => harness.operations.create(xml), { code: 4 });
    await harness.rest();
    assert.throws(() => harness.operations.create(xml), { code: 4 });
    harness.hypervisor.disconnect();
    assert.throws(() => harness.operations.create(domainXml(fakeId(2), 'vm-2')), { code: 40 });
  });

  it('is Down 1/1 with the text of libvirt where it fails, and can be destroyed and tried again', async () => {
    const harness = await new Harness().start();
    harness.hypervisor.failNext('launch', failed);
    harness.operations.create(xml);
    await harness.rest();
    assert.deepEqual(harness.vm(id).exit, { code: 1, reason: 1, message: failed.message });
    await harness.operations.destroy(id);
    assert.equal(harness.hypervisor.domains.size, 0);
    harness.operations.create(xml);
    await harness.rest();
    assert.equal(harness.status(id), 'Powering up');
  });

  it('replaces a stale definition of the same id, and refuses to touch a running domain', async () => {
    const harness = await new Harness().start();
    harness.hypervisor.addDomain(1, { state: 'shutoff', reason: 'unknown' });
    harness.operations.create(xml);
    await harness.rest();
    assert.equal(harness.hypervisor.countCalls('undefine'), 1);
    assert.equal(harness.status(id), 'Powering up');
    harness.hypervisor.addDomain(2);
    harness.operations.create(domainXml(fakeId(2), 'vm-2'));
    await harness.rest();
    assert.match(harness.vm(fakeId(2)).exit?.message ?? '', /running already/);
    assert.equal(harness.hypervisor.domains.get(fakeId(2))?.state.state, 'running');
  });

  it('tells of a guest that ended before its start was reported', async () => {
    const harness = await new Harness().start();
    const release = harness.hypervisor.hold('describe');
    harness.operations.create(xml);
    await harness.rest();
    harness.hypervisor.act(id, 'powerOff');
    release();
    await harness.rest();
    assert.deepEqual(harness.statuses(), ['WaitForLaunch', 'Down']);
    assert.equal(harness.vm(id).exit?.reason, 7);
  });

  it('does not call a launch without an answer a failure, but finds out what became of it', async () => {
    const harness = await new Harness().start();
    const release = harness.hypervisor.hold('launch');
    harness.operations.create(xml);
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

  it('starts four at a time', async () => {
    const harness = await new Harness().start();
    const release = harness.hypervisor.hold('launch');
    for (let n = 1; n <= 9; n++) harness.operations.create(domainXml(fakeId(n), `vm-${n}`));
    await harness.rest();
    assert.equal(harness.hypervisor.countCalls('launch'), 4);
    release();
    await harness.rest();
    await harness.rest();
    assert.equal([...harness.registry.all()].filter(({ status }) => status === 'Powering up').length, 9);
  });
});

describe('VM.destroy', () => {
  for (const events of ['now', 'held', 'lost'] as const) {
    it(`ends, undefines and forgets the VM after one Down event, libvirt's events coming ${events}`, async () => {
      const harness = await withVm();
      harness.hypervisor.events = events;
      await harness.operations.destroy(id);
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
    await harness.operations.destroy(id, 3);
    assert.equal(harness.hypervisor.countCalls('destroy'), 4);
    assert.equal(harness.registry.size, 0);
  });

  it('only removes a VM that is Down, unless its domain runs all the same', async () => {
    const harness = await withVm();
    harness.hypervisor.act(id, 'powerOff');
    await harness.operations.destroy(id);
    assert.equal(harness.hypervisor.countCalls('destroy'), 0);
    assert.equal(harness.hypervisor.domains.size, 0);
    await assert.rejects(harness.operations.destroy(id), { code: 1 });

    const other = await withVm();
    other.hypervisor.act(id, 'powerOff');
    other.hypervisor.events = 'lost';
    other.hypervisor.act(id, 'start');
    await other.operations.destroy(id);
    assert.equal(other.hypervisor.domains.size, 0);
  });

  it('is joined by a repeated request', async () => {
    const harness = await withVm();
    const release = harness.hypervisor.hold('destroy');
    const both = Promise.all([harness.operations.destroy(id), harness.operations.destroy(id)]);
    await assert.rejects(harness.operations.pause(id), { code: 40, message: /running VM.destroy/ });
    release();
    await both;
    assert.equal(harness.hypervisor.countCalls('destroy'), 1);
  });

  it('of an external VM leaves its definition alone', async () => {
    const harness = await withVm({ managed: false });
    await harness.operations.destroy(id);
    assert.equal(harness.hypervisor.domains.get(id)?.state.state, 'shutoff');
    assert.equal(harness.registry.size, 0);
    assert.equal(harness.statuses().at(-1), 'Down');
  });

  it('that fails leaves the VM as it is and can be tried again', async () => {
    const harness = await withVm();
    harness.hypervisor.failNext('destroy', failed, 2);
    await assert.rejects(harness.operations.destroy(id), { code: 42, message: /VM.destroy of VM vm-1/ });
    assert.deepEqual(harness.statuses(), ['Powering down', 'Up']);
    harness.hypervisor.failNext('undefine', failed);
    await assert.rejects(harness.operations.destroy(id), { code: 42 });
    assert.equal(harness.status(id), 'Down');
    await harness.operations.destroy(id);
    assert.equal(harness.registry.size, 0);
  });

  it('of a VM that is being started ends the start with 0/10, before and during the launch', async () => {
    for (const held of ['define', 'launch', 'describe'] as const) {
      const harness = await new Harness().start();
      const release = harness.hypervisor.hold(held);
      harness.operations.create(xml);
      await harness.rest();
      const destroying = harness.operations.destroy(id);
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
    harness.operations.create(xml);
    const destroying = assert.rejects(harness.operations.destroy(id), { code: 42, message: /being started/ });
    await harness.clock.advance(60_000);
    await destroying;
    release();
    await harness.rest();
    assert.equal(harness.status(id), 'Down');
  });
});
