import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '../../../src/simulator/fault.js';
import { JOB_WAIT_MS, MonitorLock } from '../../../src/simulator/monitor-lock.js';
import { ManualClock } from '../../support/manual-clock.js';

function makeLock() {
  const clock = new ManualClock();
  return { clock, lock: new MonitorLock(clock) };
}

/** 'pending', 'done' or the Fault's name, kept up to date. */
function watch(promise: Promise<void> | undefined): { outcome: string } {
  assert.ok(promise);
  const watched = { outcome: 'pending' };
  promise.then(
    () => (watched.outcome = 'done'),
    (error: unknown) => (watched.outcome = error instanceof Fault ? error.fault : String(error)),
  );
  return watched;
}

describe('the monitor of a domain', () => {
  it('lets everybody in at once while QEMU answers', () => {
    const { lock } = makeLock();
    assert.equal(lock.enter(), undefined);
    assert.equal(lock.enterJob(), undefined);
    assert.equal(lock.occupiedMs, undefined);
  });

  it('keeps the first call without any limit and says for how long', async () => {
    const { clock, lock } = makeLock();
    lock.hang();
    assert.equal(lock.occupiedMs, undefined, 'nobody has tried yet');
    const first = watch(lock.enter());
    await clock.advance(3_600_000);
    assert.equal(first.outcome, 'pending');
    assert.equal(lock.occupiedMs, 3_600_000);
    lock.release();
    await clock.advance(0);
    assert.equal(first.outcome, 'done');
    assert.equal(lock.occupiedMs, undefined);
  });

  it('fails later calls after 30 s', async () => {
    const { clock, lock } = makeLock();
    lock.hang();
    const first = watch(lock.enter());
    const second = watch(lock.enter());
    const job = watch(lock.enterJob());
    await clock.advance(JOB_WAIT_MS - 1);
    assert.deepEqual([second.outcome, job.outcome], ['pending', 'pending']);
    await clock.advance(1);
    assert.deepEqual([first.outcome, second.outcome, job.outcome], ['pending', 'timeout', 'timeout']);
    assert.equal(clock.pendingTimers, 0);
  });

  it('does not make job-only calls wait before anybody is stuck', () => {
    const { lock } = makeLock();
    lock.hang();
    assert.equal(lock.enterJob(), undefined);
  });

  it('lets all in when QEMU answers again', async () => {
    const { clock, lock } = makeLock();
    lock.hang();
    const calls = [watch(lock.enter()), watch(lock.enter()), watch(lock.enterJob())];
    lock.release();
    await clock.advance(0);
    assert.deepEqual(
      calls.map(({ outcome }) => outcome),
      ['done', 'done', 'done'],
    );
    assert.equal(lock.enter(), undefined);
    assert.equal(clock.pendingTimers, 0);
  });

  it('fails the stuck call with an internal error and the others as not running when QEMU is gone', async () => {
    const { clock, lock } = makeLock();
    lock.hang();
    const calls = [watch(lock.enter()), watch(lock.enter())];
    lock.processEnded();
    await clock.advance(0);
    assert.deepEqual(
      calls.map(({ outcome }) => outcome),
      ['internal', 'invalid-state'],
    );
    assert.equal(lock.hung, false);
  });

  it('stays hung over the death of the daemon, but with its lock free', async () => {
    const { clock, lock } = makeLock();
    lock.hang();
    const call = watch(lock.enter());
    lock.daemonEnded();
    await clock.advance(0);
    assert.equal(call.outcome, 'internal');
    assert.equal(lock.occupiedMs, undefined);
    assert.equal(lock.hung, true);
  });
});
