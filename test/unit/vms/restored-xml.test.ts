import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseXmlForEdit } from '../../../src/util/xml-edit.js';
import { restoredXml } from '../../../src/vms/restored-xml.js';

const identity = '<name>web</name><uuid>u-1</uuid>';
const saved = (content = ''): string => `<domain type='kvm'>${identity}${content}</domain>`;
const request = saved;

function at(xml: string, ...path: string[]): string {
  const element = path.reduce((node, name) => node.child(name)!, parseXmlForEdit(xml));
  return element.toString();
}

describe('the XML of a restored VM', () => {
  it('has the devices of the saved one, not of the request', () => {
    const xml = restoredXml(
      saved("<devices><disk><alias name='ua-1'/></disk></devices>"),
      request("<devices><disk><alias name='ua-2'/></disk></devices>"),
    );
    assert.equal(at(xml, 'devices'), '<devices><disk><alias name="ua-1"/></disk></devices>');
  });

  it('has tickets that have run out', () => {
    const xml = restoredXml(
      saved(
        "<devices><graphics type='vnc' passwd='old'/><graphics type='spice'/><graphics type='sdl'/></devices>",
      ),
      request(),
    );
    const ticket = 'passwd="*****" passwdValidTo="1970-01-01T00:00:01"';
    assert.equal(
      at(xml, 'devices'),
      `<devices><graphics type="vnc" ${ticket}/><graphics type="spice" ${ticket}/><graphics type="sdl"/></devices>`,
    );
  });

  it("has the request's pinning in place of its own", () => {
    const pin = (cpuset: string): string => `<vcpupin vcpu="0" cpuset="${cpuset}"/>`;
    const tune = (content: string): string => `<cputune>${content}</cputune>`;
    const shares = '<shares>10</shares>';
    const both = restoredXml(saved(tune(shares + pin('1') + pin('2'))), request(tune(pin('3'))));
    assert.equal(at(both, 'cputune'), tune(shares + pin('3')));
    assert.equal(at(restoredXml(saved(), request(tune(pin('3')))), 'cputune'), tune(pin('3')));
    assert.equal(at(restoredXml(saved(tune(shares + pin('1'))), request()), 'cputune'), tune(shares));
  });

  it("has the request's metadata, whose prefixes stay declared, or its own where the request has none", () => {
    const uri = 'http://ovirt.org/vm/1.0';
    const own = `<metadata><a:vm xmlns:a="${uri}"><a:old/></a:vm></metadata>`;
    const requested =
      `<domain xmlns:ovirt-vm="${uri}" xmlns:qemu="q">${identity}` +
      `<metadata><ovirt-vm:vm><ovirt-vm:new/></ovirt-vm:vm></metadata></domain>`;
    assert.equal(
      at(restoredXml(saved(own), requested), 'metadata'),
      `<metadata><ovirt-vm:vm xmlns:ovirt-vm="${uri}"><ovirt-vm:new/></ovirt-vm:vm></metadata>`,
    );
    assert.equal(at(restoredXml(saved(own), request()), 'metadata'), own);
    assert.equal(at(restoredXml(saved(own), request('<metadata/>')), 'metadata'), own);
  });

  it('is refused where the memory is of another VM', () => {
    const other = '<domain><name>web</name><uuid>u-2</uuid></domain>';
    assert.throws(() => restoredXml(saved(), other), /memory is of the VM with uuid u-1, not u-2/);
    assert.throws(
      () => restoredXml(saved(), '<domain><uuid>u-1</uuid><name>db</name></domain>'),
      /name web, not db/,
    );
    assert.throws(() => restoredXml('no XML', request()), /XML/);
  });
});
