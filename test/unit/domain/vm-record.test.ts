import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  configurationBlock,
  elapsedSec,
  guestBlock,
  runningBlock,
  statusBlock,
} from '../../../src/domain/vm-record.js';
import { domain, makeVm, vmId } from '../sampler/fixtures.js';

describe('the blocks of a VM record', () => {
  it('tell the status, and for a Down VM why', () => {
    assert.deepEqual(statusBlock(makeVm({ status: 'Powering up' })), { status: 'Powering up' });
    const exit = { code: 1, reason: 2, message: 'Lost connection with qemu process' } as const;
    assert.deepEqual(statusBlock(makeVm({ internal: 'Down', status: 'Down', exit, timeOffsetSec: 3600 })), {
      status: 'Down',
      vmId: vmId(0),
      exitCode: 1,
      exitMessage: 'Lost connection with qemu process',
      exitReason: 2,
      timeOffset: '3600',
    });
  });

  it('never take a Down VM without a known cause for a clean stop', () => {
    const block = statusBlock(makeVm({ internal: 'Down', status: 'Down' }));
    assert.ok('exitCode' in block && block.exitCode === 1);
  });

  it('have texts where the engine casts to text, and integers where it wants those', () => {
    const vm = makeVm({
      vcpuQuota: 50_000,
      vcpuPeriod: 100_000,
      timeOffsetSec: -7,
      pauseCode: 'ENOSPC',
      monitorResponsive: false,
      clientIp: '192.0.2.7',
      watchdogEvent: { timeSec: 1_700_000_000, action: 'reset' },
      domain: {
        ...domain,
        metadata: { vcpuLimit: 50 },
        disks: [{ ...domain.disks[0]!, ioTune: { read_iops_sec: 100 } }, domain.disks[1]!],
      },
    });
    assert.deepEqual(runningBlock(vm, 61_999), {
      elapsedTime: '61',
      monitorResponse: '-1',
      clientIp: '192.0.2.7',
      timeOffset: '-7',
      displayInfo: [{ type: 'vnc', port: '5900', tlsPort: '', ipAddress: '192.168.122.10' }],
      vmJobs: {},
      pauseCode: 'ENOSPC',
      hash: '3156824018811082017',
      watchdogEvent: { time: 1_700_000_000, action: 'reset' },
      vcpuQuota: '50000',
      vcpuPeriod: 100_000,
      vcpuUserLimit: 50,
      ioTune: [{ name: 'sda', path: '/images/0', ioTune: { read_iops_sec: '100' } }],
    });
  });

  it('tell the clock offset that the VM was started with until the guest sets another', () => {
    const { timeOffsetSec: _, ...unset } = makeVm({ domain: { ...domain, clockAdjustmentSec: 7200 } });
    assert.equal(runningBlock(unset, 0).timeOffset, '7200');
    const down = statusBlock({ ...unset, internal: 'Down', status: 'Down' });
    assert.ok('timeOffset' in down && down.timeOffset === '7200');
    assert.equal(runningBlock({ ...unset, timeOffsetSec: 0 }, 0).timeOffset, '0');
    for (const absurd of [1e21, NaN, -Infinity]) {
      assert.equal(runningBlock({ ...unset, timeOffsetSec: absurd }, 0).timeOffset, '0');
    }
  });

  it('list commits under way, and say nothing of those that nobody follows yet', () => {
    const job = { id: 'job-1', drive: 'vda', bandwidthMiB: 7, cur: 2 ** 40, end: 2 ** 41 };
    const entry = {
      id: 'job-1',
      jobType: 'block',
      blockJobType: 'commit',
      drive: 'vda',
      imgUUID: '00000000-0000-0000-0000-000000000000',
      bandwidth: 7,
      cur: '1099511627776',
      end: '2199023255552',
    };
    assert.deepEqual(runningBlock(makeVm({ blockJobs: [job] }), 0).vmJobs, { 'job-1': entry });
    const imageId = 'e6b9cf3f-5b0e-4bd6-9c5d-2a8b0e8f6f51';
    const withImage = runningBlock(makeVm({ blockJobs: [{ ...job, imageId }] }), 0).vmJobs;
    assert.equal(withImage?.['job-1']?.imgUUID, imageId);
    const known = { ...domain, metadata: { blockJobs: '{"job-1":{}}' } };
    assert.equal('vmJobs' in runningBlock(makeVm({ domain: known }), 0), false);
    assert.deepEqual(runningBlock(makeVm({ domain: known, blockJobs: [] }), 0).vmJobs, {});
  });

  it('leave out what has no value', () => {
    const block = runningBlock(makeVm({ vcpuQuota: 0, vcpuPeriod: 0 }), 0);
    for (const key of ['pauseCode', 'watchdogEvent', 'vcpuQuota', 'vcpuPeriod', 'vcpuUserLimit', 'ioTune'])
      assert.equal(key in block, false, key);
  });

  it('have no hash before the domain runs', () => {
    const waiting = makeVm({ internal: 'WaitForLaunch', status: 'WaitForLaunch' });
    assert.equal('hash' in runningBlock(waiting, 0), false);
    const { domain: _, ...unread } = makeVm();
    assert.equal('hash' in runningBlock(unread, 0), false);
    assert.deepEqual(runningBlock(unread, 0).displayInfo, []);
  });

  it('count elapsed time from the start of the guest and never below zero', () => {
    assert.equal(elapsedSec(makeVm({ startedAtMs: 1000 }), 3999), 2);
    assert.equal(elapsedSec(makeVm({ startedAtMs: 5000 }), 1000), 0);
    const { startedAtMs: _, ...notStarted } = makeVm();
    assert.equal(elapsedSec(notStarted, 1000), 0);
  });

  it('describe configuration and guest', () => {
    assert.deepEqual(configurationBlock(makeVm({ domain: { ...domain, type: 'qemu', acpi: false } })), {
      vmId: vmId(0),
      vmName: 'vm-0000.example.com',
      vmType: 'qemu',
      kvmEnable: 'true',
      acpiEnable: 'false',
    });
    assert.equal(guestBlock(makeVm()).guestCPUCount, -1);
  });
});
