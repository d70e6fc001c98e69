import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../../src/domain/hypervisor.js';
import { domainXml, fakeId } from '../../../support/fake-domain.js';
import { Harness, withVm } from '../harness.js';

const id = fakeId(1);
const CHANNEL = 'org.qemu.guest_agent.0';

/** What the guest was asked, in order: 'shutdown agent', 'reboot acpi' ... */
function asked({ hypervisor }: Harness): string[] {
  return hypervisor.calls
    .filter(({ method }) => method.startsWith('power.') || method === 'destroy')
    .map(({ method, args }) =>
      `${method.replace('power.', '')} ${(args?.['by'] as string | undefined) ?? ''}`.trim(),
    );
}

function exitOf(harness: Harness): string {
  const { exit } = harness.vm(id);
  return `${exit?.code}/${exit?.reason}`;
}

async function withAgent(): Promise<Harness> {
  const harness = await withVm({ channel: CHANNEL });
  harness.hypervisor.guest.connect(id);
  await harness.rest();
  harness.published.length = 0;
  return harness;
}

describe('VM.shutdown', () => {
  it('answers at once, shows Powering down, and ends with 0/6 when the guest obeys', async () => {
    const harness = await withVm();
    const result = await harness.run('VM.shutdown', id);
    assert.equal(result, true);
    assert.deepEqual(harness.statuses(), ['Powering down']);
    await harness.rest();
    harness.hypervisor.act(id, 'powerOff');
    await harness.rest();
    assert.deepEqual(harness.statuses(), ['Powering down', 'Down']);
    assert.equal(exitOf(harness), '0/6');
    assert.deepEqual(asked(harness), ['shutdown acpi']);
    assert.equal(harness.clock.pendingTimers, withoutChain, 'a chain leaves no timer behind');
  });

  it('asks the agent where it is connected, then ACPI, then, with force, ends the VM', async () => {
    const harness = await withAgent();
    await harness.run('VM.shutdown', id, { timeout: 10, force: true });
    await harness.rest();
    assert.deepEqual(asked(harness), ['shutdown agent']);
    await harness.clock.advance(9_999);
    assert.deepEqual(asked(harness), ['shutdown agent']);
    await harness.clock.advance(1);
    assert.deepEqual(asked(harness), ['shutdown agent', 'shutdown acpi']);
    await harness.clock.advance(10_000);
    await harness.rest();
    assert.deepEqual(asked(harness), ['shutdown agent', 'shutdown acpi', 'destroy']);
    assert.deepEqual(harness.statuses(), ['Powering down', 'Down']);
    assert.equal(exitOf(harness), '0/6');
    assert.ok(harness.hypervisor.domains.has(id), 'it is not forgotten: that is for VM.destroy');
  });

  it('goes on at once where a means is refused, and waits where one got no answer', async () => {
    const harness = await withAgent();
    harness.hypervisor.failNext('power.shutdown', new HypervisorError('agent', 'not responding'));
    harness.hypervisor.failNext('power.shutdown', new HypervisorError('timeout', 'no answer'));
    await harness.run('VM.shutdown', id, { timeout: 10 });
    await harness.rest();
    assert.deepEqual(asked(harness), ['shutdown agent', 'shutdown acpi']);
    assert.deepEqual(harness.statuses(), ['Powering down']);
    await harness.clock.advance(10_000);
    assert.deepEqual(harness.statuses(), ['Powering down', 'Up']);
  });

  it('is not given up where the guest was gone before it could answer', async () => {
    const harness = await withAgent();
    harness.hypervisor.failNext('power.shutdown', new HypervisorError('agent', 'disappeared'));
    harness.hypervisor.failNext('power.shutdown', new HypervisorError('invalid-state', 'not running'));
    await harness.run('VM.shutdown', id, { timeout: 10 });
    await harness.rest();
    harness.hypervisor.act(id, 'powerOff');
    assert.deepEqual(harness.statuses(), ['Powering down', 'Down']);
    assert.equal(exitOf(harness), '0/6');
  });

  it('waits no longer than its time for a call that hangs', async () => {
    const harness = await withAgent();
    const release = harness.hypervisor.hold('power.shutdown');
    await harness.run('VM.shutdown', id, { timeout: 10 });
    await harness.clock.advance(10_000);
    assert.deepEqual(asked(harness), ['shutdown agent', 'shutdown acpi']);
    await harness.clock.advance(10_000);
    assert.deepEqual(harness.statuses(), ['Powering down', 'Up']);
    release();
    await harness.rest();
  });

  it('that the guest ignored is forgotten: a QEMU that is lost later was not shut down', async () => {
    const harness = await withVm();
    await harness.run('VM.shutdown', id, { timeout: 10 });
    await harness.clock.advance(10_000);
    assert.deepEqual(harness.statuses(), ['Powering down', 'Up']);
    harness.hypervisor.act(id, 'kill');
    assert.equal(exitOf(harness), '1/2');
  });

  it('shows Powering down for 300 s at most', async () => {
    const harness = await withVm();
    await harness.run('VM.shutdown', id, { timeout: 1000 });
    await harness.clock.advance(299_999);
    assert.equal(harness.status(id), 'Powering down');
    await harness.clock.advance(1);
    assert.equal(harness.status(id), 'Up');
    harness.hypervisor.act(id, 'powerOff');
    assert.equal(exitOf(harness), '0/6');
  });

  it('with force and neither agent nor ACPI ends the VM at once', async () => {
    const harness = new Harness();
    const domain = harness.hypervisor.addDomain(1);
    domain.live = domain.xml.replace('<acpi/>', '');
    await harness.start();
    await harness.run('VM.shutdown', id, { force: true });
    await harness.rest();
    assert.deepEqual(asked(harness), ['destroy']);
    assert.equal(exitOf(harness), '0/6');
  });

  it('kills where QEMU does not end, and goes back to Up where it cannot be ended', async () => {
    const harness = await withVm();
    harness.hypervisor.stubborn = true;
    await harness.run('VM.shutdown', id, { timeout: 10, force: true });
    await harness.clock.advance(10_000);
    await harness.rest();
    assert.equal(harness.status(id), 'Down');
    assert.equal(harness.hypervisor.countCalls('destroy'), 2);

    const other = await withVm();
    other.hypervisor.failNext('destroy', new HypervisorError('failed', 'no'), 2);
    await other.run('VM.shutdown', id, { timeout: 10, force: true });
    await other.clock.advance(10_000);
    await other.rest();
    assert.deepEqual(other.statuses(), ['Powering down', 'Up']);
    assert.equal(other.vm(id).pendingExit, undefined);
    assert.equal(other.registry.locks.running(id), undefined);
  });

  it('that is repeated joins; another one takes its place', async () => {
    const harness = await withVm();
    await harness.run('VM.shutdown', id, { timeout: 100 });
    await harness.rest();
    await harness.run('VM.shutdown', id, { timeout: 100 });
    await harness.rest();
    assert.deepEqual(asked(harness), ['shutdown acpi']);
    await harness.run('VM.shutdown', id, { timeout: 10, force: true });
    await harness.clock.advance(10_000);
    await harness.rest();
    assert.deepEqual(asked(harness), ['shutdown acpi', 'shutdown acpi', 'destroy']);
    assert.deepEqual(harness.statuses(), ['Powering down', 'Down']);
  });

  it('holds no lock while it waits, so other verbs go on', async () => {
    const harness = await withVm();
    await harness.run('VM.shutdown', id, { timeout: 100 });
    await harness.rest();
    await harness.run('VM.pause', id);
    await harness.run('VM.cont', id);
    assert.deepEqual(harness.statuses(), ['Powering down', 'Paused', 'Powering down']);
  });

  it('ends with VM.destroy, without showing Up meanwhile', async () => {
    const harness = await withVm();
    await harness.run('VM.shutdown', id, { timeout: 10, force: true });
    await harness.run('VM.destroy', id);
    await harness.clock.advance(60_000);
    assert.deepEqual(harness.statuses(), ['Powering down', 'Down']);
    assert.equal(harness.hypervisor.countCalls('destroy'), 1);
  });

  it('is refused for a VM that is unknown, Down, being started, saved or destroyed, or with libvirt away', async () => {
    const harness = await withVm();
    await assert.rejects(harness.run('VM.shutdown', fakeId(9)), { code: 1 });
    const release = harness.hypervisor.hold('define');
    harness.operations.create({ xml: domainXml(fakeId(2), 'vm-2') });
    await assert.rejects(harness.run('VM.shutdown', fakeId(2)), { code: 40, message: /VM.create/ });
    release();
    await harness.rest();
    const destroyed = harness.hypervisor.hold('destroy');
    const destroying = harness.run('VM.destroy', fakeId(2));
    await assert.rejects(harness.run('VM.shutdown', fakeId(2)), { code: 40, message: /running VM.destroy/ });
    destroyed();
    await destroying;
    harness.registry.move(id, 'save-begun');
    await assert.rejects(harness.run('VM.shutdown', id), { code: 51 });
    harness.registry.move(id, 'save-failed');
    harness.hypervisor.disconnect();
    await assert.rejects(harness.run('VM.shutdown', id), { code: 40, message: /not connected/ });
    harness.hypervisor.connect();
    harness.hypervisor.act(id, 'powerOff');
    await assert.rejects(harness.run('VM.shutdown', id), { code: 1 });
    assert.deepEqual(asked(harness).slice(1), []);
  });
});

describe('VM.shutdown with reboot', () => {
  it('shows RebootInProgress and is done when the guest has rebooted', async () => {
    const harness = await withAgent();
    await harness.run('VM.shutdown', id, { reboot: true, timeout: 10, force: true });
    await harness.rest();
    harness.hypervisor.emit(id, { kind: 'reboot' });
    await harness.clock.advance(59_999);
    assert.deepEqual(asked(harness), ['reboot agent']);
    await harness.clock.advance(1);
    assert.deepEqual(harness.statuses(), ['RebootInProgress', 'Up']);
  });

  it('asks the agent, then ACPI, then, with force, resets', async () => {
    const harness = await withAgent();
    await harness.run('VM.shutdown', id, { reboot: true, timeout: 10, force: true });
    await harness.clock.advance(20_000);
    await harness.rest();
    assert.deepEqual(asked(harness), ['reboot agent', 'reboot acpi', 'reset']);
    assert.equal(harness.status(id), 'RebootInProgress');
    assert.equal(harness.vm(id).startedAtMs, harness.clock.wallMs());
  });

  it('without force gives up, and the status says so', async () => {
    const harness = await withVm();
    await harness.run('VM.shutdown', id, { reboot: true, timeout: 10 });
    await harness.clock.advance(10_000);
    assert.deepEqual(harness.statuses(), ['RebootInProgress', 'Up']);
  });

  it('in place of a shutdown takes the order to end back', async () => {
    const harness = await withVm();
    await harness.run('VM.shutdown', id, { timeout: 10 });
    await harness.run('VM.shutdown', id, { reboot: true, timeout: 10 });
    harness.hypervisor.act(id, 'powerOff');
    await harness.rest();
    assert.equal(exitOf(harness), '0/7');
    assert.deepEqual(harness.statuses(), ['Powering down', 'RebootInProgress', 'Down']);
  });

  it('of a VM that is to be destroyed on reboot ends it with 0/13', async () => {
    const harness = await withVm({ destroyOnReboot: true });
    await harness.run('VM.shutdown', id, { reboot: true });
    harness.hypervisor.emit(id, { kind: 'reboot' });
    await harness.rest();
    assert.equal(exitOf(harness), '0/13');
  });
});

/** The reconciler's compare. */
const withoutChain = 1;
