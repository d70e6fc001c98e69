import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../src/domain/hypervisor.js';
import type { CreateResult } from '../../../src/vms/create.js';
import { prepareRestore, restoreSourceOf } from '../../../src/vms/restore.js';
import type { PreparedRestore } from '../../../src/vms/restore.js';
import { savedVm, savedVmText } from '../../../src/vms/saved-vm.js';
import { domainXml, fakeId } from '../../support/fake-domain.js';
import { withVm } from './harness.js';
import type { Harness } from './harness.js';

const id = fakeId(1);
const place = { memoryPath: '/saved/memory', configurationPath: '/saved/memory.json' };
const request = { id, xml: domainXml(id, 'vm-1') };

/** A host with the files of the VM that it has saved. */
async function withSaved(): Promise<Harness> {
  const harness = await withVm({ startTime: 1000 });
  const { hypervisor, files, clock } = harness;
  hypervisor.emit(id, { kind: 'rtc-change', offsetSec: 60 });
  const text = savedVmText(savedVm(harness.vm(id), hypervisor.domains.get(id)!.xml, clock.wallMs()));
  files.content.set(place.configurationPath, Buffer.from(text));
  await hypervisor.saving.save(id, place.memoryPath);
  return harness;
}

function prepare(harness: Harness, ofVm = request): Promise<PreparedRestore> {
  return prepareRestore(harness, place, ofVm);
}

describe('the place of a saved VM', () => {
  it('is named by VM.create as a path or an object with one', () => {
    assert.equal(restoreSourceOf({ xml: '' }), undefined);
    assert.equal(restoreSourceOf({ xml: '', memoryConfVolume: '/conf' }), undefined);
    assert.deepEqual(restoreSourceOf({ xml: '', memoryDumpVolume: '/saved/memory' }), place);
    assert.deepEqual(
      restoreSourceOf({ xml: '', memoryDumpVolume: { path: '/a' }, memoryConfVolume: { path: '/b' } }),
      { memoryPath: '/a', configurationPath: '/b' },
    );
  });

  it('is an absolute path', () => {
    for (const path of ['', 'memory', '/a\0b']) {
      assert.throws(() => restoreSourceOf({ xml: '', memoryDumpVolume: path }), {
        code: 91,
        message: /memoryDumpVolume must be the absolute path/,
      });
    }
    assert.throws(() => restoreSourceOf({ xml: '', memoryDumpVolume: '/a', memoryConfVolume: 'b' }), {
      message: /memoryConfVolume/,
    });
  });
});

describe('a restore', () => {
  it('goes on where the VM was saved, its age and clock included', async () => {
    const harness = await withSaved();
    await harness.clock.advance(3_600_000);
    const { facts, launch, xml } = await prepare(harness);
    const ageSec = (harness.clock.wallMs() - facts.startedAtMs) / 1000;
    assert.equal(ageSec, (harness.clock.wallMs() - 3_600_000) / 1000 - 1000);
    assert.equal(facts.timeOffsetSec, 60);
    assert.equal(facts.guest?.guestFQDN, '');
    assert.match(xml, /ua-disk/);
    await launch();
    assert.deepEqual(harness.hypervisor.callsOf('saving.restore').at(-1)?.args, {
      path: place.memoryPath,
      xml,
      paused: false,
    });
    assert.equal(harness.hypervisor.domains.get(id)?.state.state, 'running');
  });

  it('leaves the files alone', async () => {
    const harness = await withSaved();
    await (await prepare(harness)).launch();
    assert.equal(harness.files.content.size, 1);
  });

  it('names the file that cannot be used', async () => {
    const harness = await withSaved();
    const { content } = harness.files;
    content.set(place.configurationPath, Buffer.from('\x80\x04', 'latin1'));
    await assert.rejects(prepare(harness), /^Error: \/saved\/memory\.json is a Python pickle/);
    content.set(place.configurationPath, Buffer.alloc((16 << 20) + 1));
    await assert.rejects(prepare(harness), /memory\.json is longer than/);
    content.delete(place.configurationPath);
    await assert.rejects(prepare(harness), /ENOENT.*memory\.json/);
  });

  it('is refused for another VM', async () => {
    const harness = await withSaved();
    const other = { id: fakeId(2), xml: domainXml(fakeId(2), 'vm-2') };
    await assert.rejects(prepare(harness, other), /memory\.json is of another VM: vm-1/);
    const renamed = { id, xml: domainXml(id, 'vm-x') };
    await assert.rejects(prepare(harness, renamed), /with name vm-1, not vm-x/);
  });
});

describe('VM.create of a VM that was saved', () => {
  /** Hibernates the VM and forgets it, as an engine does. */
  async function hibernated(): Promise<Harness> {
    const harness = await withVm({ startTime: 1000 });
    await harness.run('VM.hibernate', id, { hibernationVolHandle: place.memoryPath });
    await harness.rest();
    await harness.run('VM.destroy', id);
    harness.published.length = 0;
    return harness;
  }
  const create = (harness: Harness): CreateResult =>
    harness.operations.create({ xml: request.xml, memoryDumpVolume: { path: place.memoryPath } });

  for (const events of ['now', 'held', 'lost'] as const) {
    it(`answers Restoring state and comes up with its age, libvirt's events coming ${events}`, async () => {
      const harness = await hibernated();
      const ageMs = harness.clock.wallMs() - 1_000_000;
      await harness.clock.advance(3_600_000);
      harness.hypervisor.events = events;
      assert.equal(create(harness).status, 'Restoring state');
      await harness.rest();
      harness.hypervisor.deliver();
      await harness.rest();
      assert.deepEqual(harness.statuses(), ['Restoring state', 'Up']);
      const { elapsedTime } = harness.payloads().at(-1) ?? {};
      assert.equal(elapsedTime, String(Math.floor(ageMs / 1000)));
      assert.equal(harness.hypervisor.countCalls('launch'), 0);
    });
  }

  it('goes Down with 1/1 and a sentence where it cannot be restored', async () => {
    const harness = await hibernated();
    harness.hypervisor.failNext('saving.restore', new HypervisorError('failed', 'the file is damaged'));
    create(harness);
    await harness.rest();
    const down = harness.payloads().at(-1);
    assert.deepEqual([down?.['exitCode'], down?.['exitReason']], [1, 1]);
    assert.equal(down?.['exitMessage'], 'Wake up from hibernation failed: the file is damaged');
    assert.equal(harness.files.content.size, 2, 'it can be tried again');
  });

  it('is Down with 0/10 where it is destroyed meanwhile', async () => {
    const harness = await hibernated();
    const release = harness.hypervisor.hold('saving.restore');
    create(harness);
    await harness.rest();
    const destroying = harness.run('VM.destroy', id);
    await harness.rest();
    release();
    await destroying;
    assert.deepEqual(harness.statuses(), ['Restoring state', 'Down']);
    assert.equal(harness.payloads().at(-1)?.['exitReason'], 10);
    assert.equal(harness.hypervisor.domains.size, 0);
  });

  it('of VDSM is refused with a sentence', async () => {
    const harness = await hibernated();
    harness.files.content.set(place.configurationPath, Buffer.from('\x80\x04cos\nsystem\n', 'latin1'));
    create(harness);
    await harness.rest();
    assert.match(
      String(harness.payloads().at(-1)?.['exitMessage']),
      /^Wake up from hibernation failed: \/saved\/memory\.json is a Python pickle/,
    );
  });
});
