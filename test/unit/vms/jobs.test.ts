import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VerbError } from '../../../src/domain/errors.js';
import type { AgentEvent } from '../../../src/domain/vm.js';
import { silentLogger } from '../../../src/util/log.js';
import { engineTime } from '../../../src/util/time.js';
import { Jobs } from '../../../src/vms/jobs.js';
import { ManualClock, settle } from '../../support/manual-clock.js';

function make(): { clock: ManualClock; published: AgentEvent[]; jobs: Jobs } {
  const clock = new ManualClock();
  const published: AgentEvent[] = [];
  return {
    clock,
    published,
    jobs: new Jobs({ clock, log: silentLogger, publish: (event) => published.push(event) }),
  };
}

const seed = { type: 'virt', description: 'snapshot_vm' };
const never = (): Promise<void> => new Promise(() => undefined);

describe('the jobs of the host', () => {
  it('run, report, end, and tell it by an event', async () => {
    const { jobs, published, clock } = make();
    let finish: () => void = () => undefined;
    const id = jobs.run(seed, async ({ report }) => {
      report(40);
      await new Promise<void>((resolve) => (finish = resolve));
    });
    const running = { id, status: 'running', description: 'snapshot_vm', job_type: 'virt', progress: 40 };
    assert.deepEqual(jobs.list(), { [id]: running });
    assert.deepEqual(published, []);
    finish();
    await settle();
    const done = { ...running, status: 'done' };
    assert.deepEqual(jobs.list(), { [id]: done });
    const topic = `|jobs|status|${id}`;
    assert.deepEqual(published, [{ topic, params: done, notifyTime: engineTime(clock.nowMs()) }]);
  });

  it('fail with the code of their error, or 100', async () => {
    const { jobs } = make();
    jobs.run({ ...seed, id: 'a' }, () => Promise.reject(new VerbError('snapshotErr', 'why')));
    jobs.run({ ...seed, id: 'b' }, () => Promise.reject(new Error('what')));
    await settle();
    assert.deepEqual(jobs.list()['a']?.error, { code: 48, message: 'Snapshot failed: why' });
    assert.deepEqual(jobs.list()['b']?.error, { code: 100, message: 'what' });
  });

  it('are listed by type and id; unknown ids are left out', () => {
    const { jobs } = make();
    jobs.run({ ...seed, id: 'a' }, never);
    jobs.run({ ...seed, id: 'b', type: 'storage' }, never);
    assert.deepEqual(Object.keys(jobs.list('virt')), ['a']);
    assert.deepEqual(Object.keys(jobs.list(undefined, ['b', 'z'])), ['b']);
    assert.deepEqual(jobs.list('virt', ['b']), {});
  });

  it('have one id each', () => {
    const { jobs } = make();
    jobs.run({ ...seed, id: 'a' }, never);
    assert.throws(() => jobs.run({ ...seed, id: 'a' }, never), { code: 69 });
  });

  it('stay listed for an hour after their end', async () => {
    const { jobs, clock } = make();
    jobs.run({ ...seed, id: 'a' }, () => Promise.resolve());
    await clock.advance(3_599_000);
    assert.ok(jobs.list()['a']);
    await clock.advance(1000);
    assert.deepEqual(jobs.list(), {});
    assert.equal(clock.pendingTimers, 0);
  });

  it('are bounded: so many running, so many ended', async () => {
    const { jobs, clock } = make();
    for (let n = 0; n < 1005; n++) {
      jobs.run({ ...seed, id: `ended-${n}` }, () => Promise.resolve());
      await settle(1);
    }
    assert.equal(Object.keys(jobs.list()).length, 1000);
    assert.equal(jobs.list()['ended-0'], undefined);
    assert.equal(clock.pendingTimers, 1000);
    for (let n = 0; n < 200; n++) jobs.run(seed, never);
    assert.throws(() => jobs.run(seed, never), { code: 40 });
  });

  it('are told when the agent stops, which waits for them a little and announces nothing', async () => {
    const { jobs, clock, published } = make();
    let told = false;
    jobs.run(seed, async ({ signal }) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      told = true;
    });
    await jobs.stop();
    assert.equal(told, true);
    assert.deepEqual(published, []);
    assert.deepEqual(jobs.list(), {});
    assert.equal(clock.pendingTimers, 0);

    const deaf = make();
    deaf.jobs.run(seed, never);
    const stopped = deaf.jobs.stop();
    await deaf.clock.advance(1500);
    await stopped;
    assert.equal(deaf.clock.pendingTimers, 0);
  });

  it('survive a publisher that fails', async () => {
    const jobs = new Jobs({
      clock: new ManualClock(),
      log: silentLogger,
      publish: () => {
        throw new Error('no');
      },
    });
    jobs.run({ ...seed, id: 'a' }, () => Promise.resolve());
    await settle();
    assert.equal(jobs.list()['a']?.status, 'done');
  });
});
