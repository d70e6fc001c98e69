import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../../src/domain/hypervisor.js';
import { fakeId } from '../../../support/fake-domain.js';
import { withVm } from '../harness.js';
import type { Harness } from '../harness.js';

const id = fakeId(1);
const GIB = 2 ** 30;
const device =
  `<disk type='block' device='disk'><driver name='qemu' type='raw'/><source dev='/dev/lun'/>` +
  `<target dev='vdb' bus='virtio'/></disk><disk type='file' device='cdrom'><target dev='sdc' bus='sata'/></disk>`;

const extend = (harness: Harness, name: string, newSize: number | string): Promise<unknown> =>
  harness.run('VM.diskSizeExtend', id, { driveSpecs: { name }, newSize: String(newSize) });

describe('VM.diskSizeExtend', () => {
  it('grows an image file and answers the size now', async () => {
    const harness = await withVm();
    assert.equal(await extend(harness, 'vda', 2 * GIB), String(2 * GIB));
    assert.deepEqual(harness.hypervisor.callsOf('disks.resize')[0]?.args, { disk: 'vda', bytes: 2 * GIB });
    assert.equal(await extend(harness, 'vda', 2 * GIB), String(2 * GIB));
    assert.equal(harness.hypervisor.countCalls('disks.resize'), 1, 'the second time there is nothing to do');
  });

  it('never shrinks', async () => {
    const harness = await withVm();
    for (const size of [GIB - 1, 0, '99999999999999999999']) {
      await assert.rejects(extend(harness, 'vda', size), {
        code: 58,
        message: /1073741824 bytes and cannot shrink/,
      });
    }
    assert.equal(harness.hypervisor.countCalls('disks.resize'), 0);
  });

  it('gives the guest what a device has, whatever is asked for', async () => {
    const harness = await withVm({ devices: device });
    harness.images.addDevice('/dev/lun', 3 * GIB);
    assert.equal(await extend(harness, 'vdb', 5 * GIB), String(3 * GIB));
    harness.images.files.clear();
    await assert.rejects(extend(harness, 'vdb', 5 * GIB), { code: 58 });
  });

  it('needs a drive with an image in a VM that runs', async () => {
    const harness = await withVm({ devices: device });
    await assert.rejects(extend(harness, 'vdz', 2 * GIB), { code: 13 });
    await assert.rejects(extend(harness, 'sdc', 2 * GIB), { code: 13, message: /has no image/ });
    harness.hypervisor.failNext('disks.resize', new HypervisorError('failed', 'read-only'));
    await assert.rejects(extend(harness, 'vda', 2 * GIB), { code: 56, message: /read-only/ });
    harness.hypervisor.act(id, 'kill');
    await harness.rest();
    await assert.rejects(extend(harness, 'vda', 2 * GIB), { code: 6 });
  });
});
