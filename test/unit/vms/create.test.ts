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

  it('calls nothing of the hypervisor before it has answered', async () => {
    const harness = await new Harness().start();
    const calls = harness.hypervisor.calls.length;
    harness.operations.create({ xml });
    assert.equal(harness.hypervisor.calls.length, calls);
    await Promise.resolve();
    assert.equal(harness.hypervisor.calls.length, calls, 'the reply is queued in the same turn');
    await harness.rest();
  });

  for (const [what, n] of [
    ['id', 1],
    ['name', 7],
  ] as const) {
    it(`replaces a stale definition of the same ${what}`, async () => {
      const harness = await new Harness().start();
      harness.hypervisor.addDomain(n, { state: 'shutoff', reason: 'unknown' });
      harness.operations.create({ xml: domainXml(id, `vm-${n}`) });
      await harness.rest();
      assert.equal(harness.hypervisor.countCalls('undefine', fakeId(n)), 1);
      assert.equal(harness.status(id), 'Powering up');
      assert.equal(harness.hypervisor.domains.size, 1);
    });

    it(`is Down 1/1 where a domain of the same ${what} runs, which it does not touch`, async () => {
      const harness = await new Harness().start();
      harness.hypervisor.events = 'lost';
      harness.hypervisor.addDomain(n);
      harness.operations.create({ xml: domainXml(id, `vm-${n}`) });
      await harness.rest();
      assert.match(harness.payloads(id).at(-1)?.['exitMessage'] as string, /(running already|is running)$/);
      assert.equal(harness.hypervisor.domains.get(fakeId(n))?.state.state, 'running');
      assert.equal(harness.hypervisor.countCalls('undefine') + harness.hypervisor.countCalls('destroy'), 0);
    });
  }

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

  it('starts as many at a time as there are places, in order', async () => {
    const harness = await new Harness().start();
    const release = harness.hypervisor.hold('launch');
    for (let n = 1; n <= 9; n++) harness.operations.create({ xml: domainXml(fakeId(n), `vm-${n}`) });
    await harness.rest();
    const launched = harness.hypervisor.callsOf('launch').map((call) => call.id);
    assert.deepEqual(launched, [1, 2, 3, 4].map(fakeId));
    await harness.clock.advance(3000);
    assert.deepEqual(harness.operations.starts, { running: 4, waiting: 5, places: 4, longestWaitSec: 3 });
    release();
    await harness.rest();
    await harness.rest();
    assert.equal([...harness.registry.all()].filter(({ status }) => status === 'Powering up').length, 9);
    assert.deepEqual(harness.operations.starts, { running: 0, waiting: 0, places: 4, longestWaitSec: 0 });
  });

  it('lets no launch that hangs hold up those of others', async () => {
    const harness = await new Harness().start();
    const release = harness.hypervisor.hold('launch');
    for (let n = 1; n <= 4; n++) harness.operations.create({ xml: domainXml(fakeId(n), `vm-${n}`) });
    await harness.rest();
    const others = Array.from({ length: 5 }, (_, n) => fakeId(5 + n));
    for (const [n, each] of others.entries())
      harness.operations.create({ xml: domainXml(each, `other-${n}`) });
    await harness.clock.advance(29_000);
    assert.equal(harness.hypervisor.countCalls('launch'), 4);
    harness.hypervisor.launch = () => Promise.resolve();
    await harness.clock.advance(1000);
    await harness.rest();
    assert.ok(others.every((each) => harness.status(each) !== 'WaitForLaunch'));
    assert.equal(harness.status(id), 'WaitForLaunch');
    release();
    await harness.rest();
    assert.equal(harness.status(id), 'Powering up');
  });

  for (const [when, from] of [
    ['while it waits for its place', 5],
    ['while its launch hangs', 1],
  ] as const) {
    it(`is Down 0/10, once, where it is destroyed ${when}`, async () => {
      const harness = await new Harness().start();
      const release = harness.hypervisor.hold('launch');
      for (let n = 1; n <= 5; n++) harness.operations.create({ xml: domainXml(fakeId(n), `vm-${n}`) });
      await harness.rest();
      const victim = fakeId(from);
      const destroyed = harness.run('VM.destroy', victim);
      await harness.rest();
      if (from === 1) release();
      await destroyed;
      assert.deepEqual(harness.statuses(victim), ['WaitForLaunch', 'Down']);
      const { exitCode, exitReason } = harness.payloads(victim).at(-1) ?? {};
      assert.deepEqual([exitCode, exitReason], [0, 10]);
      assert.equal(harness.registry.get(victim), undefined);
      assert.equal(harness.hypervisor.domains.has(victim), false);
      release();
      await harness.rest();
    });
  }

  it('outlasts a restart of the daemon while it waits, and fails where that does not come back', async () => {
    const harness = await new Harness().start();
    harness.operations.create({ xml });
    harness.hypervisor.disconnect();
    await harness.clock.advance(59_000);
    assert.equal(harness.status(id), 'WaitForLaunch');
    harness.hypervisor.connect();
    await harness.rest();
    assert.equal(harness.status(id), 'Powering up');
    const other = fakeId(2);
    harness.operations.create({ xml: domainXml(other, 'vm-2') });
    harness.hypervisor.disconnect();
    await harness.clock.advance(60_000);
    assert.match(harness.vm(other).exit?.message ?? '', /was not started: libvirt is not connected/);
    assert.equal(harness.operations.starts.running, 0);
  });

  it('takes a thousand at once', async () => {
    const harness = await new Harness().start();
    for (let n = 1; n <= 1000; n++) harness.operations.create({ xml: domainXml(fakeId(n), `vm-${n}`) });
    assert.equal(harness.registry.size, 1000);
    do await harness.rest();
    while (harness.operations.starts.running > 0);
    assert.ok([...harness.registry.all()].every(({ status }) => status === 'Powering up'));
    assert.equal(harness.hypervisor.countCalls('metadata.set'), 0, 'their marks are in their definitions');
  });
});

describe('VM.create of what needs work on the host', () => {
  const payload =
    '<ovirt-vm:device devtype="disk" name="sdc"><ovirt-vm:payload><ovirt-vm:file path="a">YQ==</ovirt-vm:file></ovirt-vm:payload></ovirt-vm:device>';
  const devices =
    `<disk type='file' device='cdrom'><target dev='sdc' bus='sata'/></disk>` +
    `<channel type='unix'><source mode='bind' path='/var/lib/libvirt/qemu/channels/x'/><target type='virtio' name='org.qemu.guest_agent.0'/></channel>`;
  const withPayload = domainXml(id, 'vm-1', { metadata: payload, devices });

  it('makes images and folders before the domain is defined, and removes the images with the VM', async () => {
    const harness = await new Harness().start();
    const release = harness.hypervisor.hold('define');
    harness.operations.create({ xml: withPayload });
    await harness.rest();
    const path = `/state/${id}.sdc.img`;
    assert.deepEqual([...harness.host.images.keys()], [path]);
    assert.deepEqual(harness.host.folders, ['/var/lib/libvirt/qemu/channels']);
    release();
    await harness.rest();
    assert.equal(harness.vm(id).domain?.disks.find(({ target }) => target === 'sdc')?.source, path);
    harness.hypervisor.act(id, 'powerOff');
    await harness.rest();
    assert.equal(harness.host.images.size, 1, 'a VM that is Down still has it');
    await harness.run('VM.destroy', id);
    assert.equal(harness.host.images.size, 0);
  });

  it('is Down 1/1 with what the tool says where an image cannot be made, and nothing is left at libvirt', async () => {
    const harness = await new Harness().start();
    harness.host.failure = new Error('a payload CD could not be made: install xorriso or genisoimage');
    harness.operations.create({ xml: withPayload });
    await harness.rest();
    const message = 'a payload CD could not be made: install xorriso or genisoimage';
    assert.deepEqual(harness.vm(id).exit, { code: 1, reason: 1, message });
    assert.equal(harness.hypervisor.domains.size, 0);
  });

  it('removes images that an earlier agent has left when all VMs are known, but not those of its VMs', async () => {
    const harness = new Harness();
    harness.hypervisor.addDomain(1, { state: 'shutoff', reason: 'shutdown' });
    const files = { format: 'iso', target: 'sdc', files: [] } as const;
    for (const n of [1, 2]) await harness.host.buildImage({ vmId: fakeId(n), ...files });
    await harness.start();
    assert.deepEqual([...harness.host.images.keys()], [`/state/${id}.sdc.img`]);
  });
});
