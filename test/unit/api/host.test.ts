import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { engineTime } from '../../../src/util/time.js';
import { Fixture, idA, idB, unknownId, vm } from './fixture.js';

async function result(fixture: Fixture, method: string, params?: unknown): Promise<unknown> {
  return (await fixture.call(method, params)).result;
}

describe('Host verbs', () => {
  it('ping and ping2 answer true, echo its message', async () => {
    const fixture = new Fixture();
    assert.equal(await result(fixture, 'Host.ping'), true);
    assert.equal(await result(fixture, 'Host.ping2'), true);
    assert.equal(await result(fixture, 'Host.echo', { message: 'hé' }), 'hé');
  });

  for (const verb of ['Host.getVMList', 'Host.getVMFullList']) {
    it(`${verb} lists all VMs with status and the engine's time as text`, async () => {
      const fixture = new Fixture();
      const statusTime = String(engineTime(fixture.clock.nowMs()));
      assert.deepEqual(await result(fixture, verb), [
        { vmId: idA, status: 'Up', statusTime },
        { vmId: idB, status: 'Paused', statusTime },
      ]);
    });

    it(`${verb} lists only the VMs asked for, and leaves unknown ones out`, async () => {
      const listed = await result(new Fixture(), verb, { vmList: [idB.toUpperCase(), unknownId, 'no uuid'] });
      assert.deepEqual(
        (listed as { vmId: string }[]).map(({ vmId }) => vmId),
        [idB],
      );
    });
  }

  it('dumpxmls answers an object by id, without VMs that are unknown or have no XML yet', async () => {
    const fixture = new Fixture();
    const { domain: _absent, ...young } = vm(idB);
    fixture.table.set(idB, young);
    assert.deepEqual(await result(fixture, 'Host.dumpxmls', { vmList: [idA, idB, unknownId] }), {
      [idA]: `<domain><uuid>${idA}</uuid></domain>`,
    });
    assert.deepEqual(await result(fixture, 'Host.dumpxmls'), {});
  });

  it('getAllVmStats answers the snapshot', async () => {
    assert.deepEqual(await result(new Fixture(), 'Host.getAllVmStats'), [{ vmId: 'x' }]);
  });

  it('getJobs answers no jobs; capabilities and statistics come from the host', async () => {
    const fixture = new Fixture();
    assert.deepEqual(await result(fixture, 'Host.getJobs', { job_type: null, job_ids: [] }), {});
    assert.deepEqual(await result(fixture, 'Host.getCapabilities'), { cpuCores: '8' });
    assert.deepEqual(await result(fixture, 'Host.getStats'), { cpuLoad: '0.10' });
  });
});
