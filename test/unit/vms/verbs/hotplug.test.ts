import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../../src/domain/hypervisor.js';
import {
  deviceHarness,
  deviceOf,
  fakeDomain,
  ID,
  metadataText,
  NIC,
  rejectsWith,
  vmOf,
} from './device-fixture.js';
import type { Harness } from '../harness.js';

const NIC2 = NIC.replace('00:01', '00:02').replace('ua-nic', 'ua-nic2');
const DISK2 =
  `<disk type='file' device='disk'><source file='/images/vdb'/><target dev='vdb' bus='virtio'/>` +
  `<alias name='ua-disk2'/></disk>`;
const MEMORY = `<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target><alias name='ua-dimm'/></memory>`;
const NIC_DATA = `<ovirt-vm:device alias="ua-nic2" mac_address="52:54:00:00:00:02"><ovirt-vm:custom/></ovirt-vm:device>`;
const DISK_DATA = `<ovirt-vm:device devtype="disk" name="vdb"><ovirt-vm:imageID>image-b</ovirt-vm:imageID></ovirt-vm:device>`;

const hotplug = (device: string, data = '') => ({
  params: {
    vmId: ID,
    xml:
      `<hotplug><devices>${device}</devices><metadata xmlns:ovirt-vm="http://ovirt.org/vm/1.0">` +
      `<ovirt-vm:vm>${data}</ovirt-vm:vm></metadata></hotplug>`,
  },
});

/** With a NIC and a disk that have been plugged in, and their metadata. */
async function plugged(): Promise<Harness> {
  const harness = await deviceHarness();
  await harness.run('VM.hotplugNic', ID, hotplug(NIC2, NIC_DATA));
  await harness.run('VM.hotplugDisk', ID, hotplug(DISK2, DISK_DATA));
  return harness;
}

describe('plugging a device in', () => {
  it('answers with the NIC as it is in the VM now, and the record is fresh', async () => {
    const harness = await deviceHarness();
    const before = vmOf(harness).domain?.devicesHash;
    const reply = await harness.run('VM.hotplugNic', ID, hotplug(NIC2, NIC_DATA));
    assert.deepEqual(reply, {
      devices: [{ macAddr: '52:54:00:00:00:02', alias: 'ua-nic2' }],
      xml: fakeDomain(harness).live,
    });
    const { domain } = vmOf(harness);
    assert.equal(domain?.xml, fakeDomain(harness).live);
    assert.notEqual(domain?.devicesHash, before, 'an engine asks for the XML when the hash changes');
    assert.match(domain?.nics.find(({ alias }) => alias === 'ua-nic2')?.target ?? '', /^vnet/);
    assert.ok(deviceOf(harness, 'ua-nic2', 'definition'));
  });

  it('lays the metadata of the device into those of the VM', async () => {
    const harness = await plugged();
    assert.match(metadataText(harness), /<ovirt-vm:device alias="ua-nic2" mac_address="52:54:00:00:00:02">/);
    assert.equal(vmOf(harness).domain?.disks.find(({ target }) => target === 'vdb')?.imageId, 'image-b');
  });

  it('is done where the device is there already: the answer of the first time was lost', async () => {
    const harness = await plugged();
    const reply = await harness.run('VM.hotplugNic', ID, hotplug(NIC2, NIC_DATA));
    assert.deepEqual(reply.devices, [{ macAddr: '52:54:00:00:00:02', alias: 'ua-nic2' }]);
    await harness.run('VM.hotplugDisk', ID, hotplug(DISK2, DISK_DATA));
    assert.equal(harness.hypervisor.countCalls('devices.attach'), 2);
  });

  it('does not take the place of another, whose metadata stay', async () => {
    const harness = await plugged();
    const before = metadataText(harness);
    const other = hotplug(DISK2.replace('/images/vdb', '/images/c'), DISK_DATA.replace('image-b', 'image-c'));
    await rejectsWith(harness.run('VM.hotplugDisk', ID, other), 45, /vdb/);
    assert.equal(metadataText(harness), before);
  });

  it('leaves no metadata behind where it failed, and those of others alone', async () => {
    const harness = await deviceHarness();
    const before = metadataText(harness);
    for (const [verb, device, data, code] of [
      ['VM.hotplugNic', NIC2, NIC_DATA, 49],
      ['VM.hotplugDisk', DISK2, DISK_DATA, 45],
      ['VM.hotplugMemory', MEMORY, '<ovirt-vm:device alias="ua-dimm"/>', 70],
    ] as const) {
      for (const kind of ['failed', 'unsupported', 'invalid-state'] as const) {
        harness.hypervisor.failNext('devices.attach', new HypervisorError(kind, 'no free slot'));
        await rejectsWith(harness.run(verb, ID, hotplug(device, data)), code, /no free slot/);
      }
      assert.equal(metadataText(harness), before);
    }
  });

  it('keeps the metadata of a device whose attachment got no answer, since it may be there', async () => {
    const harness = await deviceHarness();
    harness.hypervisor.failNext('devices.attach', new HypervisorError('timeout', 'no answer'));
    await rejectsWith(harness.run('VM.hotplugDisk', ID, hotplug(DISK2, DISK_DATA)), 40);
    assert.match(metadataText(harness), /image-b/);
  });

  it('does not begin where the metadata cannot be written', async () => {
    const harness = await deviceHarness();
    harness.hypervisor.failNext('metadata.set');
    await rejectsWith(harness.run('VM.hotplugDisk', ID, hotplug(DISK2, DISK_DATA)), 45);
    assert.equal(harness.hypervisor.countCalls('devices.attach'), 0);
  });

  it('is refused where the document says too little, or what is not offered', async () => {
    const harness = await deviceHarness();
    const nic = (device: string, data?: string): Promise<unknown> =>
      harness.run('VM.hotplugNic', ID, hotplug(device, data));
    await rejectsWith(nic(''), 11, /<interface>/);
    await rejectsWith(nic(`<interface type='bridge'/>`), 11, /mac/);
    const mirror = `<ovirt-vm:device><ovirt-vm:portMirroring><ovirt-vm:network>n</ovirt-vm:network></ovirt-vm:portMirroring></ovirt-vm:device>`;
    await rejectsWith(nic(NIC2, mirror), 44, /portMirroring/);
    await rejectsWith(
      harness.run('VM.hotplugDisk', ID, hotplug(`<disk><source file='/a'/></disk>`)),
      11,
      /target/,
    );
    await rejectsWith(harness.run('VM.hotplugDisk', ID, hotplug(`${DISK2}<lease/>`)), 44, /lease/);
    assert.equal(harness.hypervisor.countCalls('devices.attach'), 0);
  });

  it('adds memory, and to what the guest is guaranteed', async () => {
    const harness = await deviceHarness();
    const { params } = hotplug(MEMORY);
    assert.deepEqual(
      await harness.run('VM.hotplugMemory', ID, { params: { ...params, memGuaranteedSize: 900 } }),
      {},
    );
    assert.ok(deviceOf(harness, 'ua-dimm'));
    assert.equal(vmOf(harness).domain?.metadata?.minGuaranteedMemoryMb, 900);
  });
});

describe('taking a device out', () => {
  it('answers when the guest has let go of it; metadata and record know it no more', async () => {
    const harness = await plugged();
    harness.hypervisor.devices.unplug = 'held';
    let answered = false;
    const unplug = harness.run(
      'VM.hotunplugNic',
      ID,
      hotplug(`<interface><alias name='ua-nic2'/></interface>`),
    );
    void unplug.then(() => (answered = true));
    await harness.clock.advance(20_000);
    assert.equal(answered, false);
    harness.hypervisor.devices.release(ID, 'ua-nic2');
    assert.deepEqual(await unplug, {});
    assert.doesNotMatch(metadataText(harness), /ua-nic2/);
    assert.match(metadataText(harness), /image-b/);
    assert.equal(vmOf(harness).domain?.xml, fakeDomain(harness).live);

    harness.hypervisor.devices.unplug = 'at-once';
    assert.deepEqual(await harness.run('VM.hotunplugDisk', ID, hotplug(DISK2)), {});
    assert.doesNotMatch(metadataText(harness), /image-b/);
    assert.equal(harness.clock.pendingTimers, 1, 'no timer but the compare');
  });

  it('gives up after 30 s with a word about guests without a kernel, and may be asked again', async () => {
    const harness = await plugged();
    harness.hypervisor.devices.unplug = 'held';
    const refusal = rejectsWith(
      harness.run('VM.hotunplugDisk', ID, hotplug(DISK2)),
      46,
      /vm-1 .* keeps the disk ua-disk2: .* within 30 s.*without a running kernel/,
    );
    await harness.clock.advance(30_000);
    await refusal;
    assert.match(metadataText(harness), /image-b/);
    harness.hypervisor.devices.unplug = 'at-once';
    assert.deepEqual(await harness.run('VM.hotunplugDisk', ID, hotplug(DISK2)), {});
    assert.equal(deviceOf(harness, 'ua-disk2'), undefined);
  });

  it('takes the metadata away when a guest lets go after the answer', async () => {
    const harness = await plugged();
    const listeners = harness.hypervisor.listenerCount;
    harness.hypervisor.devices.unplug = 'held';
    const refusal = rejectsWith(harness.run('VM.hotunplugDisk', ID, hotplug(DISK2)), 46);
    await harness.clock.advance(30_000);
    await refusal;
    assert.equal(harness.hypervisor.listenerCount, listeners + 1);
    harness.hypervisor.devices.release(ID, 'ua-disk2');
    await harness.rest();
    assert.doesNotMatch(metadataText(harness), /image-b/);
    assert.equal(harness.hypervisor.listenerCount, listeners);
  });

  it('ends at once where the guest refuses, and where the VM ends', async () => {
    const harness = await plugged();
    harness.hypervisor.devices.unplug = 'held';
    const refused = rejectsWith(harness.run('VM.hotunplugNic', ID, hotplug(NIC2)), 50, /guest refuses/);
    await harness.rest();
    harness.hypervisor.devices.refuse(ID, 'ua-nic2');
    await refused;
    const ended = rejectsWith(harness.run('VM.hotunplugNic', ID, hotplug(NIC2)), 6);
    await harness.rest();
    harness.hypervisor.act(ID, 'destroy');
    await ended;
    assert.equal(harness.clock.pendingTimers, 1);
  });

  it('believes the XML where the event was lost', async () => {
    const harness = await plugged();
    harness.hypervisor.events = 'lost';
    const unplug = harness.run('VM.hotunplugDisk', ID, hotplug(DISK2));
    await harness.clock.advance(30_000);
    assert.deepEqual(await unplug, {});
  });

  it('is done at once where the device goes between the look and the call', async () => {
    const harness = await plugged();
    const resume = harness.hypervisor.hold('devices.detach');
    harness.hypervisor.failNext('devices.detach', new HypervisorError('no-device', 'device not found'));
    const unplug = harness.run('VM.hotunplugDisk', ID, hotplug(DISK2));
    await harness.rest();
    harness.hypervisor.devices.release(ID, 'ua-disk2');
    resume();
    assert.deepEqual(await unplug, {});
    assert.doesNotMatch(metadataText(harness), /image-b/);
  });

  it('goes on waiting for the metadata where libvirt went away meanwhile', async () => {
    const harness = await plugged();
    const listeners = harness.hypervisor.listenerCount;
    harness.hypervisor.devices.unplug = 'held';
    const lost = rejectsWith(harness.run('VM.hotunplugDisk', ID, hotplug(DISK2)), 40, /not connected/);
    await harness.rest();
    harness.hypervisor.disconnect();
    await harness.clock.advance(30_000);
    await lost;
    harness.hypervisor.connect();
    harness.hypervisor.devices.release(ID, 'ua-disk2');
    await harness.rest();
    assert.doesNotMatch(metadataText(harness), /image-b/);
    assert.equal(harness.hypervisor.listenerCount, listeners);
  });

  it('is an error where there is no such device', async () => {
    const harness = await deviceHarness();
    await rejectsWith(
      harness.run('VM.hotunplugNic', ID, hotplug(NIC2)),
      50,
      /no interface like .*; it has: ua-nic/,
    );
    await rejectsWith(harness.run('VM.hotunplugDisk', ID, hotplug(DISK2)), 46);
    await rejectsWith(harness.run('VM.hotunplugMemory', ID, hotplug(MEMORY)), 85);
  });

  it('says what the hypervisor had against it, and waits for nothing', async () => {
    const harness = await plugged();
    const listeners = harness.hypervisor.listenerCount;
    harness.hypervisor.failNext('devices.detach', new HypervisorError('failed', 'no hot-plug on this bus'));
    await rejectsWith(harness.run('VM.hotunplugDisk', ID, hotplug(DISK2)), 46, /no hot-plug on this bus/);
    assert.equal(harness.hypervisor.listenerCount, listeners);
    assert.match(metadataText(harness), /image-b/);
  });

  it('asks for memory and does not wait', async () => {
    const harness = await deviceHarness();
    await harness.run('VM.hotplugMemory', ID, hotplug(MEMORY, '<ovirt-vm:device alias="ua-dimm"/>'));
    harness.hypervisor.devices.unplug = 'held';
    const { params } = hotplug(MEMORY);
    const order = { params: { ...params, memGuaranteedSize: 100 } };
    assert.equal(await harness.run('VM.hotunplugMemory', ID, order), true);
    assert.ok(deviceOf(harness, 'ua-dimm'));
    assert.equal(vmOf(harness).domain?.metadata?.minGuaranteedMemoryMb, 100);
    harness.hypervisor.devices.release(ID, 'ua-dimm');
    await harness.rest();
    assert.doesNotMatch(metadataText(harness), /ua-dimm/);
  });
});
