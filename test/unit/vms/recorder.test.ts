import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../src/domain/hypervisor.js';
import type { OvirtMetadata } from '../../../src/domain/devices.js';
import { parseDomainXml } from '../../../src/libvirt/domain-xml.js';
import { changedValues, recordIn } from '../../../src/vms/record-values.js';
import { domainXml, fakeId } from '../../support/fake-domain.js';
import { Harness, withVm } from './harness.js';

const id = fakeId(1);
const xml = domainXml(id, 'vm-1');

function metadataOf(harness: Harness, place: 'live' | 'definition' = 'definition', n = 1): OvirtMetadata {
  const text = harness.hypervisor.domains.get(fakeId(n))?.[place];
  assert.ok(text, `the domain has no ${place} XML`);
  return parseDomainXml(text).metadata ?? {};
}

const writes = (harness: Harness): number => harness.hypervisor.countCalls('metadata.set');

describe('the recorder', () => {
  it('writes why a VM is Down, and nothing else of an ordinary life', async () => {
    const harness = await new Harness().start();
    harness.operations.create({ xml });
    await harness.rest();
    harness.hypervisor.act(id, 'suspend');
    harness.hypervisor.act(id, 'resume');
    await harness.clock.advance(120_000);
    assert.equal(writes(harness), 0);
    harness.hypervisor.act(id, 'powerOff');
    await harness.rest();
    const { exitCode, exitReason, exitMessage } = metadataOf(harness);
    assert.deepEqual({ code: exitCode, reason: exitReason, message: exitMessage }, harness.vm(id).exit);
    assert.equal(writes(harness), 1);
  });

  it('takes the exit record out when the domain runs again, and gives the run its start', async () => {
    const harness = await withVm({ startTime: 1 });
    harness.hypervisor.act(id, 'kill');
    await harness.rest();
    assert.equal(metadataOf(harness).exitReason, 2);
    await harness.clock.advance(5000);
    harness.hypervisor.act(id, 'start');
    await harness.rest();
    for (const place of ['live', 'definition'] as const) {
      const { exitCode, exitReason, exitMessage, startTime } = metadataOf(harness, place);
      assert.deepEqual([exitCode, exitReason, exitMessage], [undefined, undefined, undefined]);
      assert.equal(startTime, harness.clock.wallMs() / 1000);
    }
  });

  it('writes the new start after a reboot of the guest', async () => {
    const harness = await withVm({ startTime: 1_700_000_000.5 });
    assert.equal(writes(harness), 0, 'what the metadata say is so');
    harness.hypervisor.emit(id, { kind: 'reboot' });
    await harness.rest();
    assert.equal(metadataOf(harness).startTime, harness.clock.wallMs() / 1000);
  });

  it('writes why and since when a guest is stopped by an error, and takes it out when it goes on', async () => {
    const harness = await withVm();
    const domain = harness.hypervisor.domains.get(id);
    if (domain) domain.diskErrors = [{ disk: 'vda', error: 'no-space' }];
    const pausedSec = harness.clock.nowMs() / 1000;
    harness.hypervisor.act(id, 'ioError');
    await harness.rest();
    await harness.clock.advance(9000);
    assert.deepEqual(
      [metadataOf(harness).pauseCode, metadataOf(harness).pauseTimeSec],
      ['ENOSPC', pausedSec],
      'the time is that of the pause, not of the code',
    );
    harness.hypervisor.act(id, 'resume');
    await harness.rest();
    assert.deepEqual(
      [metadataOf(harness).pauseCode, metadataOf(harness).pauseTimeSec],
      [undefined, undefined],
    );
  });

  it('writes what was ordered for the end of a VM, and takes it out when it is given up', async () => {
    const harness = await withVm();
    harness.registry.move(id, 'shutdown-ordered');
    await harness.rest();
    assert.deepEqual([metadataOf(harness).pendingExitCode, metadataOf(harness).pendingExitReason], [0, 6]);
    harness.registry.move(id, 'shutdown-given-up');
    await harness.rest();
    assert.equal(metadataOf(harness).pendingExitReason, undefined);
  });

  it('writes nothing of a VM that is being destroyed', async () => {
    const harness = await withVm({ startTime: 1 });
    await harness.run('VM.destroy', id);
    await harness.rest();
    assert.equal(writes(harness), 0);
  });

  it('leaves external domains alone', async () => {
    const harness = await withVm({ managed: false });
    harness.registry.change(id, { facts: { balloonTargetKiB: 5 } });
    harness.hypervisor.emit(id, { kind: 'reboot' });
    harness.hypervisor.act(id, 'ioError');
    await harness.rest();
    assert.equal(writes(harness), 0);
  });

  it('writes what changes in the meantime once, four VMs at a time', async () => {
    const harness = new Harness();
    for (let n = 1; n <= 20; n++) harness.hypervisor.addDomain(n, undefined, { startTime: 1 });
    await harness.start();
    const release = harness.hypervisor.hold('metadata.get');
    for (let balloon = 1; balloon <= 5; balloon++) {
      for (let n = 1; n <= 20; n++) {
        harness.registry.change(fakeId(n), { facts: { balloonTargetKiB: balloon } });
      }
      await harness.rest();
    }
    assert.equal(harness.hypervisor.countCalls('metadata.get'), 4);
    release();
    while (harness.recorder.dueCount > 0) await harness.rest();
    for (let n = 1; n <= 20; n++) assert.equal(metadataOf(harness, 'live', n).balloonTargetKiB, 5);
    assert.equal(writes(harness), 24, 'those that were under way, twice');
  });

  it('waits for the hypervisor to be back, and writes then', async () => {
    const harness = await withVm({ startTime: 1 });
    harness.hypervisor.disconnect();
    harness.registry.change(id, { facts: { balloonTargetKiB: 7 } });
    await harness.clock.advance(600_000);
    assert.equal(harness.hypervisor.countCalls('metadata.get'), 0);
    harness.hypervisor.connect();
    await harness.rest();
    assert.equal(metadataOf(harness).balloonTargetKiB, 7);
    assert.equal(harness.recorder.dueCount, 0);
  });

  it('tries again what failed without delaying other VMs, and gives up in the end', async () => {
    const harness = await withVm({ startTime: 1 });
    harness.hypervisor.addDomain(2, undefined, { startTime: 1 });
    harness.hypervisor.emit(fakeId(2), { kind: 'lifecycle', event: 'started', detail: 'booted' });
    await harness.rest();
    harness.hypervisor.failNext('metadata.get', new HypervisorError('timeout', 'its QEMU hangs'), 30);
    harness.registry.change(id, { facts: { balloonTargetKiB: 7 } });
    await harness.rest();
    for (let attempt = 1; attempt < 30; attempt++) await harness.clock.advance(5000);
    assert.equal(harness.recorder.dueCount, 0);
    const { values } = await harness.metrics.metadata_writes_total.get();
    const counts = values.map(({ labels, value }) => `${value} ${labels['result']}`);
    assert.deepEqual(counts, ['29 repeated', '1 given-up']);
    harness.registry.change(fakeId(2), { facts: { balloonTargetKiB: 8 } });
    harness.registry.change(id, { facts: { balloonTargetKiB: 9 } });
    await harness.rest();
    assert.deepEqual(
      [metadataOf(harness).balloonTargetKiB, metadataOf(harness, 'live', 2).balloonTargetKiB],
      [9, 8],
    );
  });

  it('forgets a VM that is gone, whatever was to be written', async () => {
    const harness = await withVm({ startTime: 1 });
    harness.hypervisor.failNext('metadata.get', new HypervisorError('timeout', 'late'));
    harness.registry.change(id, { facts: { balloonTargetKiB: 7 } });
    await harness.rest();
    assert.equal(harness.recorder.dueCount, 1);
    await harness.run('VM.destroy', id);
    await harness.clock.advance(60_000);
    assert.equal(harness.recorder.dueCount, 0);
    assert.equal(writes(harness), 0);
  });
});

describe('values of a record', () => {
  it('differ where a member does, but not for what is lost of a time on its way through text', () => {
    assert.equal(changedValues({ startTime: 1.25, other: 1 }, { startTime: 1.2501 }), undefined);
    assert.deepEqual(changedValues({ a: 1, b: 'x' }, { a: 1, b: undefined, c: 2 }), { b: undefined, c: 2 });
    assert.equal(changedValues(recordIn(undefined), { exitCode: undefined }), undefined);
  });
});
