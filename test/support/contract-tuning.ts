/** The contract of CPU bandwidth and disk limits. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { rejectsWith } from './contract-bench.js';
import { unknownId } from './contract-subject.js';
import type { Bench } from './contract-bench.js';

export function tuningContract(started: () => Promise<Bench>): void {
  it('limits the CPU bandwidth of the domain, and tells of it', async () => {
    const bench = await started();
    const { hypervisor } = bench;
    const id = await bench.run(1);
    await hypervisor.tuning.setScheduler(id, { vcpuQuota: 5000, vcpuPeriod: 10_000 });
    await bench.next(id, 'tunable', 0);
    assert.deepEqual(await hypervisor.scheduler(id), { vcpuQuota: 5000, vcpuPeriod: 10_000 });
    await hypervisor.tuning.setScheduler(id, { vcpuQuota: -1 });
    assert.deepEqual(await hypervisor.scheduler(id), { vcpuQuota: -1, vcpuPeriod: 10_000 });
    await rejectsWith('failed', hypervisor.tuning.setScheduler(id, { vcpuPeriod: 1 }), 'a period of 1 µs');
    await hypervisor.destroy(id, { graceful: false });
    await rejectsWith('invalid-state', hypervisor.tuning.setScheduler(id, { vcpuQuota: 5000 }));
    await rejectsWith('no-domain', hypervisor.tuning.setScheduler(unknownId, { vcpuQuota: 5000 }));
  });

  it('limits a disk: the kind of limits that is named as a whole, and no other', async () => {
    const bench = await started();
    const { tuning } = bench.hypervisor;
    const id = await bench.run(1, true);
    const limits = await tuning.diskLimits(id, 'vda');
    assert.equal(limits['total_bytes_sec'], 0);
    assert.equal(limits['read_iops_sec'], 0);
    assert.ok(Object.values(limits).every((limit) => limit === 0));
    await tuning.setDiskLimits(id, 'vda', { total_bytes_sec: 1_000_000, total_iops_sec: 500 });
    const { values } = await bench.next(id, 'tunable', 0);
    assert.equal(values['blkdeviotune.disk'], 'vda');
    assert.equal(values['blkdeviotune.total_iops_sec'], 500);
    await tuning.setDiskLimits(id, 'vda', { read_iops_sec: 100 });
    assert.deepEqual(await tuning.diskLimits(id, 'vda'), {
      ...limits,
      total_bytes_sec: 1_000_000,
      read_iops_sec: 100,
    });
    const { disks } = await bench.hypervisor.describe(id);
    assert.deepEqual(disks[0]?.ioTune, { total_bytes_sec: 1_000_000, read_iops_sec: 100 });
  });

  it('refuses limits that contradict each other, that it does not know, and of disks that are not there', async () => {
    const bench = await started();
    const { tuning } = bench.hypervisor;
    const id = await bench.run(1, true);
    const both = { total_iops_sec: 100, read_iops_sec: 3 };
    await rejectsWith('failed', tuning.setDiskLimits(id, 'vda', both), 'total and read');
    await rejectsWith('unsupported', tuning.setDiskLimits(id, 'vda', { nonsense: 1 }));
    await rejectsWith('failed', tuning.setDiskLimits(id, 'vdz', { total_iops_sec: 1 }));
    await rejectsWith('failed', tuning.diskLimits(id, 'vdz'));
    await rejectsWith('no-domain', tuning.diskLimits(unknownId, 'vda'));
    await bench.hypervisor.destroy(id, { graceful: false });
    await rejectsWith('invalid-state', tuning.diskLimits(id, 'vda'));
    await rejectsWith('invalid-state', tuning.setDiskLimits(id, 'vda', { total_iops_sec: 1 }));
  });
}
