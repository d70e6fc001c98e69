import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../../src/domain/hypervisor.js';
import { fakeId } from '../../../support/fake-domain.js';
import { Harness, withVm } from '../harness.js';

const id = fakeId(1);
const AGENT = 'org.qemu.guest_agent.0';

async function withAgent(): Promise<Harness> {
  const harness = await withVm({ channel: AGENT });
  harness.hypervisor.guest.connect(id);
  return harness;
}

describe('VM.freeze and VM.thaw', () => {
  it('freeze and thaw', async () => {
    const harness = await withAgent();
    assert.equal(await harness.run('VM.freeze', id), true);
    assert.equal(harness.hypervisor.guest.frozen.has(id), true);
    assert.equal(await harness.run('VM.thaw', id), true);
    assert.equal(harness.hypervisor.guest.frozen.has(id), false);
    assert.equal(await harness.run('VM.thaw', id), true, 'a guest that is not frozen is as it should be');
  });

  it('need an agent', async () => {
    const harness = await withVm({ channel: AGENT });
    await assert.rejects(harness.run('VM.freeze', id), { code: 19 });
    await assert.rejects(harness.run('VM.thaw', id), { code: 19 });
  });

  it('tell an agent that cannot from one that fails', async () => {
    const harness = await withAgent();
    for (const [kind, freezeCode, thawCode] of [
      ['unsupported', 75, 75],
      ['failed', 76, 77],
      ['agent', 19, 19],
      ['timeout', 40, 40],
    ] as const) {
      harness.hypervisor.failNext('guest.freeze', new HypervisorError(kind, 'why'));
      await assert.rejects(harness.run('VM.freeze', id), { code: freezeCode, message: /why/ });
      harness.hypervisor.failNext('guest.thaw', new HypervisorError(kind, 'why'));
      await assert.rejects(harness.run('VM.thaw', id), { code: thawCode, message: /why/ });
    }
  });

  it('thaw after a freeze that has failed: it may come about all the same', async () => {
    const harness = await withAgent();
    harness.hypervisor.guest.frozen.add(id);
    harness.hypervisor.failNext('guest.freeze', new HypervisorError('agent', 'command timed out'));
    await assert.rejects(harness.run('VM.freeze', id), { code: 19 });
    assert.equal(harness.hypervisor.guest.frozen.size, 0);
  });
});

const screen = { devices: '<video/>' };

describe('VM.screenshot', () => {
  it('is the picture in base64, also of a VM that another verb has', async () => {
    const harness = await withVm(screen);
    const release = harness.registry.locks.take(id, 'vm-1', 'VM.other');
    const { data, encoding, mime_type: mimeType } = await harness.run('VM.screenshot', id);
    release();
    const picture = await harness.hypervisor.devices.screenshot(id);
    assert.deepEqual(Buffer.from(data, 'base64'), picture.data);
    assert.equal(encoding, 'base64');
    assert.equal(mimeType, picture.mimeType);
  });

  it('needs a VM that runs, and a libvirt', async () => {
    const harness = await withVm(screen);
    harness.hypervisor.failNext('devices.screenshot', new HypervisorError('unsupported', 'no way'));
    await assert.rejects(harness.run('VM.screenshot', id), { code: 75 });
    harness.hypervisor.disconnect();
    await assert.rejects(harness.run('VM.screenshot', id), { code: 40 });
    harness.hypervisor.connect();
    harness.hypervisor.act(id, 'powerOff');
    await harness.rest();
    await assert.rejects(harness.run('VM.screenshot', id), { code: 6 });
    await assert.rejects(harness.run('VM.screenshot', fakeId(2)), { code: 1 });
  });

  it('needs a screen', async () => {
    const harness = await withVm();
    await assert.rejects(harness.run('VM.screenshot', id), { code: 16, message: /no screens/ });
  });

  it('is taken two at a time, and of no more than so many', async () => {
    const harness = await withVm(screen);
    const release = harness.hypervisor.hold('devices.screenshot');
    const wanted = Array.from({ length: 23 }, () => harness.run('VM.screenshot', id));
    const outcomes = Promise.allSettled(wanted);
    await harness.rest();
    assert.equal(harness.hypervisor.countCalls('devices.screenshot'), 2);
    release();
    const refused = (await outcomes).filter(({ status }) => status === 'rejected');
    assert.equal(refused.length, 1);
    await harness.run('VM.screenshot', id);
  });

  it('is refused where the picture is too large to send', async () => {
    const harness = await withVm(screen);
    harness.hypervisor.devices.screenshot = () =>
      Promise.resolve({ mimeType: 'image/x-portable-pixmap', data: Buffer.alloc(32 * 1024 * 1024 + 1) });
    await assert.rejects(harness.run('VM.screenshot', id), { code: 100, message: /too many to send/ });
  });
});
