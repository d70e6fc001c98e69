import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../../src/domain/hypervisor.js';
import { deviceHarness, ID, rejectsWith, vmOf } from './device-fixture.js';

describe('VM.setNumberOfCpus', () => {
  it('changes the number, which engines send as text', async () => {
    const harness = await deviceHarness();
    assert.deepEqual(
      await harness.run('VM.setNumberOfCpus', ID, { numberOfCpus: '3' as unknown as number }),
      {},
    );
    assert.equal(vmOf(harness).domain?.vcpus, 3);
    assert.equal(harness.hypervisor.countCalls('devices.pinVcpu'), 0);
  });

  it('pins each vCPU to its host CPUs, also where the number is as it was', async () => {
    const harness = await deviceHarness();
    await harness.run('VM.setNumberOfCpus', ID, { numberOfCpus: 2, cpusets: ['0-1', '3'] });
    await harness.run('VM.setNumberOfCpus', ID, { numberOfCpus: 2, cpusets: ['0', '1'] });
    assert.equal(harness.hypervisor.countCalls('devices.setVcpus'), 1);
    assert.deepEqual(
      harness.hypervisor.callsOf('devices.pinVcpu').map(({ args }) => args),
      [
        { vcpu: 0, cpus: [0, 1] },
        { vcpu: 1, cpus: [3] },
        { vcpu: 0, cpus: [0] },
        { vcpu: 1, cpus: [1] },
      ],
    );
  });

  it('is refused with the maximum, or with what is wrong with the cpusets', async () => {
    const harness = await deviceHarness();
    const run = (numberOfCpus: number, cpusets?: string[]): Promise<unknown> =>
      harness.run('VM.setNumberOfCpus', ID, { numberOfCpus, ...(cpusets && { cpusets }) });
    await rejectsWith(run(5), 60, /vm-1 .* can have 4 vCPUs at most, not 5/);
    await rejectsWith(run(2, ['0']), 91, /each of 2 vCPUs/);
    await rejectsWith(run(2, ['0', 'all']), 91, /'all'/);
    assert.equal(harness.hypervisor.countCalls('devices.setVcpus'), 0);
    harness.hypervisor.failNext(
      'devices.setVcpus',
      new HypervisorError('invalid-state', 'the guest keeps it'),
    );
    await rejectsWith(run(2), 60, /the guest keeps it/);
  });
});
