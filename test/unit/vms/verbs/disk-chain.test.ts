import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { diskChain, positionInChain } from '../../../../src/vms/verbs/disk-chain.js';

/** As libvirt 9.0 prints it, with a commit of the first file under way. */
const xml = `<domain type='kvm'><devices>
  <disk type='file' device='cdrom'><driver name='qemu'/><target dev='sdc' bus='sata'/><readonly/></disk>
  <disk type='file' device='disk'>
    <driver name='qemu' type='qcow2' cache='none'/>
    <source file='/images/c' index='4'/>
    <backingStore type='file' index='3'>
      <format type='qcow2'/>
      <source file='/images/b &amp; more'/>
      <backingStore type='block' index='1'>
        <format type='raw'/>
        <source dev='/dev/vg/a'/>
        <backingStore/>
      </backingStore>
    </backingStore>
    <mirror type='file' job='active-commit' ready='yes'><format type='raw'/><source file='/dev/vg/a'/></mirror>
    <target dev='vda' bus='virtio'/>
  </disk>
  <disk type='file' device='disk'><source file='/images/plain'/><target dev='vdb' bus='virtio'/></disk>
</devices></domain>`;

describe('the chain of a disk', () => {
  it('goes from what the guest writes to down to the last file', () => {
    assert.deepEqual(diskChain(xml, 'vda'), [
      { path: '/images/c', kind: 'file', format: 'qcow2' },
      { path: '/images/b & more', kind: 'file', format: 'qcow2' },
      { path: '/dev/vg/a', kind: 'block', format: 'raw' },
    ]);
  });

  it('may be one file of unknown format, or none', () => {
    assert.deepEqual(diskChain(xml, 'vdb'), [{ path: '/images/plain', kind: 'file', format: '' }]);
    assert.deepEqual(diskChain(xml, 'sdc'), []);
    assert.equal(diskChain(xml, 'vdz'), undefined);
    assert.equal(diskChain('<domain/>', 'vda'), undefined);
  });

  it('finds a file by its path or the last part of it, unless that is ambiguous', () => {
    const chain = ['/a/one', '/b/two', '/c/two', 'bare'].map((path) => ({ path, kind: 'file', format: '' }));
    assert.equal(positionInChain(chain, '/b/two'), 1);
    assert.equal(positionInChain(chain, 'one'), 0);
    assert.equal(positionInChain(chain, 'bare'), 3);
    assert.equal(positionInChain(chain, 'two'), -1);
    assert.equal(positionInChain(chain, 'three'), -1);
    assert.equal(positionInChain([], 'one'), -1);
  });
});
