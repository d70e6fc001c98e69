import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseDomainXml } from '../../../src/libvirt/domain-xml.js';
import { markStart } from '../../../src/vms/start-metadata.js';

const NAMESPACE = 'http://ovirt.org/vm/1.0';
const START = 1_700_000_000.25;

function domainXml(metadata: string, root = ''): string {
  return (
    `<domain type='kvm'${root}><name>a</name><uuid>11111111-0000-4000-8000-000000000001</uuid>` +
    `<memory>1024</memory>${metadata}<devices><disk/></devices></domain>`
  );
}

function marked(xml: string): string {
  return markStart(parseDomainXml(xml), START, parseDomainXml);
}

describe("the start's mark in the XML", () => {
  const forms: Readonly<Record<string, string>> = {
    'without metadata': domainXml(''),
    'with empty metadata': domainXml('<metadata/>'),
    "with somebody else's metadata": domainXml('<metadata><x:y xmlns:x="urn:x">1</x:y></metadata>'),
    'as an engine sends it': domainXml(
      '<metadata><ovirt-vm:vm><ovirt-vm:launchPaused type="bool">true</ovirt-vm:launchPaused></ovirt-vm:vm></metadata>',
      ` xmlns:ovirt-vm="${NAMESPACE}"`,
    ),
    'with an empty element': domainXml(`<metadata><ovirt-vm:vm xmlns:ovirt-vm='${NAMESPACE}'/></metadata>`),
    'under another prefix': domainXml(`<metadata><o.v:vm xmlns:o.v="${NAMESPACE}">\n</o.v:vm></metadata>`),
    'of an earlier start': domainXml(
      `<metadata><ovirt-vm:vm xmlns:ovirt-vm="${NAMESPACE}"><ovirt-vm:startTime type="float">7.5</ovirt-vm:startTime>` +
        '</ovirt-vm:vm></metadata>',
    ),
  };
  for (const [form, xml] of Object.entries(forms)) {
    it(`makes a managed domain with a start time of one ${form}, and changes nothing else`, () => {
      const before = parseDomainXml(xml);
      const after = parseDomainXml(marked(xml));
      assert.deepEqual(after.metadata, { ...before.metadata, startTime: START });
      assert.deepEqual({ ...after, metadata: 0, xml: 0 }, { ...before, metadata: 0, xml: 0 });
      assert.equal(marked(xml).match(/startTime type/g)?.length, 1);
    });
  }

  it('is left out where it would land in a comment or under a default namespace', () => {
    for (const xml of [
      domainXml('<!-- <metadata> --><metadata/>'),
      domainXml(`<metadata><vm xmlns="${NAMESPACE}"/></metadata>`),
    ]) {
      assert.equal(marked(xml), xml);
    }
  });
});
