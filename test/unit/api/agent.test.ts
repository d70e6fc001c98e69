import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { engineTime } from '../../../src/util/time.js';
import { Fixture, healthy, idA, idB, vm } from './fixture.js';

describe('Agent verbs', () => {
  it('getHealth answers what the agent knows of itself', async () => {
    assert.deepEqual((await new Fixture().call('Agent.getHealth')).result, healthy);
  });

  it('subscribe without a position answers the status of all VMs', async () => {
    const fixture = new Fixture();
    fixture.table.set(
      idA,
      vm(idA, { internal: 'Down', status: 'Down', exit: { code: 1, reason: 2, message: 'gone' } }),
    );
    const statusTime = String(engineTime(fixture.clock.nowMs()));
    assert.deepEqual((await fixture.call('Agent.subscribe')).result, {
      epoch: 'e1',
      seq: 7,
      vms: [
        {
          status: 'Down',
          vmId: idA,
          exitCode: 1,
          exitMessage: 'gone',
          exitReason: 2,
          timeOffset: '0',
          statusTime,
        },
        { status: 'Paused', vmId: idB, statusTime, pauseCode: 'EIO' },
      ],
    });
    assert.deepEqual(fixture.peer.resumes, [undefined]);
  });

  it('subscribe with a position answers what was missed, where the peer knows it', async () => {
    const fixture = new Fixture();
    const missed = [{ seq: 7, method: `|virt|VM_status|${idA}`, params: { notify_time: 5 } }];
    fixture.peer.subscription = { epoch: 'e1', seq: 7, missed };
    const resume = { epoch: 'e1', seq: 6 };
    assert.deepEqual((await fixture.call('Agent.subscribe', { resume })).result, {
      epoch: 'e1',
      seq: 7,
      missed,
    });
    assert.deepEqual(fixture.peer.resumes, [resume]);
  });

  it('subscribe with nothing missed answers an empty list, not a snapshot', async () => {
    const fixture = new Fixture();
    fixture.peer.subscription = { epoch: 'e1', seq: 7, missed: [] };
    const { result } = await fixture.call('Agent.subscribe', { resume: { epoch: 'e1', seq: 7 } });
    assert.deepEqual(result, { epoch: 'e1', seq: 7, missed: [] });
  });

  it('subscribe refuses a position without a number', async () => {
    const error = await new Fixture().error('Agent.subscribe', { resume: { epoch: 'e1' } });
    assert.equal(
      error.message,
      'Invalid method parameter(s): Agent.subscribe: the parameter resume.seq is missing',
    );
  });

  it('unsubscribe answers true, subscribed or not', async () => {
    const fixture = new Fixture();
    await fixture.call('Agent.subscribe');
    assert.equal((await fixture.call('Agent.unsubscribe')).result, true);
    assert.equal(fixture.peer.subscribed, false);
    assert.equal((await fixture.call('Agent.unsubscribe')).result, true);
  });
});
