import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { engineTime } from '../../../src/util/time.js';
import { Fixture, idA, idB, unknownId } from './fixture.js';

const verbsOfOneVm = ['VM.getStats', 'VM.getInfo', 'VM.pause', 'VM.cont', 'VM.destroy'];

describe('VM verbs', () => {
  for (const verb of verbsOfOneVm) {
    it(`${verb} of an unknown VM is 1, with VDSM's text`, async () => {
      assert.deepEqual(await new Fixture().error(verb, { vmID: unknownId }), {
        code: 1,
        message: `Virtual machine does not exist: {'vmId': '${unknownId}'}`,
      });
    });

    it(`${verb} of what is no UUID is 1 too`, async () => {
      const error = await new Fixture().error(verb, { vmID: "it's" });
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

  it('pause and cont answer an empty list, destroy true', async () => {
    const fixture = new Fixture();
    assert.deepEqual((await fixture.call('VM.pause', { vmID: idA })).result, { vmList: {} });
    assert.deepEqual((await fixture.call('VM.cont', { vmID: idA })).result, { vmList: {} });
    assert.equal((await fixture.call('VM.destroy', { vmID: idA, gracefulAttempts: '3' })).result, true);
    assert.deepEqual(fixture.calls, [
      ['pause', idA],
      ['cont', idA],
      ['destroy', idA, 3],
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
    assert.deepEqual(fixture.calls, [['create', '<domain/>']]);
  });
});
