import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../../src/domain/hypervisor.js';
import { parseSavedVm } from '../../../../src/vms/saved-vm.js';
import { domainXml, fakeId } from '../../../support/fake-domain.js';
import { Harness, withVm } from '../harness.js';

const id = fakeId(1);
const memory = '/saved/vm-1.memory';
const configuration = `${memory}.json`;
const failed = new HypervisorError('failed', 'No space left on device');

function hibernate(harness: Harness, hibernationVolHandle = memory): Promise<unknown> {
  return harness.run('VM.hibernate', id, { hibernationVolHandle });
}

/** A VM whose save goes on until the test ends it. */
async function withSlowSave(): Promise<Harness> {
  const harness = await withVm();
  harness.hypervisor.saving.slow = true;
  await hibernate(harness);
  await harness.rest();
  return harness;
}

describe('VM.hibernate', () => {
  for (const events of ['now', 'held', 'lost'] as const) {
    it(`answers when it is accepted, and ends Down with 0/5, libvirt's events coming ${events}`, async () => {
      const harness = await withVm({ startTime: 1000 });
      harness.hypervisor.events = events;
      assert.equal(await hibernate(harness), true);
      assert.deepEqual(harness.statuses(), ['Saving State']);
      await harness.rest();
      harness.hypervisor.deliver();
      await harness.rest();
      assert.deepEqual(harness.statuses(), ['Saving State', 'Down']);
      const { exit } = harness.vm(id);
      assert.deepEqual([exit?.code, exit?.reason], [0, 5]);
      assert.equal(harness.registry.locks.running(id), undefined);
    });
  }

  it('writes what a start needs beside the memory, before the save can end', async () => {
    const harness = await withVm({ startTime: 1000, devices: "<hostdev><alias name='ua-x'/></hostdev>" });
    harness.hypervisor.emit(id, { kind: 'rtc-change', offsetSec: -3600 });
    const release = harness.hypervisor.hold('saving.save');
    await hibernate(harness);
    await harness.rest();
    const saved = parseSavedVm(harness.files.content.get(configuration)!);
    assert.equal(saved.vmId, id);
    assert.equal(saved.name, 'vm-1');
    assert.equal(saved.timeOffsetSec, -3600);
    assert.equal(saved.elapsedSec, harness.clock.wallMs() / 1000 - 1000);
    assert.equal(saved.xml, harness.hypervisor.domains.get(id)?.live);
    assert.match(saved.xml, /ua-x/);
    release();
    await harness.rest();
    assert.ok(harness.files.content.has(memory));
  });

  it('takes the configuration where it is told to', async () => {
    const harness = await withVm();
    await hibernate(harness, `${memory}, /other/conf`);
    await harness.rest();
    assert.equal(parseSavedVm(harness.files.content.get('/other/conf')!).vmId, id);
    assert.ok(!harness.files.content.has(configuration));
  });

  it('that fails leaves a running VM running and a paused one paused, and no file', async () => {
    for (const paused of [false, true]) {
      const harness = await withVm();
      if (paused) await harness.run('VM.pause', id);
      harness.published.length = 0;
      harness.hypervisor.failNext('saving.save', failed);
      await hibernate(harness);
      await harness.rest();
      assert.deepEqual(harness.statuses(), ['Saving State', paused ? 'Paused' : 'Up']);
      assert.equal(harness.files.content.size, 0);
      assert.equal(harness.registry.locks.running(id), undefined);
    }
  });

  it('fails without a save where the configuration cannot be written', async () => {
    const harness = await withVm();
    harness.files.failNext('replace', new Error('ENOSPC'));
    await hibernate(harness);
    await harness.rest();
    assert.deepEqual(harness.statuses(), ['Saving State', 'Up']);
    assert.equal(harness.hypervisor.countCalls('saving.save'), 0);
    assert.equal(harness.files.content.size, 0);
  });

  it('leaves the files where nobody can tell what became of it, and believes libvirt when it is back', async () => {
    const harness = await withSlowSave();
    harness.hypervisor.disconnect();
    harness.hypervisor.saving.fail(id);
    await harness.rest();
    assert.equal(harness.status(id), 'Saving State');
    assert.equal(harness.files.content.size, 2);
    harness.hypervisor.connect();
    await harness.rest();
    assert.equal(harness.status(id), 'Up');
  });

  it('is cancelled by VM.migrateCancel', async () => {
    const harness = await withSlowSave();
    await assert.rejects(harness.run('VM.reset', id), { code: 51 });
    await assert.rejects(hibernate(harness, '/another'), { code: 51 });
    assert.equal(await harness.run('VM.migrateCancel', id), true);
    await harness.rest();
    assert.deepEqual(harness.statuses(), ['Saving State', 'Up']);
    assert.equal(harness.files.content.size, 0);
  });

  it('gives way to VM.destroy', async () => {
    const harness = await withSlowSave();
    await harness.run('VM.destroy', id);
    harness.hypervisor.saving.fail(id);
    await harness.rest();
    assert.deepEqual(harness.statuses(), ['Saving State', 'Down']);
    assert.equal(harness.registry.size, 0);
    assert.equal(harness.files.content.size, 0);
  });

  it('takes the place of a shutdown under way', async () => {
    const harness = await withVm();
    await harness.run('VM.shutdown', id, { timeout: 10, force: true });
    await hibernate(harness);
    await harness.clock.advance(60_000);
    assert.deepEqual(harness.statuses(), ['Powering down', 'Saving State', 'Down']);
    assert.equal(harness.vm(id).exit?.reason, 5);
    assert.equal(harness.hypervisor.countCalls('destroy'), 0);
  });

  const refused: readonly (readonly [string, number, RegExp])[] = [
    [Array.from({ length: 6 }, (_, n) => fakeId(n)).join(','), 44, /storage pool/],
    ['', 91, /absolute path/],
    ['relative', 91, /absolute path/],
    ['/a,relative', 91, /absolute path/],
    ['/a,/b,/c', 91, /one absolute path, or two/],
    ['/a,/a', 91, /two different/],
    ['/a\0b', 91, /absolute/],
    ['/absent/memory', 91, /VM vm-1 .* cannot be saved there: ENOENT/],
    ['/taken', 91, /EEXIST/],
    ['/free,/taken', 91, /EEXIST/],
  ];
  for (const [handle, code, message] of refused) {
    it(`refuses ${JSON.stringify(handle.slice(0, 40))} with ${code}, and the VM goes on`, async () => {
      const harness = await withVm();
      harness.files.content.set('/taken', Buffer.from('mine'));
      await assert.rejects(hibernate(harness, handle), { code, message });
      assert.deepEqual(harness.statuses(), []);
      assert.deepEqual([...harness.files.content.keys()], ['/taken']);
      assert.equal(harness.registry.locks.running(id), undefined);
    });
  }

  it('is refused for a VM that is unknown, Down or being started, and busy with another verb', async () => {
    const harness = await withVm();
    await assert.rejects(harness.run('VM.hibernate', fakeId(9), { hibernationVolHandle: memory }), {
      code: 1,
    });
    const release = harness.hypervisor.hold('define');
    harness.operations.create({ xml: domainXml(fakeId(2), 'vm-2') });
    await assert.rejects(harness.run('VM.hibernate', fakeId(2), { hibernationVolHandle: memory }), {
      code: 1,
    });
    release();
    const suspended = harness.hypervisor.hold('suspend');
    const pausing = harness.run('VM.pause', id);
    await assert.rejects(hibernate(harness), { code: 40, message: /running VM.pause/ });
    suspended();
    await pausing;
    harness.hypervisor.act(id, 'kill');
    await assert.rejects(hibernate(harness), { code: 1 });
    assert.equal(harness.files.content.size, 0);
  });

  it('that is overtaken by the end of the VM says so and leaves no file', async () => {
    const harness = await withVm();
    const hibernating = hibernate(harness);
    harness.hypervisor.act(id, 'kill');
    await assert.rejects(hibernating, { code: 1 });
    assert.equal(harness.files.content.size, 0);
    assert.deepEqual(harness.statuses(), ['Down']);
  });
});
