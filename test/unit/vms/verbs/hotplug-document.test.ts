import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { VerbError } from '../../../../src/domain/errors.js';
import { escapeXml } from '../../../../src/util/xml-tree.js';
import { xmlElement } from '../../../../src/util/xml-edit.js';
import { deviceOfDocument, parseHotplugDocument } from '../../../../src/vms/verbs/hotplug-document.js';

const NIC = `<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/></interface>`;
const OVIRT = 'http://ovirt.org/vm/1.0';

const codeOf = (
  xml: string,
  kind: Parameters<typeof parseHotplugDocument>[1] = 'interface',
): number | undefined => {
  try {
    parseHotplugDocument(xml, kind);
    return undefined;
  } catch (error) {
    assert.ok(error instanceof VerbError, String(error));
    return error.code;
  }
};

describe('a hotplug document', () => {
  it('has one device and its metadata, which lose their prefix', () => {
    const { device, metadata } = parseHotplugDocument(
      `<?xml version="1.0"?><hotplug><devices>${NIC}</devices><metadata xmlns:o="${OVIRT}"><o:vm>
        <o:device mac_address='52:54:00:00:00:01'><o:custom><o:k>v</o:k></o:custom></o:device></o:vm></metadata></hotplug>`,
      'interface',
    );
    assert.equal(device.child('mac')?.attribute('address'), '52:54:00:00:00:01');
    assert.deepEqual(metadata.map(String), [
      '<device mac_address="52:54:00:00:00:01"><custom><k>v</k></custom></device>',
    ]);
  });

  it('may have declared the namespace anywhere, or not at all where the prefix is the usual one', () => {
    const device = '<ovirt-vm:device devtype="disk" name="vdb"/>';
    for (const [root, holder, vm] of [
      [` xmlns:ovirt-vm="${OVIRT}"`, '', ''],
      ['', ` xmlns:ovirt-vm="${OVIRT}"`, ''],
      ['', '', ` xmlns:ovirt-vm="${OVIRT}"`],
      ['', '', ''],
    ] as const) {
      const xml = `<hotplug${root}><devices><disk><target dev='vdb'/></disk></devices><metadata${holder}><ovirt-vm:vm${vm}>${device}</ovirt-vm:vm></metadata></hotplug>`;
      assert.deepEqual(parseHotplugDocument(xml, 'disk').metadata.map(String), [
        '<device devtype="disk" name="vdb"/>',
      ]);
    }
  });

  it("leaves out what is not oVirt's, and what is not a device's", () => {
    const vms = `<ovirt-vm:vm xmlns:ovirt-vm="http://other"><ovirt-vm:device/></ovirt-vm:vm><vm><device/></vm>
      <o:vm xmlns:o="${OVIRT}"><o:startTime>1</o:startTime></o:vm>`;
    const xml = `<hotplug><devices>${NIC}</devices><metadata>${vms}</metadata></hotplug>`;
    assert.deepEqual(parseHotplugDocument(xml, 'interface').metadata, []);
  });

  it('is refused with what is wrong with it', () => {
    assert.equal(codeOf('<hotplug><devices/></hotplug>'), 11);
    assert.equal(codeOf('<hotplug/>'), 11);
    assert.equal(codeOf(`<hotplug><devices>${NIC}</devices></hotplug>`, 'disk'), 11);
    assert.equal(codeOf(`<hotplug><devices>${NIC}${NIC}</devices></hotplug>`), 91);
    assert.equal(codeOf('<hotplug><devices'), 91);
    assert.equal(codeOf('no xml'), 91);
    assert.equal(codeOf('<domain/>'), 91);
    assert.equal(codeOf(`<hotplug><devices>${NIC}<lease/></devices></hotplug>`), 44);
  });

  it('may be the device alone where a verb takes one', () => {
    for (const xml of [NIC, `<devices>${NIC}</devices>`, `<hotplug><devices>${NIC}</devices></hotplug>`]) {
      assert.equal(deviceOfDocument(xml, 'interface').name, 'interface');
    }
  });

  it('keeps any text that its values may have', () => {
    const text = fc.string({ unit: 'grapheme' }).filter((value) => !/[^\t\n\r -\uFFFD]/u.test(value));
    fc.assert(
      fc.property(text, fc.stringMatching(/^[a-z]{1,8}$/), (value, name) => {
        const disk = xmlElement('disk', { type: 'file' }, [xmlElement('source', { file: value })]);
        const xml = `<hotplug><devices>${String(disk)}</devices><metadata><ovirt-vm:vm><ovirt-vm:device name="${escapeXml(value)}"><ovirt-vm:${name}>${escapeXml(value)}</ovirt-vm:${name}></ovirt-vm:device></ovirt-vm:vm></metadata></hotplug>`;
        const { device, metadata } = parseHotplugDocument(xml, 'disk');
        assert.equal(device.child('source')?.attribute('file'), value);
        const [data] = metadata;
        assert.ok(data);
        assert.equal(data.attribute('name'), value);
        assert.equal(data.child(name)?.text, value);
      }),
    );
  });

  it('is taken or refused whatever it is, and never breaks the parser', () => {
    const piece = fc.constantFrom(
      ...[
        '<hotplug>',
        '</hotplug>',
        '<devices>',
        '</devices>',
        '<metadata>',
        '</metadata>',
        '<disk',
        '/>',
        '>',
        "a='1'",
      ],
      ...[
        '<ovirt-vm:vm>',
        '</ovirt-vm:vm>',
        '<ovirt-vm:device/>',
        '<!--',
        '-->',
        '<![CDATA[',
        ']]>',
        '&lt;',
        '&',
        ' ',
        'x',
      ],
      ...['<disk/>', '<interface></interface>', '<memory/>', '<?x', '?>', '<!DOCTYPE a>', '"'],
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 20 }),
        fc.constantFrom('interface', 'disk', 'memory'),
        (pieces, kind) => {
          const code = codeOf(pieces.join(''), kind);
          assert.ok(code === undefined || [11, 44, 91].includes(code), String(code));
        },
      ),
      { numRuns: 500 },
    );
  });
});
