import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { engineTime } from '../../../src/util/time.js';
import { verbNames, verbSpecs, type VerbName } from '../../../src/protocol/verbs.js';
import { Fixture, idA, idB, operationVerbs, unknownId } from './fixture.js';

const verbsOfOneVm = verbNames.filter((verb) => verb.startsWith('VM.') && verb !== 'VM.create');

function exampleOf(verb: VerbName): Readonly<Record<string, unknown>> {
  return verbSpecs[verb].example?.params ?? { params: {} };
}

describe('VM verbs', () => {
  for (const verb of verbsOfOneVm) {
    it(`${verb} of an unknown VM is 1, with VDSM's text`, async () => {
      assert.deepEqual(await new Fixture().error(verb, { ...exampleOf(verb), vmID: unknownId }), {
        code: 1,
        message: `Virtual machine does not exist: {'vmId': '${unknownId}'}`,
      });
    });

    it(`${verb} of what is no UUID is 1 too`, async () => {
      const error = await new Fixture().error(verb, { ...exampleOf(verb), vmID: "it's" });
      assert.deepEqual(error, { code: 1, message: "Virtual machine does not exist: {'vmId': 'it\\'s'}" });
    });
  }

  it('getStats answers an array of the one record', async () => {
    const fixture = new Fixture();
    fixture.records.set(idA, Buffer.from('{"vmId":"a"}'));
    assert.deepEqual((await fixture.call('VM.getStats', { vmID: idA })).result, [{ vmId: 'a' }]);
  });

  it('getInfo answers one object', async () => {
    const fixture = new Fixture();
    assert.deepEqual((await fixture.call('VM.getInfo', [idB])).result, {
      vmId: idB,
      status: 'Paused',
      statusTime: String(engineTime(fixture.clock.nowMs())),
    });
  });

  for (const verb of operationVerbs) {
    it(`${verb} hands its VM and validated parameters on, and answers what comes back`, async () => {
      const fixture = new Fixture();
      const { vmID: _vmID, ...others } = exampleOf(verb);
      const { example } = verbSpecs[verb];
      const { result } = await fixture.call(verb, { ...others, vmID: idA, unheardOf: 1 });
      assert.deepEqual(result, example?.result ?? true);
      const [call] = fixture.calls;
      assert.deepEqual(call?.slice(0, 2), [verb, idA]);
      const input = call[2] as Record<string, unknown>;
      for (const name of Object.keys(verbSpecs[verb].params.properties ?? {})) {
        if (name in others) assert.deepEqual(input[name], others[name], name);
      }
      assert.equal('unheardOf' in input, false);
    });
  }

  it('fills in what a caller leaves out', async () => {
    const fixture = new Fixture();
    await fixture.call('VM.shutdown', { vmID: idA, timeout: '5', message: null });
    assert.deepEqual(fixture.calls, [
      ['VM.shutdown', idA, { delay: 30, message: '', reboot: false, timeout: 5, force: false }],
    ]);
  });

  it('create takes the XML and answers what was accepted', async () => {
    const fixture = new Fixture();
    const params = { vmID: idA, vmParams: { vmId: idA, xml: '<domain/>' } };
    assert.deepEqual((await fixture.call('VM.create', params)).result, {
      vmId: idB,
      status: 'WaitForLaunch',
      statusTime: '5',
      xml: '<domain/>',
    });
    assert.deepEqual(fixture.calls, [['VM.create', '<domain/>']]);
  });
});
