import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseXmlForEdit } from '../../../../src/util/xml-edit.js';
import type { XmlNodeElement } from '../../../../src/util/xml-edit.js';
import { namesOfDevice, putDevices, removeDevice } from '../../../../src/vms/verbs/device-metadata.js';
import { findDevice, isThere } from '../../../../src/vms/verbs/same-device.js';

const xml = parseXmlForEdit;
const vmOf = (...devices: string[]): XmlNodeElement =>
  xml(`<vm><startTime>1</startTime>${devices.join('')}</vm>`);

describe('metadata of single devices', () => {
  it('are laid in place of those of the same device, and beside those of others', () => {
    const vm = vmOf('<device mac_address="52:AA"><old/></device>', '<device devtype="disk" name="vda"/>');
    putDevices(vm, [xml('<device alias="ua-1" mac_address="52:aa"><new/></device>')]);
    assert.equal(
      String(vm),
      '<vm><startTime>1</startTime><device devtype="disk" name="vda"/><device alias="ua-1" mac_address="52:aa"><new/></device></vm>',
    );
  });

  it('go with their device, by whatever it is named', () => {
    const nic = xml(
      `<interface><mac address='52:54:00:AA:00:01'/><alias name='ua-1'/><target dev='vnet0'/></interface>`,
    );
    const disk = xml(`<disk><target dev='vdb'/><alias name='virtio-disk1'/></disk>`);
    const all = [
      '<device mac_address="52:54:00:aa:00:01"/>',
      '<device alias="ua-1"/>',
      '<device devtype="disk" name="vdb"/>',
      '<device devtype="disk" name="vnet0"/>',
      '<device devtype="hostdev" name="vdb"/>',
    ];
    const vm = vmOf(...all);
    removeDevice(vm, namesOfDevice(nic));
    removeDevice(vm, namesOfDevice(disk));
    assert.equal(String(vm), String(vmOf(all[3]!, all[4]!)));
  });

  it('are not those of a device that has no name at all', () => {
    const vm = vmOf('<device/>', '<device devtype="disk"/>');
    removeDevice(vm, namesOfDevice(xml('<disk/>')));
    assert.equal(vm.children('device').length, 2);
  });
});

describe('the device that a document means', () => {
  const devices = [
    xml(`<disk><source file='/a'/><target dev='vda'/><alias name='ua-a'/></disk>`),
    xml(`<disk><source file='/b'/><target dev='vdb'/><alias name='virtio-disk1'/></disk>`),
    xml(`<interface><mac address='52:54:00:AA:00:01'/><alias name='ua-n'/></interface>`),
    xml(`<memory><address type='dimm' slot='0'/><alias name='dimm0'/></memory>`),
    xml(`<memory><address type='dimm' slot='1'/><alias name='ua-m'/></memory>`),
  ];
  const found = (text: string): string | undefined =>
    findDevice(devices, xml(text))?.child('alias')?.attribute('name');

  it('is found by alias, else by what is one of a kind', () => {
    assert.equal(found(`<disk><alias name='ua-a'/><target dev='vdb'/></disk>`), 'ua-a');
    assert.equal(found(`<disk><alias name='ua-x'/><target dev='vdb'/></disk>`), 'virtio-disk1');
    assert.equal(found(`<interface><mac address='52:54:00:aa:00:01'/></interface>`), 'ua-n');
    assert.equal(found(`<memory><address type='dimm' slot='1'/></memory>`), 'ua-m');
    assert.equal(found(`<memory><target><size>1</size></target></memory>`), undefined);
    assert.equal(found(`<interface><alias name='ua-a'/></interface>`), undefined, 'of another kind');
  });

  it('is there already only if it is the same in all', () => {
    const there = (text: string): boolean => isThere(devices, xml(text));
    assert.ok(there(`<disk><alias name='ua-a'/><source file='/a'/><target dev='vda'/></disk>`));
    assert.ok(!there(`<disk><alias name='ua-a'/><source file='/other'/><target dev='vda'/></disk>`));
    assert.ok(!there(`<disk><alias name='ua-a'/><source file='/a'/><target dev='vdc'/></disk>`));
    assert.ok(!there(`<interface><alias name='ua-n'/><mac address='52:54:00:aa:00:02'/></interface>`));
    assert.ok(!there(`<memory><target><size>1</size></target></memory>`));
  });
});
