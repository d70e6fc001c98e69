import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { OVIRT_VM_URI, diskName, makeConfig } from '../../../src/simulator/domain-config.js';
import { parseDomain, parseMetadataElement } from '../../../src/simulator/domain-parse.js';
import { printDomain } from '../../../src/simulator/domain-xml.js';
import { Fault } from '../../../src/simulator/fault.js';

const noUuid = () => '00000000-0000-4000-8000-000000000000';
const isFault = (code: number) => (error: unknown) => error instanceof Fault && error.kind.code === code;

describe('domain XML of the simulated host', () => {
  it('is read back as the configuration it was printed from', () => {
    const config = makeConfig(3, 7);
    const again = parseDomain(printDomain(config), noUuid);
    assert.deepEqual(again.metadata, config.metadata);
    const { disks, metadata: _metadata, ...others } = config;
    const { disks: disksAgain, metadata: _metadataAgain, ...othersAgain } = again;
    assert.deepEqual(othersAgain, { ...others, nics: config.nics });
    assert.deepEqual(
      disksAgain.map(({ target, path, serial, format }) => ({ target, path, serial, format })),
      disks.map(({ target, path, serial, format }) => ({ target, path, serial, format })),
    );
  });

  it('shows id, aliases, taps and ports only of a running domain', () => {
    const config = makeConfig(1, 1);
    const live = printDomain(config, { id: 9, vncPort: 5907, taps: ['vnet4'], agentConnected: true });
    assert.match(live, /^<domain type='kvm' id='9'>/);
    assert.match(live, /<target dev='vnet4'\/>/);
    assert.match(live, /<graphics type='vnc' port='5907'/);
    assert.match(live, /<alias name='virtio-disk1'\/>/);
    const inactive = printDomain(config);
    assert.match(inactive, /<graphics type='vnc' port='-1'/);
    assert.doesNotMatch(inactive, /alias|vnet|index='1'\/>|seclabel/);
  });

  it('keeps the metadata that a client defines, with its namespace', () => {
    const config = parseDomain(
      `<domain type='qemu'><name>a</name><memory>1</memory><os><type>hvm</type></os><metadata>
         <ovirt-vm:vm xmlns:ovirt-vm="${OVIRT_VM_URI}"><ovirt-vm:note type="str">a &lt; b</ovirt-vm:note><ovirt-vm:empty/></ovirt-vm:vm>
       </metadata></domain>`,
      noUuid,
    );
    assert.equal(
      config.metadata.get(OVIRT_VM_URI)!.xml,
      '<vm>\n  <note type="str">a &lt; b</note>\n  <empty/>\n</vm>',
    );
    const printed = printDomain(config);
    assert.ok(printed.includes(`<ovirt-vm:vm xmlns:ovirt-vm="${OVIRT_VM_URI}">`));
    assert.ok(printed.includes('<ovirt-vm:note type="str">a &lt; b</ovirt-vm:note>'));
    assert.deepEqual(parseDomain(printed, noUuid).metadata, config.metadata);
  });

  it('survives any text in names, titles, paths and metadata', () => {
    const text = fc
      .string({ minLength: 1, unit: 'grapheme' })
      .filter((value) => /^[^\p{C}\s]+$/u.test(value));
    fc.assert(
      fc.property(text, text, (name, path) => {
        const base = makeConfig(1, 1);
        const metadata = new Map([['urn:x', parseMetadataElement('<a b="1">t</a>', 'x')]]);
        const disks = [{ ...base.disks[0]!, path }];
        const again = parseDomain(printDomain({ ...base, name, title: path, disks, metadata }), noUuid);
        assert.deepEqual([again.name, again.title, again.disks[0]!.path], [name, path, path]);
        assert.deepEqual(again.metadata, metadata);
      }),
    );
  });

  it('is refused with libvirt codes: 35 where it is no XML, 27 where it is no domain, 67 where none of ours', () => {
    for (const xml of ['', 'hello', '<domain>', '<domain><name>a</domain></name>', '<a/><b/>']) {
      assert.throws(() => parseDomain(xml, noUuid), isFault(35), xml);
    }
    for (const xml of [
      '<network/>',
      '<domain/>',
      '<domain><name>a</name></domain>',
      "<domain type='kvm'><name>a</name><memory>1024</memory></domain>",
      "<domain type='kvm'><name>a</name><os><type>hvm</type></os></domain>",
      "<domain type='kvm'><name>a</name><os><type>hvm</type></os><memory>much</memory></domain>",
    ]) {
      assert.throws(() => parseDomain(xml, noUuid), isFault(27), xml);
    }
    const other = "<domain type='xen'><name>a</name></domain>";
    assert.throws(() => parseDomain(other, noUuid), isFault(67), other);
  });

  it('never fails but by a Fault, whatever the text', () => {
    const piece = fc.constantFrom(
      '<domain>',
      '</domain>',
      '<name>',
      '</name>',
      '<a b="',
      '"',
      '/>',
      '<!--',
      '&amp;',
      ' x ',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece).map((pieces) => pieces.join('')),
        ),
        (xml) => {
          try {
            parseDomain(xml, noUuid);
          } catch (error) {
            assert.ok(error instanceof Fault, String(error));
          }
        },
      ),
    );
  });

  it('reads memory in every unit as KiB', () => {
    const memory = (text: string) =>
      parseDomain(
        `<domain type='kvm'><name>a</name><os><type>hvm</type></os><memory ${text}</memory></domain>`,
        noUuid,
      ).memoryKiB;
    assert.equal(memory('>2048'), 2048);
    assert.equal(memory("unit='MiB'>2"), 2048);
    assert.equal(memory("unit='GiB'>1"), 1_048_576);
    assert.equal(memory("unit='b'>1048576"), 1024);
  });

  it('names disks as Linux does', () => {
    assert.deepEqual(
      [0, 1, 25, 26, 701, 702].map((index) => diskName('vd', index)),
      ['vda', 'vdb', 'vdz', 'vdaa', 'vdzz', 'vdaaa'],
    );
  });
});
