import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
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
