import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { systemClock } from '../../../../src/util/time.js';
import { HostImageFiles } from '../../../../src/vms/verbs/image-files.js';

describe('image files of this host', () => {
  const images = new HostImageFiles(systemClock);
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'vdsm-agent-images-'));
    const head = Buffer.alloc(1024);
    head.write('QFI\xfb', 0, 'latin1');
    head.writeUInt32BE(3, 4);
    head.writeBigUInt64BE(512n, 8);
    head.writeUInt32BE(4, 16);
    head.writeBigUInt64BE(7n * 2n ** 30n, 24);
    head.write('base', 512);
    writeFileSync(join(folder, 'top'), head);
    writeFileSync(join(folder, 'base'), 'not an image');
    mkdirSync(join(folder, 'sub'));
    symlinkSync(folder, join(folder, 'link'));
  });
  after(() => rmSync(folder, { recursive: true }));

  it('are looked at', async () => {
    const qcow2 = { virtualSize: 7 * 2 ** 30, backingFile: 'base' };
    assert.deepEqual(await images.look(join(folder, 'top')), { device: false, bytes: 1024, qcow2 });
    assert.deepEqual(await images.look(join(folder, 'base')), { device: false, bytes: 12, qcow2: undefined });
    assert.equal(await images.look(join(folder, 'absent')), undefined);
    await assert.rejects(images.look(folder), /neither a file nor a block device|EISDIR/);
  });

  it('are the same under every name', async () => {
    const top = join(folder, 'top');
    assert.equal(await images.isBacking(top, 'base', join(folder, 'base')), true);
    assert.equal(await images.isBacking(top, 'base', join(folder, 'link', 'base')), true);
    assert.equal(await images.isBacking(join(folder, 'link', 'new'), 'base', join(folder, 'base')), true);
    assert.equal(await images.isBacking(join(folder, 'sub', 'new'), '../base', join(folder, 'base')), true);
    assert.equal(await images.isBacking(join(folder, 'link', 'new'), '../base', join(folder, 'base')), false);
    assert.equal(await images.isBacking(top, 'base', top), false);
    assert.equal(await images.isBacking(top, '/absent/base', join(folder, 'base')), false);
  });
});
