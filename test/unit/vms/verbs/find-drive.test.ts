import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DiskDevice } from '../../../../src/domain/devices.js';
import { VerbError } from '../../../../src/domain/errors.js';
import { findDrive, requireDrive } from '../../../../src/vms/verbs/find-drive.js';
import { fakeId } from '../../../support/fake-domain.js';

const drive = (target: string, more: Partial<DiskDevice> = {}): DiskDevice => ({
  target,
  device: 'disk',
  bus: 'virtio',
  source: `/images/${target}`,
  alias: `ua-${target}`,
  ...more,
});
const drives = [drive('vda', { imageId: 'image-a' }), drive('vdb', { lunGuid: 'guid-b' }), drive('sda')];

describe('which drive is meant', () => {
  it('is found by name, alias, path, image id or GUID', () => {
    const found = (spec: Parameters<typeof findDrive>[1]): string | undefined =>
      findDrive(drives, spec)?.target;
    assert.equal(found({ name: 'vdb' }), 'vdb');
    assert.equal(found({ alias: 'ua-vdb' }), 'vdb');
    assert.equal(found({ path: '/images/sda' }), 'sda');
    assert.equal(found({ imageID: 'image-a' }), 'vda');
    assert.equal(found({ GUID: 'guid-b' }), 'vdb');
    for (const text of ['sda', 'ua-sda', '/images/sda']) assert.equal(found(text), 'sda');
  });

  it('is found by ids whose volume has changed since', () => {
    const ids = { poolID: 'p', domainID: 'd', imageID: 'image-a', volumeID: 'an-older-one' };
    assert.equal(findDrive(drives, ids)?.target, 'vda');
  });

  it('is none where members contradict each other, or say nothing', () => {
    for (const spec of [{ name: 'vda', imageID: 'image-b' }, { name: '' }, { volumeID: 'v' }, {}, '']) {
      assert.equal(findDrive(drives, spec), undefined, JSON.stringify(spec));
    }
  });

  it('does not take the absence of an alias or a path for a match', () => {
    const bare = [drive('sdc', { alias: '', source: '' })];
    assert.equal(findDrive(bare, { alias: '' }), undefined);
    assert.equal(findDrive(bare, { path: '' }), undefined);
  });

  it('is asked for in an error that names the VM and the drives that there are', () => {
    const domain = { id: fakeId(1), name: 'web', disks: drives };
    assert.throws(
      () => requireDrive(domain, { name: 'vdz' }, 'imageErr'),
      (error) =>
        error instanceof VerbError &&
        error.code === 13 &&
        error.message ===
          `Drive image file could not be found: VM web (${fakeId(1)}) has no drive with name 'vdz'; it has: vda, vdb, sda`,
    );
  });
});
