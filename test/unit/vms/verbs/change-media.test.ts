import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../../src/domain/hypervisor.js';
import {
  CD,
  deviceHarness,
  deviceOf,
  fakeDomain,
  ID,
  metadataText,
  rejectsWith,
  vmOf,
} from './device-fixture.js';
import type { Harness } from '../harness.js';

const CD2 = CD.replaceAll('hdc', 'sda').replace('ide', 'sata').replace('ua-cd', 'ua-cd2');
const FLOPPY = `<disk type='file' device='floppy'><target dev='fda' bus='fdc'/><alias name='ua-floppy'/></disk>`;
const FILE = { device: false, bytes: 1, qcow2: undefined };

async function withImages(devices = CD + FLOPPY): Promise<Harness> {
  const harness = await deviceHarness(
    devices,
    `<ovirt-vm:device devtype="disk" name="hdc"><ovirt-vm:imageID>old</ovirt-vm:imageID></ovirt-vm:device>`,
  );
  harness.images.files.set('/iso/new.iso', FILE);
  harness.images.addDevice('/dev/mapper/lun', 4096);
  return harness;
}

const sourceOf = (harness: Harness, alias: string, place?: 'definition'): string | undefined =>
  deviceOf(harness, alias, place)?.child('source')?.attribute('file');
const forces = (harness: Harness): unknown[] =>
  harness.hypervisor.callsOf('devices.update').map(({ args }) => args?.['force']);

describe('VM.changeCD', () => {
  it('loads an image into the only drive, by force, here and in the definition', async () => {
    const harness = await withImages();
    assert.deepEqual(await harness.run('VM.changeCD', ID, { driveSpec: '/iso/new.iso' }), {});
    assert.equal(sourceOf(harness, 'ua-cd'), '/iso/new.iso');
    assert.equal(sourceOf(harness, 'ua-cd', 'definition'), '/iso/new.iso');
    assert.deepEqual(forces(harness), [true]);
    assert.equal(vmOf(harness).domain?.xml, fakeDomain(harness).live, 'the record is fresh');
    assert.doesNotMatch(metadataText(harness), /imageID/, 'the ids of the old medium are gone');
  });

  it('loads a block device as what it is', async () => {
    const harness = await withImages();
    await harness.run('VM.changeCD', ID, { driveSpec: { name: 'hdc', drive_spec: { GUID: 'lun' } } });
    const drive = deviceOf(harness, 'ua-cd');
    assert.equal(drive?.attribute('type'), 'block');
    assert.equal(drive.child('source')?.attribute('dev'), '/dev/mapper/lun');
    assert.match(metadataText(harness), /<ovirt-vm:GUID>lun<\/ovirt-vm:GUID>/);
    await harness.run('VM.changeCD', ID, { driveSpec: '/iso/new.iso' });
    assert.equal(deviceOf(harness, 'ua-cd')?.attribute('type'), 'file');
  });

  it('notes the ids of an image of a storage domain', async () => {
    const harness = await withImages();
    harness.images.files.set('/rhev/data-center/p/d/images/i/v', FILE);
    const ids = { poolID: 'p', domainID: 'd', imageID: 'i', volumeID: 'v' };
    await harness.run('VM.changeCD', ID, { driveSpec: { iface: 'ide', index: '2', drive_spec: ids } });
    assert.match(metadataText(harness), /name="hdc">.*<ovirt-vm:imageID>i<\/ovirt-vm:imageID>/);
    assert.equal(vmOf(harness).domain?.disks.find(({ target }) => target === 'hdc')?.imageId, 'i');
  });

  it('takes the medium out, asking the guest before it forces the tray', async () => {
    const harness = await withImages();
    await harness.run('VM.changeCD', ID, { driveSpec: { name: 'hdc', path: '' } });
    assert.deepEqual(forces(harness), [false]);
    assert.equal(sourceOf(harness, 'ua-cd'), undefined);
    assert.equal(sourceOf(harness, 'ua-cd', 'definition'), undefined);

    const locked = await withImages();
    locked.hypervisor.devices.lockedTrays.add('hdc');
    await locked.run('VM.changeCD', ID, { driveSpec: '' });
    assert.deepEqual(forces(locked), [false, true]);
    assert.equal(sourceOf(locked, 'ua-cd'), undefined);
  });

  it('does not touch the medium where the new one is not to be had, and names it', async () => {
    const harness = await withImages();
    await rejectsWith(
      harness.run('VM.changeCD', ID, { driveSpec: '/iso/none.iso' }),
      13,
      /\/iso\/none\.iso does not exist/,
    );
    harness.images.look = () => Promise.reject(new Error('the storage did not answer'));
    await rejectsWith(
      harness.run('VM.changeCD', ID, { driveSpec: '/nfs/a.iso' }),
      13,
      /\/nfs\/a\.iso.*not answer/,
    );
    assert.equal(harness.hypervisor.countCalls('devices.update'), 0);
    assert.equal(sourceOf(harness, 'ua-cd'), '/iso/old.iso');
  });

  it('says what the hypervisor had against it', async () => {
    const harness = await withImages();
    harness.hypervisor.failNext('devices.update', new HypervisorError('failed', 'Permission denied'));
    await rejectsWith(harness.run('VM.changeCD', ID, { driveSpec: '/iso/new.iso' }), 41, /Permission denied/);
  });

  it('wants the drive named where there are several, and knows no other', async () => {
    const harness = await withImages(CD + CD2 + FLOPPY);
    const run = (driveSpec: string | Record<string, unknown>): Promise<unknown> =>
      harness.run('VM.changeCD', ID, { driveSpec });
    await rejectsWith(run('/iso/new.iso'), 11, /more than one CD drive \(hdc, sda\)/);
    await rejectsWith(run({ name: 'fda', path: '/iso/new.iso' }), 41, /no CD drive fda; it has: hdc, sda/);
    await rejectsWith(run({ name: 'vda', path: '' }), 41, /no CD drive vda/);
    await run({ iface: 'sata', path: '/iso/new.iso' });
    assert.equal(sourceOf(harness, 'ua-cd2'), '/iso/new.iso');
    await run({ alias: 'ua-cd', path: '' });
    assert.equal(sourceOf(harness, 'ua-cd'), undefined);
    const without = await withImages('');
    await rejectsWith(
      without.run('VM.changeCD', ID, { driveSpec: '' }),
      41,
      /no such CD drive; it has: none/,
    );
  });

  it('has changed the CD even where its ids cannot be noted', async () => {
    const harness = await withImages();
    harness.hypervisor.failNext('metadata.set');
    await harness.run('VM.changeCD', ID, { driveSpec: '/iso/new.iso' });
    assert.equal(sourceOf(harness, 'ua-cd'), '/iso/new.iso');
  });
});

describe('VM.changeFloppy', () => {
  it('works on the floppy drive, always by force', async () => {
    const harness = await withImages();
    await harness.run('VM.changeFloppy', ID, { driveSpec: '/iso/new.iso' });
    assert.equal(sourceOf(harness, 'ua-floppy'), '/iso/new.iso');
    await harness.run('VM.changeFloppy', ID, { driveSpec: '' });
    assert.equal(sourceOf(harness, 'ua-floppy'), undefined);
    assert.deepEqual(forces(harness), [true, true]);
    assert.equal(sourceOf(harness, 'ua-cd'), '/iso/old.iso');
  });
});
