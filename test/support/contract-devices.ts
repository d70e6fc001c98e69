/** The contract of devices, vCPUs, memory and the screen. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { DomainDescription } from '../../src/domain/devices.js';
import { rejectsWith } from './contract-bench.js';
import { unknownId } from './contract-subject.js';
import type { Bench } from './contract-bench.js';

const SCSI = `<controller type='scsi' model='virtio-scsi'/>`;
const MAC = '52:54:00:c0:de:01';
/** A drive without a medium, its controller and a screen. */
const DRIVE = `<controller type='sata'/><disk type='file' device='cdrom'><target dev='sdc' bus='sata'/><readonly/></disk>`;
const SCREEN = `<graphics type='vnc' autoport='yes' listen='127.0.0.1'/><video><model type='vga'/></video>`;

function diskXml(target: string, bus: string, image: string): string {
  return (
    `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${image}'/>` +
    `<target dev='${target}' bus='${bus}'/><alias name='ua-${target}'/></disk>`
  );
}

function nicXml(mac: string, more = ''): string {
  return `<interface type='ethernet'><mac address='${mac}'/><model type='virtio'/>${more}</interface>`;
}

function driveXml(target: string, image?: string): string {
  const source = image === undefined ? '' : `<source file='${image}'/>`;
  return `<disk type='file' device='cdrom'>${source}<target dev='${target}' bus='sata'/><readonly/></disk>`;
}

function targets({ disks }: DomainDescription): string[] {
  return disks.map(({ target }) => target);
}

export function devicesContract(started: () => Promise<Bench>): void {
  it('attaches a device to the domain and its definition', async () => {
    const bench = await started();
    const { hypervisor } = bench;
    const id = await bench.run(1, true, SCSI);
    const xml = diskXml('sda', 'scsi', await bench.subject.newImage('sda'));
    await hypervisor.devices.attach(id, xml);
    assert.equal((await bench.next(id, 'device-added', 0)).alias, 'ua-sda');
    assert.deepEqual(targets(await hypervisor.describe(id)), ['vda', 'sda']);
    await rejectsWith('unsupported', hypervisor.devices.attach(id, xml), 'attaching it again');
    assert.deepEqual(targets(await bench.definitionAfterEnd(id)), ['vda', 'sda']);
    await rejectsWith('invalid-state', hypervisor.devices.attach(id, xml), 'attaching to a stopped domain');
  });

  it('names an attached NIC, and gives it a device on the host', async () => {
    const bench = await started();
    const { hypervisor } = bench;
    const id = await bench.run(1, true);
    await hypervisor.devices.attach(id, nicXml('52:54:00:c0:de:02'));
    const { alias } = await bench.next(id, 'device-added', 0);
    const nic = (await hypervisor.describe(id)).nics.find((each) => each.alias === alias);
    assert.equal(nic?.mac, '52:54:00:c0:de:02');
    assert.match(nic.target, /^\w+$/);
  });

  it('detaches a device from the domain and its definition', async () => {
    const bench = await started();
    const { hypervisor } = bench;
    const id = await bench.run(1, true, SCSI);
    const xml = diskXml('sda', 'scsi', await bench.subject.newImage('sda'));
    await hypervisor.devices.attach(id, xml);
    await hypervisor.devices.detach(id, xml);
    assert.equal((await bench.next(id, 'device-removed', 0)).alias, 'ua-sda');
    assert.deepEqual(targets(await hypervisor.describe(id)), ['vda']);
    await rejectsWith('no-device', hypervisor.devices.detach(id, xml), 'detaching it again');
    await rejectsWith('no-device', hypervisor.devices.detach(id, nicXml('52:54:00:c0:de:09')));
    assert.deepEqual(targets(await bench.definitionAfterEnd(id)), ['vda']);
    await rejectsWith('invalid-state', hypervisor.devices.detach(id, xml), 'detaching from a stopped domain');
  });

  it('may ask a guest again for a device that it keeps, though the definition has lost it', async () => {
    const bench = await started();
    const { hypervisor } = bench;
    const id = await bench.run(1, true);
    const xml = diskXml('vdb', 'virtio', await bench.subject.newImage('vdb'));
    await hypervisor.devices.attach(id, xml);
    bench.subject.keepDevices?.();
    await hypervisor.devices.detach(id, xml);
    await hypervisor.devices.detach(id, xml);
    assert.deepEqual(targets(await hypervisor.describe(id)), ['vda', 'vdb']);
    assert.deepEqual(bench.told(id, 'device-removed'), []);
    assert.deepEqual(targets(await bench.definitionAfterEnd(id)), ['vda']);
  });

  it('changes devices of a transient domain', async () => {
    const bench = await started();
    const { hypervisor } = bench;
    const id = await bench.run(1, true, SCSI);
    await hypervisor.undefine(id);
    const xml = diskXml('sda', 'scsi', await bench.subject.newImage('sda'));
    await hypervisor.devices.attach(id, xml);
    await hypervisor.devices.update(id, nicXml(MAC, `<link state='down'/>`), { force: false, persist: true });
    await hypervisor.devices.setVcpus(id, 2);
    await hypervisor.devices.detach(id, xml);
    await bench.next(id, 'device-removed', 0);
    assert.deepEqual(targets(await hypervisor.describe(id)), ['vda']);
  });

  for (const persist of [true, false]) {
    it(`updates a NIC of a running domain ${persist ? 'and in' : 'but not in'} its definition`, async () => {
      const bench = await started();
      const { hypervisor } = bench;
      const id = await bench.run(1, true);
      await hypervisor.devices.update(id, nicXml(MAC, `<link state='down'/>`), { force: false, persist });
      const { xml, nics } = await hypervisor.describe(id);
      assert.match(xml, /<link state=.down.\s*\/>/);
      assert.deepEqual([nics.length, nics[0]?.mac], [1, MAC]);
      const other = nicXml('52:54:00:c0:de:09', `<link state='down'/>`);
      await rejectsWith('no-device', hypervisor.devices.update(id, other, { force: false, persist }));
      const defined = await bench.definitionAfterEnd(id);
      assert.equal(/<link state=.down.\s*\/>/.test(defined.xml), persist);
    });
  }

  it('changes the medium of a drive, and takes it out', async () => {
    const bench = await started();
    const { hypervisor } = bench;
    const id = await bench.run(1, false, DRIVE);
    const how = { force: false, persist: true };
    const medium = async (): Promise<string | undefined> => (await hypervisor.describe(id)).disks[0]?.source;
    const image = await bench.subject.newImage('medium');
    await hypervisor.devices.update(id, driveXml('sdc', image), how);
    assert.equal(await medium(), image);
    await hypervisor.devices.update(id, driveXml('sdc'), { ...how, force: true });
    assert.equal(await medium(), '');
    await rejectsWith('failed', hypervisor.devices.update(id, driveXml('sdz', image), how), 'no such drive');
  });

  it('sets vCPUs of the domain and its definition, as many as it may have', async () => {
    const bench = await started();
    const { hypervisor } = bench;
    const id = await bench.run(1);
    await rejectsWith('failed', hypervisor.devices.setVcpus(id, 0), 'no vCPU at all');
    await rejectsWith('failed', hypervisor.devices.setVcpus(id, 3), 'more than there may be');
    await hypervisor.devices.setVcpus(id, 2);
    assert.equal((await hypervisor.describe(id)).vcpus, 2);
    assert.equal((await bench.definitionAfterEnd(id)).vcpus, 2);
    await rejectsWith('invalid-state', hypervisor.devices.setVcpus(id, 1));
  });

  it('pins a vCPU, and tells of it', async () => {
    const bench = await started();
    const { hypervisor } = bench;
    const id = await bench.run(1);
    await hypervisor.devices.pinVcpu(id, 0, [0]);
    assert.deepEqual((await bench.next(id, 'tunable', 0)).values, { 'cputune.vcpupin0': '0' });
    assert.match((await hypervisor.describe(id)).xml, /<vcpupin vcpu=.0. cpuset=.0.\s*\/>/);
    await rejectsWith('failed', hypervisor.devices.pinVcpu(id, 9, [0]), 'a vCPU that it has not');
  });

  it('sets the balloon’s target, up to the memory there is', async () => {
    const bench = await started();
    const { hypervisor } = bench;
    const id = await bench.run(1, true);
    await hypervisor.devices.setMemory(id, 8192);
    await rejectsWith('failed', hypervisor.devices.setMemory(id, 32_768), 'more than there is');
    await hypervisor.destroy(id, { graceful: false });
    await rejectsWith('invalid-state', hypervisor.devices.setMemory(id, 8192));
  });

  it('takes a picture of the screen, where there is one', async () => {
    const bench = await started();
    const { hypervisor } = bench;
    const blind = await bench.run(1);
    const seeing = await bench.run(2, false, SCREEN);
    const { mimeType, data } = await hypervisor.devices.screenshot(seeing);
    const magic = { 'image/png': '\x89PNG', 'image/x-portable-pixmap': 'P6' }[mimeType];
    assert.ok(magic !== undefined, mimeType);
    assert.equal(data.toString('latin1', 0, magic.length), magic);
    assert.deepEqual((await hypervisor.devices.screenshot(seeing)).mimeType, mimeType);
    await rejectsWith('invalid-state', hypervisor.devices.screenshot(blind));
    await rejectsWith('no-domain', hypervisor.devices.screenshot(unknownId));
  });
}
