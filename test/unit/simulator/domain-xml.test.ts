import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { diskIndex, diskName } from '../../../src/simulator/domain-config.js';
import { parseDomain } from '../../../src/simulator/domain-parse.js';
import { printDomain } from '../../../src/simulator/domain-xml.js';
import { Fault } from '../../../src/simulator/fault.js';
import { startedConfig } from '../../../src/simulator/live-config.js';
import { OVIRT_VM_URI, makeConfig } from '../../../src/simulator/made-domains.js';
import { parseMetadataElement } from '../../../src/simulator/metadata-xml.js';
import { ManualClock } from '../../support/manual-clock.js';
import { SimulatedHost } from '../../../src/simulator/simulated-host.js';

const noUuid = () => '00000000-0000-4000-8000-000000000000';
const isFault = (code: number) => (error: unknown) => error instanceof Fault && error.kind.code === code;

const fourDevices = `<domain type='kvm'><name>four</name><memory>1</memory><os><type>hvm</type></os><devices>
  <disk type='file'><source file='/a'/><target dev='vda' bus='virtio'/></disk>
  <disk type='file'><source file='/b'/><target dev='sda' bus='scsi'/></disk>
  <interface type='bridge'><source bridge='b'/><address type='pci' bus='0x01' slot='0x00'/></interface>
  <rng model='virtio'/></devices></domain>`;

describe('domain XML of the simulated host', () => {
  it('is read back as the configuration it was printed from, and printed again as it was', () => {
    const config = makeConfig(3, 7);
    const printed = printDomain(config);
    const again = parseDomain(printed, noUuid);
    assert.equal(printDomain(again), printed);
    assert.deepEqual(again.metadata, config.metadata);
    for (const key of ['name', 'uuid', 'memoryKiB', 'vcpus', 'maxVcpus', 'balloonPeriodSec'] as const) {
      assert.equal(again[key], config[key], key);
    }
    assert.deepEqual(
      again.disks.map(({ target, path, serial, format }) => ({ target, path, serial, format })),
      config.disks.map(({ target, path, serial, format }) => ({ target, path, serial, format })),
    );
    assert.deepEqual(
      again.nics.map(({ mac, model, bridge }) => ({ mac, model, bridge })),
      config.nics.map(({ mac, model, bridge }) => ({ mac, model, bridge })),
    );
  });

  it('shows id, aliases, taps, nodes and ports only of a running domain', () => {
    const config = startedConfig(makeConfig(1, 1), () => 'vnet4');
    const parts = { id: 9, vncPort: 5907, agentConnected: true, mirrors: new Map() };
    const live = printDomain(config, { live: parts });
    assert.match(live, /^<domain type='kvm' id='9'>/);
    assert.match(live, /<target dev='vnet4'\/>/);
    assert.match(live, /<graphics type='vnc' port='5907'/);
    assert.match(live, /<alias name='virtio-disk1'\/>/);
    assert.match(live, /<source file='[^']+' index='2'\/>\s+<backingStore\/>/);
    assert.match(live, /guest_agent\.0' state='connected'/);
    const inactive = printDomain(config);
    assert.match(inactive, /<graphics type='vnc' port='-1'/);
    assert.doesNotMatch(inactive, /alias|vnet|index='\d+'\/>|backingStore|seclabel/);
  });

  it('keeps what it does not know, in place, whatever happens to what it knows', () => {
    const xml = `<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
      <name>kept</name><genid>1a</genid><memory unit='MiB'>512</memory><maxMemory slots='16' unit='GiB'>4</maxMemory>
      <vcpu current='1'>4</vcpu><iothreads>1</iothreads><cputune><emulatorpin cpuset='0'/><vcpupin vcpu='0' cpuset='1-2'/></cputune>
      <os><type machine='q35'>hvm</type></os><sysinfo type='smbios'><system><entry name='serial'>s</entry></system></sysinfo>
      <devices>
        <disk type='network' device='disk' snapshot='no'><driver name='qemu' type='raw' cache='none' error_policy='stop'/>
          <source protocol='rbd' name='pool/image'><host name='h' port='6789'/></source><target dev='sda' bus='scsi'/>
          <iotune><total_bytes_sec>5</total_bytes_sec></iotune><boot order='1'/><alias name='ua-1'/></disk>
        <interface type='bridge'><mac address='00:1a:4a:16:01:51'/><source bridge='ovirtmgmt'/><filterref filter='vdsm-no-mac-spoofing'/>
          <link state='up'/><bandwidth/><model type='virtio'/></interface>
        <hostdev mode='subsystem' type='pci' managed='no'><source><address domain='0' bus='5' slot='0' function='0'/></source></hostdev>
        <memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target></memory>
        <graphics type='spice' autoport='yes' passwd='secret' passwdValidTo='1970-01-01T00:00:01'><channel name='main' mode='secure'/></graphics>
      </devices><qemu:commandline><qemu:arg value='-x'/></qemu:commandline></domain>`;
    const config = parseDomain(xml, noUuid);
    const printed = printDomain(config);
    for (const part of [
      '<genid>1a</genid>',
      "<maxMemory slots='16' unit='KiB'>4194304</maxMemory>",
      "<vcpu placement='static' current='1'>4</vcpu>",
      "<emulatorpin cpuset='0'/>",
      "<vcpupin vcpu='0' cpuset='1-2'/>",
      "<entry name='serial'>s</entry>",
      "cache='none' error_policy='stop'",
      "<source protocol='rbd' name='pool/image'>",
      '<total_bytes_sec>5</total_bytes_sec>',
      "<boot order='1'/>",
      "<alias name='ua-1'/>",
      "<filterref filter='vdsm-no-mac-spoofing'/>",
      "<link state='up'/>",
      "<hostdev mode='subsystem' type='pci' managed='no'>",
      "<size unit='KiB'>131072</size>",
      "<channel name='main' mode='secure'/>",
      "<qemu:arg value='-x'/>",
    ]) {
      assert.ok(printed.includes(part), `${part} in\n${printed}`);
    }
    assert.doesNotMatch(printed, /secret/);
    assert.match(
      printDomain(config, { secure: true }),
      /passwd='secret' passwdValidTo='1970-01-01T00:00:01'/,
    );
    assert.equal(printDomain(parseDomain(printed, noUuid)), printed);
  });

  it('gives every device a PCI address of its own, and every disk a target of its own', () => {
    const host = new SimulatedHost({ clock: new ManualClock(), domains: 1 });
    for (const xml of [host.xml(host.require('vm-0001'), false), host.xml(host.define(fourDevices), true)]) {
      const addresses = xml.match(/<address type='pci'[^>]*>/g) ?? [];
      assert.ok(addresses.length > 4);
      assert.equal(new Set(addresses).size, addresses.length, xml);
    }
    const twice = fourDevices.replace("dev='sda' bus='scsi'", "dev='vda' bus='virtio'");
    assert.throws(() => parseDomain(twice, noUuid), isFault(27));
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
    for (const index of [0, 1, 25, 26, 701, 702]) assert.equal(diskIndex(diskName('sd', index)), index);
  });
});
