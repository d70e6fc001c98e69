import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { VerbInput } from '../../../../src/protocol/verbs.js';
import type { DeviceVerb } from '../../../../src/vms/verbs/devices.js';
import type { TuningVerb } from '../../../../src/vms/verbs/tuning.js';
import { fakeId } from '../../../support/fake-domain.js';
import { deviceHarness, ID, NIC, rejectsWith } from './device-fixture.js';

type Verb = DeviceVerb | TuningVerb;

const document = (device: string): { params: { xml: string } } => ({
  params: { xml: `<hotplug><devices>${device}</devices></hotplug>` },
});
const DISK = `<disk><target dev='vda'/></disk>`;
const MEMORY = `<memory><alias name='ua-m'/></memory>`;
const inputs: { readonly [V in Verb]: Partial<VerbInput<V>> } = {
  'VM.setTicket': { password: 'x', ttl: 1, existingConnAction: 'keep' },
  'VM.updateDevice': { params: { deviceType: 'interface', alias: 'ua-nic', linkActive: false } },
  'VM.changeCD': { driveSpec: '' },
  'VM.changeFloppy': { driveSpec: '' },
  'VM.hotplugNic': document(NIC),
  'VM.hotunplugNic': document(NIC),
  'VM.hotplugDisk': document(DISK),
  'VM.hotunplugDisk': document(DISK),
  'VM.hotplugMemory': document(MEMORY),
  'VM.hotunplugMemory': document(MEMORY),
  'VM.setNumberOfCpus': { numberOfCpus: 2 },
  'VM.setBalloonTarget': { target: 1024 },
  'VM.setCpuTuneQuota': { quota: 1000 },
  'VM.setCpuTunePeriod': { period: 1000 },
  'VM.setIoTune': { tunables: [] },
  'VM.getIoTune': {},
  'VM.getIoTunePolicy': {},
  'VM.updateVmPolicy': { params: { vcpuLimit: 1 } },
};
const verbs = Object.keys(inputs) as Verb[];
const readers: ReadonlySet<Verb> = new Set(['VM.getIoTune', 'VM.getIoTunePolicy']);
/** VDSM guards these. */
const notWhileMigrating: ReadonlySet<Verb> = new Set([
  ...(['VM.changeCD', 'VM.changeFloppy', 'VM.setNumberOfCpus', 'VM.updateVmPolicy'] as const),
  ...verbs.filter((verb) => verb.startsWith('VM.hot')),
]);

describe('every verb on devices and limits', () => {
  it('knows no VM that there is not', async () => {
    const harness = await deviceHarness();
    for (const verb of verbs)
      await rejectsWith(harness.run(verb, fakeId(9), inputs[verb]), 1, /does not exist/);
  });

  it('does nothing to a VM that is Down', async () => {
    const harness = await deviceHarness();
    harness.hypervisor.act(ID, 'powerOff');
    await harness.rest();
    const calls = harness.hypervisor.calls.length;
    for (const verb of verbs) await rejectsWith(harness.run(verb, ID, inputs[verb]), 6);
    assert.equal(harness.hypervisor.calls.length, calls);
  });

  it('is refused during a migration where VDSM refuses it, and only there', async () => {
    for (const verb of verbs) {
      const harness = await deviceHarness();
      harness.registry.move(ID, 'migration-begun');
      const run = harness.run(verb, ID, inputs[verb]);
      if (notWhileMigrating.has(verb)) await rejectsWith(run, 51);
      else await run;
    }
  });

  it('waits for nobody: a VM that is busy is said to be, and only looks go on', async () => {
    const harness = await deviceHarness();
    harness.registry.locks.take(ID, 'vm-1', 'VM.merge');
    for (const verb of verbs) {
      if (readers.has(verb)) await harness.run(verb, ID, inputs[verb]);
      else await rejectsWith(harness.run(verb, ID, inputs[verb]), 40, /busy: running VM\.merge/);
    }
  });

  it('says so where libvirt is away, and gives the VM free again after a failure', async () => {
    const harness = await deviceHarness();
    harness.hypervisor.disconnect();
    for (const verb of verbs)
      await rejectsWith(harness.run(verb, ID, inputs[verb]), 40, /libvirt is not connected/);
    assert.equal(harness.registry.locks.running(ID), undefined);
  });
});
