import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseDomainXml } from '../../../src/libvirt/domain-xml.js';
import { parseXmlForEdit } from '../../../src/util/xml-edit.js';
import { prepareXml } from '../../../src/vms/prepare-xml.js';
import type { PreparedXml, StartFacts } from '../../../src/vms/prepare-xml.js';
import { fakeId } from '../../support/fake-domain.js';

const id = fakeId(1);
const NAMESPACE = 'http://ovirt.org/vm/1.0';
const facts: StartFacts = {
  id,
  startTimeSec: 1_700_000_000.25,
  identity: { osName: 'Fake & Linux', osVersion: '9-stable', uuid: 'c0ffee00-0000-4000-8000-000000000001' },
  imagePath: (target) => `/state/${target}.img`,
};

interface Parts {
  readonly root?: string;
  readonly before?: string;
  readonly devices?: string;
  readonly metadata?: string;
}

function domainXml({ root = '', before = '', devices = '', metadata = '' }: Parts = {}): string {
  return (
    `<domain type='kvm'${root}><name>a</name><uuid>${id}</uuid><memory>1024</memory>${before}` +
    `<devices>${devices}</devices>${metadata}</domain>`
  );
}

const ofVm = (content: string, prefix = 'ovirt-vm'): string =>
  `<metadata><${prefix}:vm xmlns:${prefix}="${NAMESPACE}">${content}</${prefix}:vm></metadata>`;
const prepare = (parts?: Parts): PreparedXml => prepareXml(domainXml(parts), facts);

describe("the start's mark", () => {
  const forms: Readonly<Record<string, Parts>> = {
    'without metadata': {},
    'with empty metadata': { metadata: '<metadata/>' },
    "with somebody else's metadata": { metadata: '<metadata><x:y xmlns:x="urn:x">1</x:y></metadata>' },
    'as an engine sends it': {
      root: ` xmlns:ovirt-vm="${NAMESPACE}" xmlns:ovirt-tune="http://ovirt.org/vm/tune/1.0"`,
      metadata:
        '<metadata><ovirt-tune:qos/><ovirt-vm:vm><ovirt-vm:launchPaused type="bool">true</ovirt-vm:launchPaused></ovirt-vm:vm></metadata>',
    },
    'with an empty element': {
      metadata: `<metadata><ovirt-vm:vm xmlns:ovirt-vm='${NAMESPACE}'/></metadata>`,
    },
    'under another prefix': { metadata: ofVm('\n', 'o.v') },
    'under a default namespace': {
      metadata: `<metadata><vm xmlns="${NAMESPACE}"><launchPaused>true</launchPaused></vm></metadata>`,
    },
    'of an earlier start': { metadata: ofVm('<ovirt-vm:startTime type="float">7.5</ovirt-vm:startTime>') },
    'behind what looks like metadata': { before: '<!-- <metadata> --><title>&lt;metadata></title>' },
  };
  for (const [form, parts] of Object.entries(forms)) {
    it(`makes a managed domain with a start time of one ${form}, and changes nothing else`, () => {
      const before = parseDomainXml(domainXml(parts));
      const { xml } = prepare(parts);
      const after = parseDomainXml(xml);
      assert.deepEqual(after.metadata, { ...before.metadata, startTime: facts.startTimeSec });
      const rest = { metadata: 0, xml: 0, devicesHash: 0 };
      assert.deepEqual({ ...after, ...rest }, { ...before, ...rest });
      assert.equal(xml.match(/startTime type/g)?.length, 1);
    });
  }

  it('keeps all other metadata, and takes out what an earlier run has left', () => {
    const kept =
      '<ovirt-vm:clusterVersion>4.7</ovirt-vm:clusterVersion>' +
      '<ovirt-vm:device devtype="disk" name="vda"><ovirt-vm:imageID>i</ovirt-vm:imageID></ovirt-vm:device>';
    const left =
      '<ovirt-vm:exitCode type="int">1</ovirt-vm:exitCode><ovirt-vm:pauseCode>EIO</ovirt-vm:pauseCode>';
    const { xml } = prepare({ metadata: ofVm(left + kept) });
    assert.ok(xml.includes(kept));
    assert.doesNotMatch(xml, /exitCode|pauseCode/);
  });
});

describe('a domain for this host', () => {
  it('gets the facts that its SMBIOS asks for; those that are not known are left out', () => {
    const entry = (name: string, text: string): string => `<entry name='${name}'>${text}</entry>`;
    const system = `${entry('manufacturer', 'oVirt')}${entry('product', 'OS-NAME:')}${entry('version', 'OS-VERSION:')}${entry('serial', 'HOST-SERIAL:')}`;
    const before = `<sysinfo type='smbios'><system>${system}</system></sysinfo>`;
    const entries = (xml: string): string[][] =>
      (parseXmlForEdit(xml).child('sysinfo')?.child('system')?.children() ?? []).map((each) => [
        each.attribute('name') ?? '',
        each.text,
      ]);
    assert.deepEqual(entries(prepare({ before }).xml), [
      ['manufacturer', 'oVirt'],
      ['product', 'Fake & Linux'],
      ['version', '9-stable'],
      ['serial', facts.identity.uuid],
    ]);
    const unknown = { ...facts, identity: { osName: '', osVersion: '', uuid: '' } };
    assert.deepEqual(entries(prepareXml(domainXml({ before }), unknown).xml), [['manufacturer', 'oVirt']]);
  });

  it('is destroyed on reboot by the agent, not by libvirt', () => {
    const { xml } = prepare({ before: '<on_reboot>destroy</on_reboot>' });
    assert.doesNotMatch(xml, /<on_reboot>/);
    assert.equal(parseDomainXml(xml).metadata?.destroyOnReboot, true);
    assert.match(prepare({ before: '<on_reboot>restart</on_reboot>' }).xml, /<on_reboot>restart/);
    assert.equal(parseDomainXml(prepare().xml).metadata?.destroyOnReboot, undefined);
  });

  it('names the folders of the sockets that QEMU makes', () => {
    const devices =
      `<channel type='unix'><source mode='bind' path='/var/lib/libvirt/qemu/channels/a.org.qemu.guest_agent.0'/><target/></channel>` +
      `<channel type='unix'><source mode='bind' path='/var/lib/libvirt/qemu/channels/a.com.redhat.rhevm.vdsm'/></channel>` +
      `<channel type='unix'><source mode='connect' path='/somebody/elses/socket'/></channel>` +
      `<channel type='spicevmc'><target type='virtio'/></channel>` +
      `<console type='unix'><source mode='bind' path='/var/run/ovirt-vmconsole-console/a.sock'/></console>` +
      `<serial type='pty'><source path='/dev/pts/1'/></serial>` +
      `<graphics type='vnc' socket='/run/vnc/../vnc2/a.sock'><listen type='socket' socket='/run/vnc3/a'/></graphics>` +
      `<channel type='unix'><source mode='bind' path='relative/socket'/></channel>`;
    assert.deepEqual(prepare({ devices }).folders, [
      '/var/lib/libvirt/qemu/channels',
      '/var/run/ovirt-vmconsole-console',
      '/run/vnc2',
      '/run/vnc3',
    ]);
  });

  it('is not mended: what is no XML is refused in one sentence', () => {
    const broken = domainXml().replace('<devices>', '<devices><disk>');
    for (const xml of ['<domain', broken])
      assert.throws(() => prepareXml(xml, facts), /^Error: The XML is not well-formed: .+$/);
  });
});

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const file = (path: string, content: string): string =>
  `<ovirt-vm:file path="${path}">${content}</ovirt-vm:file>`;
const payloadOf = (content: string, name = 'sdc'): string =>
  ofVm(
    `<ovirt-vm:device devtype="disk" name="${name}"><ovirt-vm:payload>${content}</ovirt-vm:payload></ovirt-vm:device>`,
  );
const cdrom = `<disk type='block' device='cdrom' snapshot='no'><driver name='qemu' type='raw'/><source dev='/dev/zero' startupPolicy='optional'/><target dev='sdc' bus='sata'/><readonly/></disk>`;
const floppy = `<disk type='file' device='floppy'><target dev='fda' bus='fdc'/></disk>`;
const disk = `<disk type='file' device='disk'><source file='/x'/><target dev='vda'/></disk>`;

describe('a payload', () => {
  it('becomes an image, whose path goes into its drive', () => {
    const content = `<ovirt-vm:volId>config-2</ovirt-vm:volId>${file('openstack/latest/user_data', base64('#cloud-config'))}`;
    const { xml, payloads } = prepare({ devices: disk + cdrom, metadata: payloadOf(content) });
    assert.deepEqual(payloads, [
      {
        vmId: id,
        target: 'sdc',
        format: 'iso',
        volumeId: 'config-2',
        files: [{ path: 'openstack/latest/user_data', content: Buffer.from('#cloud-config') }],
      },
    ]);
    const [, drive] = parseXmlForEdit(xml).child('devices')?.children('disk') ?? [];
    assert.equal(drive?.attribute('type'), 'file');
    assert.equal(String(drive.child('source')), '<source startupPolicy="optional" file="/state/sdc.img"/>');
    assert.ok(xml.includes(base64('#cloud-config')), 'a restore of the VM may have to make it again');
  });

  it('of a floppy drive gets a source where there was none', () => {
    const metadata = payloadOf(file('/unattend.xml', base64('x')), 'fda');
    const { xml, payloads } = prepare({ devices: floppy, metadata });
    assert.equal(payloads[0]?.format, 'floppy');
    assert.equal(payloads[0].files[0]?.path, 'unattend.xml');
    assert.match(xml, /<source file="\/state\/fda\.img"\/>/);
  });

  const a = file('a', base64('1'));
  const wrong: readonly (readonly [string, Parts, RegExp])[] = [
    [
      'is for no disk',
      { devices: disk, metadata: payloadOf(a) },
      /disk 'sdc', which the domain does not have/,
    ],
    ['is for a hard disk', { devices: disk, metadata: payloadOf(a, 'vda') }, /neither a CD-ROM nor a floppy/],
    [
      'is for a disk whose name would lead elsewhere',
      { devices: cdrom.replace('sdc', '../x'), metadata: payloadOf(a, '../x') },
      /which the domain does not have/,
    ],
    [
      'is no base64',
      { devices: cdrom, metadata: payloadOf(file('secret.txt', 'hunter2!')) },
      /content of payload file 'secret\.txt' is not base64$/,
    ],
    ['leaves its folder', { devices: cdrom, metadata: payloadOf(file('a/../../b', 'AA==')) }, /no path/],
    ['has no path', { devices: cdrom, metadata: payloadOf(file('', 'AA==')) }, /'' is no path/],
    ['has a file twice', { devices: cdrom, metadata: payloadOf(a + a) }, /two files 'a'/],
    [
      'has a file that is a folder',
      { devices: cdrom, metadata: payloadOf(file('a/b', 'AA==') + a) },
      /'a' is a file and a folder/,
    ],
    [
      'has too long a label',
      { devices: floppy, metadata: payloadOf('<ovirt-vm:volId>twelve chars</ovirt-vm:volId>', 'fda') },
      /label/,
    ],
    [
      'does not fit',
      { devices: floppy, metadata: payloadOf(file('big', base64('x'.repeat(1_500_000))), 'fda') },
      /1500000 bytes do not fit/,
    ],
  ];
  for (const [what, parts, message] of wrong) {
    it(`that ${what} is refused`, () => {
      assert.throws(
        () => prepare(parts),
        (error: Error) => {
          assert.match(error.message, message);
          assert.doesNotMatch(error.message, /hunter2/);
          return true;
        },
      );
    });
  }

  it('of any content under any usable path comes out as it went in', () => {
    const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter(
      // eslint-disable-next-line no-control-regex -- not allowed in names
      (text) => !/[/\u{0}-\u{1f}\u{7f}\u{FFFE}\u{FFFF}]|^\.{1,2}$|^\s|\s$/u.test(text),
    );
    const lines = (text: string): string => text.replace(/.{20}/g, '$&\n');
    fc.assert(
      fc.property(
        fc.array(name, { minLength: 1, maxLength: 4 }),
        fc.uint8Array({ maxLength: 300 }),
        (names, bytes) => {
          const path = names.join('/');
          const coded = Buffer.from(bytes).toString('base64');
          const quoted = path.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
          const metadata = payloadOf(file(quoted, lines(coded)));
          const [payload] = prepare({ devices: cdrom, metadata }).payloads;
          assert.equal(payload?.files[0]?.path, path);
          assert.deepEqual(payload.files[0].content, Buffer.from(bytes));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('of anything else is refused with a sentence that does not quote it', () => {
    const text = fc.string({ unit: 'grapheme-ascii', minLength: 8 });
    fc.assert(
      fc.property(text, (content) => {
        const written = content.replace(/[&<>]/g, (char) => `&#${char.charCodeAt(0)};`);
        const packed = content.replace(/\s/g, '');
        try {
          const [payload] = prepare({ devices: cdrom, metadata: payloadOf(file('f', written)) }).payloads;
          assert.equal(payload?.files[0]?.content.toString('base64').length, packed.length);
        } catch (error) {
          assert.equal((error as Error).message, "the content of payload file 'f' is not base64");
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('whatever an engine may send', () => {
  const word = fc.string({ unit: 'grapheme-ascii', maxLength: 12 });
  const escaped = word.map((text) => text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`));
  const metadataValue = fc
    .tuple(fc.constantFrom('custom', 'clusterVersion', 'startTime', 'exitCode', 'device', 'jobs'), escaped)
    .map(([name, text]) => `<ovirt-vm:${name} type="int">${text}</ovirt-vm:${name}>`);
  const top = fc.oneof(
    escaped.map((text) => `<title>${text}</title>`),
    escaped.map(
      (text) => `<sysinfo type="smbios"><system><entry name="serial">${text}</entry></system></sysinfo>`,
    ),
    fc
      .constantFrom('HOST-SERIAL:', 'OS-NAME:')
      .map((text) => `<sysinfo><system><entry>${text}x</entry></system></sysinfo>`),
    fc.constantFrom('destroy', 'restart', ' destroy ').map((text) => `<on_reboot>${text}</on_reboot>`),
    escaped.map((text) => `<!-- ${text.replaceAll('-', '')} -->`),
    fc.constant('<qemu:commandline xmlns:qemu="urn:qemu"><qemu:arg value="-x"/></qemu:commandline>'),
  );
  const device = fc.oneof(
    escaped.map(
      (text) => `<interface type="bridge"><source bridge="${text}"/><alias name="ua-${text}"/></interface>`,
    ),
    escaped.map((text) => `<lease><key>LEASE-PATH:${text}</key></lease>`),
    escaped.map((text) => `<channel type="unix"><source mode="bind" path="/run/${text}/s"/></channel>`),
    fc.constant(
      `<graphics type="vnc" port="-1" passwd="*****"><listen type="network" network="vdsm-x"/></graphics>`,
    ),
    fc.constant(disk),
  );

  it('goes on with its meaning, is stable under a second start, and never yields broken XML', () => {
    fc.assert(
      fc.property(
        fc.array(top, { maxLength: 5 }),
        fc.array(device, { maxLength: 5 }),
        fc.array(metadataValue, { maxLength: 5 }),
        (tops, devices, values) => {
          const sent = domainXml({
            before: tops.join('\n'),
            devices: devices.join(''),
            metadata: ofVm(values.join('')),
          });
          const once = prepareXml(sent, facts).xml;
          const [before, after] = [parseDomainXml(sent), parseDomainXml(once)];
          assert.equal(after.metadata?.startTime, facts.startTimeSec);
          assert.equal(after.metadata.exitCode, undefined);
          for (const key of ['id', 'name', 'memoryKiB', 'disks', 'nics', 'graphics', 'channels'] as const) {
            assert.deepEqual(after[key], before[key]);
          }
          const again = parseDomainXml(prepareXml(once, facts).xml);
          assert.deepEqual({ ...again, xml: '' }, { ...after, xml: '' });
          assert.doesNotMatch(once, />(HOST-SERIAL|OS-NAME):/);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('or be mangled is prepared, or refused with one sentence', () => {
    const whole = domainXml({
      devices: cdrom,
      metadata: payloadOf(file('a', 'AAAA')),
      before: '<on_reboot>destroy</on_reboot>',
    });
    fc.assert(
      fc.property(
        fc.nat(whole.length),
        fc.nat(40),
        fc.string({ unit: 'grapheme-ascii', maxLength: 5 }),
        (at, length, put) => {
          const mangled = whole.slice(0, at) + put + whole.slice(at + length);
          try {
            prepareXml(mangled, facts);
          } catch (error) {
            assert.ok(error instanceof Error && !(error instanceof TypeError), String(error));
            assert.doesNotMatch(error.message, /\n/);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
