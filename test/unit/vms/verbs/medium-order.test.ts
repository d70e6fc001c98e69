import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VerbError } from '../../../../src/domain/errors.js';
import { driveName } from '../../../../src/vms/verbs/drive-name.js';
import { mediumOrder } from '../../../../src/vms/verbs/medium-order.js';

const codeOf = (spec: Parameters<typeof mediumOrder>[0]): number | undefined => {
  try {
    mediumOrder(spec);
    return undefined;
  } catch (error) {
    assert.ok(error instanceof VerbError);
    return error.code;
  }
};

describe('what a drive is told', () => {
  it('is a path for the only drive, or nothing to take the medium out', () => {
    assert.deepEqual(mediumOrder('/iso/a.iso'), { drive: {}, medium: { path: '/iso/a.iso' } });
    assert.deepEqual(mediumOrder(''), { drive: {} });
  });

  it('names the drive as engines count them', () => {
    assert.deepEqual(mediumOrder({ iface: 'ide', index: '2', path: '/a' }).drive, { target: 'hdc' });
    assert.deepEqual(mediumOrder({ iface: 'sata', index: 2, path: '/a' }).drive, { target: 'sdc' });
    assert.deepEqual(mediumOrder({ iface: 'sata', path: '/a' }).drive, { bus: 'sata' });
    assert.deepEqual(mediumOrder({ name: 'sdc', iface: 'ide', index: 0 }).drive, { target: 'sdc' });
    assert.deepEqual(mediumOrder({ alias: 'ua-1' }).drive, { target: 'ua-1' });
    assert.equal(codeOf({ iface: 'nvme', index: 0 }), 91);
    assert.equal(codeOf({ iface: 'ide', index: 'two' }), 91);
  });

  it('is an ejection where path or drive_spec are empty', () => {
    for (const spec of [{ path: '' }, { drive_spec: null }, { drive_spec: '' }, { drive_spec: {} }, {}]) {
      assert.equal(mediumOrder({ name: 'hdc', ...spec }).medium, undefined, JSON.stringify(spec));
    }
  });

  it('finds an image of a storage domain, and a LUN, where hosts of oVirt have them', () => {
    const ids = { poolID: 'p', domainID: 'd', imageID: 'i', volumeID: 'v' };
    assert.deepEqual(mediumOrder({ name: 'hdc', drive_spec: { device: 'cdrom', ...ids } }).medium, {
      path: '/rhev/data-center/p/d/images/i/v',
      ids,
    });
    assert.deepEqual(mediumOrder({ drive_spec: { GUID: '360014' } }).medium, {
      path: '/dev/mapper/360014',
      ids: { GUID: '360014' },
    });
  });

  it('is refused where ids are missing or would lead elsewhere', () => {
    assert.equal(codeOf({ drive_spec: { poolID: 'p', domainID: 'd' } }), 11);
    for (const imageID of ['..', '.', 'a/b', 'a b', 'x'.repeat(200)]) {
      assert.equal(
        codeOf({ drive_spec: { poolID: 'p', domainID: 'd', imageID, volumeID: 'v' } }),
        91,
        imageID,
      );
    }
    assert.equal(codeOf({ drive_spec: { GUID: '../sda' } }), 91);
    assert.equal(codeOf({ drive_spec: 7 }), 91);
  });
});

describe('the name of a drive', () => {
  it('counts on after z', () => {
    assert.equal(driveName('virtio', 0), 'vda');
    assert.equal(driveName('scsi', 25), 'sdz');
    assert.equal(driveName('scsi', 26), 'sdaa');
    assert.equal(driveName('scsi', 701), 'sdzz');
    assert.equal(driveName('scsi', 702), 'sdaaa');
    assert.equal(driveName('fdc', 1), 'fdb');
  });
});
