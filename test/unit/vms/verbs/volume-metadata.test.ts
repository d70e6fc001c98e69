import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DiskDevice } from '../../../../src/domain/devices.js';
import { silentLogger } from '../../../../src/util/log.js';
import { parseXmlForEdit } from '../../../../src/util/xml-edit.js';
import { putVolumes, syncVolumes } from '../../../../src/vms/verbs/volume-metadata.js';
import { describeXml, domainXml, fakeId } from '../../../support/fake-domain.js';

const disk = (target: string, source: string): DiskDevice => ({
  target,
  source,
  device: 'disk',
  bus: 'virtio',
  alias: '',
});
const metadata = (volume: string): string =>
  `<vm><device devtype="disk" name="vda"><imageID>img</imageID><volumeID>${volume}</volumeID></device>` +
  `<device alias="ua-nic" name="vda"><volumeID>nic</volumeID></device></vm>`;

function put(xml: string, ...disks: DiskDevice[]): string {
  const vm = parseXmlForEdit(xml);
  putVolumes(vm, disks);
  return vm.toString();
}

describe('the volumes in the metadata', () => {
  it('follow the files that the guest writes to', () => {
    assert.equal(put(metadata('old'), disk('vda', '/rhev/x/images/img/new')), metadata('new'));
    assert.equal(put(metadata('same'), disk('vda', '/rhev/x/images/img/same')), metadata('same'));
  });

  it('stay where the file is none of the image, and where nothing is said of a drive', () => {
    assert.equal(put(metadata('old'), disk('vda', '/elsewhere/new')), metadata('old'));
    assert.equal(put(metadata('old'), disk('vdb', '/rhev/x/images/img/new')), metadata('old'));
    assert.equal(put('<vm/>', disk('vda', '/rhev/x/images/img/new')), '<vm/>');
    const lun = '<vm><device devtype="disk" name="vda"><GUID>lun</GUID></device></vm>';
    assert.equal(put(lun, disk('vda', '/dev/mapper/lun')), lun);
  });

  it('that cannot be written disturb nobody', async () => {
    const store = { edit: () => Promise.reject(new Error('no')) };
    await syncVolumes({ metadata: store, log: silentLogger }, describeXml(domainXml(fakeId(1), 'vm-1')));
  });
});
