import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseDomainXml } from '../../../src/libvirt/domain-xml.js';
import { ENGINE_VM_ID, engineVmXml } from '../../support/domain-xml-samples.js';

/** The least that is a domain, with more inside. */
function domainXml(inside = '', memory = '<memory>1024</memory>'): string {
  return `<domain><name>a</name><uuid>${ENGINE_VM_ID}</uuid>${memory}${inside}</domain>`;
}

function memoryKiB(unit: string, amount: number): number {
  return parseDomainXml(domainXml('', `<memory unit='${unit}'>${amount}</memory>`)).memoryKiB;
}

describe('parseDomainXml', () => {
  it('reads the facts of an oVirt VM', () => {
    const { xml, devicesHash, disks, nics, graphics, metadata, ...facts } = parseDomainXml(engineVmXml);
    assert.equal(xml, engineVmXml);
    assert.match(devicesHash, /^\d{1,19}$/);
    assert.deepEqual(facts, {
      id: ENGINE_VM_ID,
      name: 'web & db 007',
      type: 'kvm',
      memoryKiB: 4_194_304,
      currentMemoryKiB: 3_145_728,
      vcpus: 2,
      maxVcpus: 16,
      acpi: true,
      balloonModel: 'virtio',
      balloonPeriodSec: 5,
      channels: ['org.qemu.guest_agent.0', 'com.redhat.spice.0'],
      guestAgentConnected: true,
    });
    assert.deepEqual(graphics, [
      { type: 'vnc', port: '5901', tlsPort: '', listenAddress: '192.0.2.1' },
      { type: 'spice', port: '', tlsPort: '5903', listenAddress: '0' },
    ]);
    assert.deepEqual(nics, [
      { target: 'vnet3', mac: '56:6f:1a:00:00:01', model: 'virtio', alias: 'ua-nic', passthrough: false },
      { target: '', mac: '56:6f:1a:00:00:02', model: '', alias: 'ua-sriov', passthrough: true },
    ]);
    assert.deepEqual(metadata, {
      startTime: 1_700_000_000.25,
      minGuaranteedMemoryMb: 1024,
      ballooningEnabled: true,
      balloonTargetKiB: 3_145_728,
      launchPaused: false,
      resumeBehavior: 'auto_resume',
      destroyOnReboot: false,
      vcpuLimit: 50,
    });
    assert.equal(disks.length, 5);
  });

  it('takes a disk from its metadata, else from the image directory in its path', () => {
    const disks = parseDomainXml(engineVmXml).disks;
    assert.deepEqual(
      disks.map(({ target, device, imageId, lunGuid }) => [target, device, imageId, lunGuid]),
      [
        ['sdz', 'cdrom', undefined, undefined],
        ['sda', 'disk', '11110000-0000-4000-8000-000000000000', undefined],
        ['vda', 'disk', '33330000-0000-4000-8000-000000000000', undefined],
        ['sdc', 'lun', undefined, '36001405'],
        ['sdd', 'disk', undefined, undefined],
      ],
    );
    assert.deepEqual(disks[1]?.ioTune, { total_bytes_sec: 1_048_576, read_iops_sec: 100 });
    assert.equal('ioTune' in disks[0]!, false);
    assert.equal(disks[0]?.source, '');
    assert.equal(disks[4]?.source, 'pool/image');
  });

  it('leaves names and values that look like numbers text', () => {
    const xml = domainXml("<devices><disk><source file='0x10'/><target dev='1e3' bus='1'/></disk></devices>");
    const domain = parseDomainXml(xml.replace('<name>a</name>', '<name>007</name>'));
    assert.equal(domain.name, '007');
    assert.equal(domain.disks[0]?.target, '1e3');
    assert.equal(domain.disks[0].source, '0x10');
  });

  it('knows the units of memory in any case, and rounds up', () => {
    assert.equal(parseDomainXml(domainXml()).memoryKiB, 1024);
    assert.equal(memoryKiB('b', 1025), 2);
    assert.equal(memoryKiB('bytes', 2048), 2);
    assert.equal(memoryKiB('KB', 1024), 1000);
    assert.equal(memoryKiB('k', 3), 3);
    assert.equal(memoryKiB('KiB', 3), 3);
    assert.equal(memoryKiB('MB', 128), 125_000);
    assert.equal(memoryKiB('M', 2), 2048);
    assert.equal(memoryKiB('MiB', 2), 2048);
    assert.equal(memoryKiB('g', 1), 1_048_576);
    assert.equal(memoryKiB('GiB', 1), 1_048_576);
    assert.equal(memoryKiB('TiB', 1), 2 ** 30);
    assert.throws(() => memoryKiB('acre', 1), /memory/);
  });

  it('fills in what an offline or short XML leaves out', () => {
    const { vcpus, maxVcpus, currentMemoryKiB, ...domain } = parseDomainXml(domainXml());
    assert.deepEqual([vcpus, maxVcpus, currentMemoryKiB], [1, 1, 1024]);
    assert.equal(domain.acpi, false);
    assert.equal(domain.balloonModel, '');
    assert.equal('metadata' in domain, false);
    assert.equal('balloonPeriodSec' in domain, false);
    assert.equal(domain.guestAgentConnected, false);
  });

  it('tells the offset of the clock, where the XML has a number', () => {
    const offset = (clock: string): number | undefined =>
      parseDomainXml(domainXml().replace('</domain>', `${clock}</domain>`)).clockAdjustmentSec;
    assert.equal(offset("<clock offset='variable' adjustment='-3600' basis='utc'><timer/></clock>"), -3600);
    assert.equal(offset("<clock offset='variable' adjustment='reset'/>"), undefined);
    assert.equal(offset("<clock offset='utc'/>"), undefined);
  });

  it('finds oVirt metadata under any prefix, or none, and no other', () => {
    const vm = (open: string, close: string): string =>
      domainXml(
        `<metadata>${open}<x:exitCode xmlns:x="http://ovirt.org/vm/1.0">1</x:exitCode>${close}</metadata>`,
      );
    const exitCode = (xml: string): number | undefined => parseDomainXml(xml).metadata?.exitCode;
    assert.equal(exitCode(vm('<vm xmlns="http://ovirt.org/vm/1.0">', '</vm>')), 1);
    assert.equal(exitCode(vm('<q:vm xmlns:q="http://ovirt.org/vm/1.0">', '</q:vm>')), 1);
    const atRoot = vm('<q:vm>', '</q:vm>').replace('<domain', '<domain xmlns:q="http://ovirt.org/vm/1.0"');
    assert.equal(exitCode(atRoot), 1);
    for (const foreign of ['<vm>', '<q:vm xmlns:q="http://ovirt.org/vm/2.0">', '<ovirt-vm:vm>']) {
      const name = /^<([^ >]+)/.exec(foreign)![1]!;
      assert.equal(parseDomainXml(vm(foreign, `</${name}>`)).metadata, undefined);
    }
  });

  it('decodes the five entities and character references, but not inside CDATA', () => {
    const xml = domainXml().replace(
      '<name>a</name>',
      '<name>&lt;&#65;&#x42;&apos;&gt;<![CDATA[&amp;]]>&quot;</name>',
    );
    assert.equal(parseDomainXml(xml).name, '<AB\'>&amp;"');
  });

  it('never expands what a DOCTYPE declares', () => {
    const entities = Array.from({ length: 20 }, (_, i) => `<!ENTITY e${i + 1} "&e${i};&e${i};&e${i};">`).join(
      '',
    );
    const bomb = `<!DOCTYPE d [<!ENTITY e0 "ha">${entities}]>${domainXml().replace('>a<', '>&e20;<')}`;
    assert.equal(parseDomainXml(bomb).name, '&e20;');
  });

  it('hashes the devices alone', () => {
    const hash = (xml: string): string => parseDomainXml(xml).devicesHash;
    const base = hash(engineVmXml);
    assert.equal(hash(engineVmXml.replace('1024</ovirt-vm:min', '2048</ovirt-vm:min')), base);
    assert.equal(hash(engineVmXml.replace("<domain type='kvm' id='7'", "<domain type='kvm' id='8'")), base);
    assert.equal(hash(engineVmXml.replace('not these', 'not those')), base);
    const period = /\s*<stats period='5'\/>/;
    assert.match(engineVmXml, period);
    assert.equal(hash(engineVmXml.replace(period, '')), base, "the balloon period is the agent's own doing");
    const connected = / state='connected'/;
    assert.match(engineVmXml, connected);
    for (const state of ['', " state='disconnected'"])
      assert.equal(hash(engineVmXml.replace(connected, state)), base, 'a guest agent is no device');
    assert.notEqual(hash(engineVmXml.replace('vnet3', 'vnet4')), base);
    assert.ok(BigInt(base) >= 0n && BigInt(base) < 2n ** 63n);
    // printf '' | sha256sum: e3b0c44298fc1c14...
    assert.equal(hash(domainXml('<devices></devices>')), (0xe3b0c44298fc1c14n >> 1n).toString());
  });

  it('passes over long parts that it has no use for, whatever they hold', () => {
    const decoys =
      '<cpu><!-- </cpu> --><model>x</model><name>decoy</name></cpu><os><uuid>decoy</uuid></os><clock/>' +
      '<sysinfo><system><entry name="uuid">&lt;</entry></system></sysinfo>';
    const controllers =
      '<controller type="usb"/><controller type="pci"><disk/><target chassis="9"/></controller><video><model/></video>';
    const xml = engineVmXml
      .replace('<name>', `${decoys}<name>`)
      .replace('<emulator>', `${controllers}<emulator>`);
    const { xml: _given, devicesHash: _hash, ...facts } = parseDomainXml(xml);
    const { xml: _plain, devicesHash: _other, ...expected } = parseDomainXml(engineVmXml);
    assert.deepEqual(facts, expected);
  });

  it('says in one sentence what is missing', () => {
    const cases: [string, RegExp][] = [
      ['', /^Error: The XML has 0 root elements instead of one\.$/],
      ['<domain/><domain/>', /^Error: The XML has 2 root elements/],
      ['<network/>', /^Error: The XML describes no domain/],
      ['<domain', /^Error: The XML is not well-formed: [^\n]+$/],
      [domainXml().replace(ENGINE_VM_ID, 'x'), /^Error: The domain XML has no valid <uuid>\.$/],
      [domainXml().replace('<name>a</name>', ''), /^Error: The domain XML has no <name>\.$/],
      [domainXml('', ''), /^Error: The domain XML has no valid <memory>\.$/],
      ['x'.repeat(4 * 1024 * 1024 + 1), /^Error: The XML is longer than 4 MiB\.$/],
    ];
    for (const [xml, expected] of cases) {
      assert.throws(
        () => parseDomainXml(xml),
        (error) => expected.test(String(error)),
        xml.slice(0, 80),
      );
    }
  });
});

describe('parseDomainXml, for any input', () => {
  const attempt = (xml: string): void => {
    try {
      assert.notEqual(parseDomainXml(xml).name, '');
    } catch (error) {
      assert.equal((error as Error).constructor, Error);
      assert.match((error as Error).message, /^The (domain )?XML [^\n]+$/);
    }
  };

  it('fails on arbitrary text with nothing but a clean Error', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), attempt), { numRuns: 500 });
    const piece = fc.constantFrom(
      '<',
      '>',
      '</',
      '/>',
      '<!DOCTYPE ',
      '[',
      ']',
      '<!ENTITY a "',
      '<![CDATA[',
      ']]>',
      '<!--',
      '-->',
      '<?',
      '?>',
      'domain',
      'devices',
      '__proto__',
      '=',
      "'",
      '"',
      '&',
      ';',
      ' ',
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 40 }).map((parts) => parts.join('')),
        attempt,
      ),
      { numRuns: 2000 },
    );
  });

  it('fails on a damaged domain with nothing but a clean Error', () => {
    const cut = fc.tuple(
      fc.nat({ max: engineVmXml.length }),
      fc.nat({ max: 60 }),
      fc.string({ maxLength: 8 }),
    );
    fc.assert(
      fc.property(cut, ([at, length, insert]) => {
        attempt(engineVmXml.slice(0, at) + insert + engineVmXml.slice(at + length));
      }),
      { numRuns: 500 },
    );
  });

  it('stands deep nesting', () => {
    attempt('<a>'.repeat(100_000));
    attempt(`${'<a>'.repeat(5000)}${'</a>'.repeat(5000)}`);
    attempt(domainXml(`${'<a>'.repeat(5000)}${'</a>'.repeat(5000)}`));
  });

  it('keeps any name that libvirt could print', () => {
    const name = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
      .filter((text) => !/[\r\n]/.test(text));
    fc.assert(
      fc.property(name, (text) => {
        const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
        assert.equal(parseDomainXml(domainXml().replace('>a<', () => `>${escaped}<`)).name, text);
      }),
      { numRuns: 300 },
    );
  });
});
