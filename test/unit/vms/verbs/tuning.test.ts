import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { steadyBlock } from '../../../../src/domain/vm-record.js';
import { HypervisorError } from '../../../../src/domain/hypervisor.js';
import { fakeId } from '../../../support/fake-domain.js';
import { Harness, withVm } from '../harness.js';
import { CD, deviceHarness, fakeDomain, ID, metadataText, rejectsWith, vmOf } from './device-fixture.js';

const DONE = { code: 0, message: 'Done' };
const NO_LIMITS = {
  total_bytes_sec: 0,
  read_bytes_sec: 0,
  write_bytes_sec: 0,
  total_iops_sec: 0,
  read_iops_sec: 0,
  write_iops_sec: 0,
};

describe('VM.setBalloonTarget', () => {
  it('sets the memory, and keeps the target in the record and for the next agent', async () => {
    const harness = await deviceHarness();
    assert.deepEqual(await harness.run('VM.setBalloonTarget', ID, { target: 524_288 }), DONE);
    assert.deepEqual(harness.hypervisor.callsOf('devices.setMemory')[0]?.args, { memoryKiB: 524_288 });
    assert.equal(vmOf(harness).balloonTargetKiB, 524_288);
    assert.match(metadataText(harness), /<ovirt-vm:balloonTarget type="int">524288</);
    const writes = harness.hypervisor.countCalls('metadata.set');
    await harness.run('VM.setBalloonTarget', ID, { target: 524_288 });
    await harness.rest();
    assert.equal(harness.hypervisor.countCalls('devices.setMemory'), 2);
    assert.equal(harness.hypervisor.countCalls('metadata.set'), writes, 'the same is not written twice');
  });

  it('is done without effect where there is no balloon, or ballooning is disabled', async () => {
    const disabled = '<ovirt-vm:ballooningEnabled type="bool">false</ovirt-vm:ballooningEnabled>';
    for (const harness of [
      await withVm(),
      await withVm({ devices: `<memballoon model='none'/>` }),
      await withVm({ balloon: true, metadata: disabled }),
    ]) {
      assert.deepEqual(await harness.run('VM.setBalloonTarget', ID, { target: 1024 }), DONE);
      assert.equal(harness.hypervisor.countCalls('devices.setMemory'), 0);
      assert.equal(vmOf(harness).balloonTargetKiB, undefined);
    }
  });

  it('is refused beyond the maximum, and has happened where it could not be noted', async () => {
    const harness = await deviceHarness();
    await rejectsWith(harness.run('VM.setBalloonTarget', ID, { target: 2 ** 40 }), 53, /max memory/);
    assert.equal(vmOf(harness).balloonTargetKiB, undefined);
    harness.hypervisor.failNext('metadata.set');
    assert.deepEqual(await harness.run('VM.setBalloonTarget', ID, { target: 2048 }), DONE);
    assert.equal(vmOf(harness).balloonTargetKiB, 2048);
  });
});

describe('VM.setCpuTuneQuota and VM.setCpuTunePeriod', () => {
  it('set one value each, and the record follows', async () => {
    const harness = await deviceHarness();
    assert.deepEqual(await harness.run('VM.setCpuTuneQuota', ID, { quota: 50_000 }), DONE);
    assert.deepEqual(await harness.run('VM.setCpuTunePeriod', ID, { period: 200_000 }), DONE);
    const { vcpuQuota, vcpuPeriod } = steadyBlock(vmOf(harness));
    assert.deepEqual({ vcpuQuota, vcpuPeriod }, { vcpuQuota: '50000', vcpuPeriod: 200_000 });
    assert.equal(fakeDomain(harness).vcpuQuota, 50_000);
  });

  it('say what the hypervisor had against it', async () => {
    const harness = await deviceHarness();
    await rejectsWith(harness.run('VM.setCpuTunePeriod', ID, { period: 1 }), 62, /period 1/);
    harness.hypervisor.failNext('tuning.setScheduler', new HypervisorError('invalid-state', 'no cgroup'));
    await rejectsWith(harness.run('VM.setCpuTuneQuota', ID, { quota: 1 }), 62, /no cgroup/);
  });
});

describe('limits of disks', () => {
  it('are laid over those in force, and shown by verb and record', async () => {
    const harness = await deviceHarness();
    const set = (ioTune: Record<string, number>): Promise<unknown> =>
      harness.run('VM.setIoTune', ID, { tunables: [{ name: 'vda', ioTune }] });
    assert.deepEqual(await set({ total_iops_sec: 500 }), DONE);
    assert.deepEqual(await set({ read_bytes_sec: 1000, read_bytes_sec_max: 2000 }), DONE);
    const ioTune = { ...NO_LIMITS, total_iops_sec: 500, read_bytes_sec: 1000, read_bytes_sec_max: 2000 };
    assert.deepEqual(await harness.run('VM.getIoTune', ID), [{ name: 'vda', path: '/images/vda', ioTune }]);
    assert.deepEqual(steadyBlock(vmOf(harness)).ioTune, [
      {
        name: 'vda',
        path: '/images/vda',
        ioTune: { read_bytes_sec: '1000', total_iops_sec: '500', read_bytes_sec_max: '2000' },
      },
    ]);
    await set({ total_iops_sec: 0, read_bytes_sec: 0, read_bytes_sec_max: 0 });
    assert.deepEqual((await harness.run('VM.getIoTune', ID))[0]?.ioTune, NO_LIMITS);
  });

  it('are those of the disk at a path, too, and CD drives have none', async () => {
    const harness = await deviceHarness(CD);
    await harness.run('VM.setIoTune', ID, {
      tunables: [{ path: '/images/vda', ioTune: { read_iops_sec: 7 } }],
    });
    const found = await harness.run('VM.getIoTune', ID);
    assert.deepEqual(
      found.map(({ name, ioTune }) => [name, ioTune.read_iops_sec]),
      [['vda', 7]],
    );
  });

  it('are not set on any disk where those of one cannot be', async () => {
    const harness = await deviceHarness();
    const set = (...tunables: { name?: string; ioTune: Record<string, number> }[]): Promise<unknown> =>
      harness.run('VM.setIoTune', ID, { tunables });
    const good = { name: 'vda', ioTune: { read_bytes_sec: 5 } };
    await rejectsWith(set(good, { name: 'vdz', ioTune: {} }), 64, /no drive with name 'vdz'; it has: vda/);
    await rejectsWith(
      set({ name: 'vda', ioTune: { total_bytes_sec: 1, write_bytes_sec: 2 } }),
      64,
      /vm-1 .*disk vda: total_bytes_sec excludes write_bytes_sec/,
    );
    await rejectsWith(
      set(good, { name: 'vda', ioTune: { total_bytes_sec: 1 } }),
      64,
      /excludes read_bytes_sec, which is 5/,
    );
    await rejectsWith(set({ name: 'vda', ioTune: { total_bytes: 1 } }), 64, /total_bytes is no limit/);
    assert.equal(harness.hypervisor.countCalls('tuning.setDiskLimits'), 0);
    harness.hypervisor.failNext(
      'tuning.setDiskLimits',
      new HypervisorError('unsupported', 'not on this disk'),
    );
    await rejectsWith(set(good), 64, /not on this disk/);
  });

  it('are read without a lock, and a failure says so', async () => {
    const harness = await deviceHarness();
    const release = harness.registry.locks.take(ID, 'vm-1', 'VM.snapshot');
    assert.equal((await harness.run('VM.getIoTune', ID)).length, 1);
    release();
    harness.hypervisor.failNext('tuning.diskLimits', new HypervisorError('timeout', 'no answer'));
    await rejectsWith(harness.run('VM.getIoTune', ID), 40, /hang/);
  });
});

describe('VM.updateVmPolicy', () => {
  it('is kept in the metadata, and the record shows the limit of the vCPUs', async () => {
    const harness = await deviceHarness();
    const vcpuLimit = 50;
    assert.deepEqual(await harness.run('VM.updateVmPolicy', ID, { params: { vmId: ID, vcpuLimit } }), DONE);
    assert.equal(steadyBlock(vmOf(harness)).vcpuUserLimit, 50);
    assert.match(metadataText(harness), /<ovirt-tune:qos><ovirt-tune:vcpuLimit>50</);
    assert.equal(harness.hypervisor.countCalls('tuning.setScheduler'), 0, 'nothing is enforced');
  });

  it("has limits of disks, however they are named, which take the old ones' place", async () => {
    const harness = await deviceHarness(
      '',
      '<ovirt-vm:device devtype="disk" name="vda"><ovirt-vm:imageID>image-a</ovirt-vm:imageID></ovirt-vm:device>',
    );
    const set = (disk: Record<string, unknown>): Promise<unknown> =>
      harness.run('VM.updateVmPolicy', ID, { params: { ioTune: [disk] } });
    await set({ name: 'vda', maximum: { total_iops_sec: 5 } });
    await set({
      ...{ domainID: 'd', poolID: 'p', imageID: 'image-a', volumeID: 'v' },
      maximum: { total_iops_sec: '9', total_bytes_sec: null },
      guaranteed: { total_iops_sec: 1 },
    });
    await set({ name: 'vdz', path: '/later', maximum: {} });
    const policy = [
      { name: 'vda', path: '/images/vda', guaranteed: { total_iops_sec: 1 }, maximum: { total_iops_sec: 9 } },
      { name: 'vdz', path: '/later', guaranteed: {}, maximum: {} },
    ];
    assert.deepEqual(await harness.run('VM.getIoTunePolicy', ID), policy);
    assert.deepEqual((await harness.operations.ioTunePolicies())[ID]?.policy, policy);
  });

  it('is refused where it says nothing, too much, or of a VM that is not ours', async () => {
    const harness = await deviceHarness();
    const set = (params: Record<string, unknown>): Promise<unknown> =>
      harness.run('VM.updateVmPolicy', ID, { params });
    await rejectsWith(set({ vmId: ID }), 11);
    await rejectsWith(set({ ioTune: [{ name: 'vdz', maximum: {} }] }), 63, /no drive with name 'vdz'/);
    await rejectsWith(set({ ioTune: [{ name: 'vda', maximum: 'all' }] }), 91, /maximum/);
    await rejectsWith(
      set({ ioTune: [{ name: 'vda', maximum: { total_iops_sec: 1, read_iops_sec: 1 } }] }),
      91,
      /excludes/,
    );
    harness.hypervisor.failNext('metadata.set');
    await rejectsWith(set({ vcpuLimit: 1 }), 63);
    const external = await withVm({ managed: false });
    await rejectsWith(
      external.run('VM.updateVmPolicy', ID, { params: { vcpuLimit: 1 } }),
      63,
      /not created here/,
    );
    assert.deepEqual(await external.run('VM.getIoTunePolicy', ID), []);
  });
});

describe('Host.getAllVmIoTunePolicies', () => {
  it('tells of every VM that runs without a call to any, so that a frozen one delays nobody', async () => {
    const harness = new Harness();
    for (const n of [1, 2, 3]) harness.hypervisor.addDomain(n);
    await harness.start();
    await harness.run('VM.setIoTune', ID, { tunables: [{ name: 'vda', ioTune: { write_iops_sec: 3 } }] });
    harness.hypervisor.act(fakeId(3), 'destroy');
    await harness.rest();
    const calls = harness.hypervisor.calls.length;
    const ofDisk = (write_iops_sec: number) => ({
      policy: [],
      current_values: [{ name: 'vda', path: '/images/vda', ioTune: { ...NO_LIMITS, write_iops_sec } }],
    });
    assert.deepEqual(await harness.operations.ioTunePolicies(), { [ID]: ofDisk(3), [fakeId(2)]: ofDisk(0) });
    assert.equal(harness.hypervisor.calls.length, calls);
  });
});
