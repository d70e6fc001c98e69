import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createMetrics } from '../../../src/util/metrics.js';
import { StartPlaces } from '../../../src/vms/start-places.js';
import { ManualClock, settle } from '../../support/manual-clock.js';

const never = new AbortController().signal;

function setUp(places: number): {
  clock: ManualClock;
  line: StartPlaces;
  metrics: ReturnType<typeof createMetrics>;
  enter: (signal?: AbortSignal) => Promise<void>;
  leave: (() => void)[];
} {
  const clock = new ManualClock();
  const metrics = createMetrics();
  const line = new StartPlaces({ places, clock, metrics });
  const leave: (() => void)[] = [];
  const enter = async (signal = never): Promise<void> => {
    leave.push(await line.take(signal));
  };
  return { clock, line, metrics, enter, leave };
}

describe('places for starts', () => {
  it('are taken in order, and tell how long others wait', async () => {
    const { clock, line, metrics, enter, leave } = setUp(2);
    for (let n = 0; n < 4; n++) void enter();
    await settle();
    assert.equal(leave.length, 2);
    await clock.advance(7000);
    assert.deepEqual(line.underWay, { running: 2, waiting: 2, places: 2, longestWaitSec: 7 });
    leave[0]?.();
    leave[0]?.();
    await settle();
    assert.equal(leave.length, 3, 'given back twice, it is still one place');
    assert.deepEqual(line.underWay, { running: 2, waiting: 1, places: 2, longestWaitSec: 7 });
    const gauge = async (name: 'vm_starts_running' | 'vm_starts_waiting'): Promise<number | undefined> =>
      (await metrics[name].get()).values[0]?.value;
    assert.deepEqual([await gauge('vm_starts_running'), await gauge('vm_starts_waiting')], [2, 1]);
    for (const each of leave) each();
    await settle();
    leave[3]?.();
    assert.deepEqual(line.underWay, { running: 0, waiting: 0, places: 2, longestWaitSec: 0 });
    assert.equal(clock.pendingTimers, 0);
    const { values } = await metrics.vm_start_wait_seconds.get();
    assert.equal(values.find(({ metricName }) => metricName?.endsWith('_sum'))?.value, 14);
  });

  it('are left by a start that is cancelled while it waits', async () => {
    const { line, enter, leave } = setUp(1);
    await enter();
    const abort = new AbortController();
    const cancelled = assert.rejects(enter(abort.signal), /by VM\.destroy/);
    void enter();
    abort.abort(new Error('by VM.destroy'));
    await cancelled;
    assert.equal(line.underWay.waiting, 1);
    leave[0]?.();
    await settle();
    assert.equal(leave.length, 2);
    await assert.rejects(enter(abort.signal), /by VM\.destroy/);
  });

  it('are given up after 30 s by starts that hang, of four at a time', async () => {
    const { clock, line, enter, leave } = setUp(2);
    for (let n = 0; n < 12; n++) void enter();
    for (const entered of [2, 4, 6, 6, 6]) {
      await settle();
      assert.equal(leave.length, entered);
      await clock.advance(30_000);
    }
    assert.deepEqual(line.underWay, { running: 6, waiting: 6, places: 2, longestWaitSec: 150 });
    leave[0]?.();
    await settle();
    assert.equal(leave.length, 7, 'another that hangs gives its place up instead');
    for (let n = 0; n < 12; n++) {
      leave[n]?.();
      await settle();
    }
    assert.deepEqual(line.underWay, { running: 0, waiting: 0, places: 2, longestWaitSec: 0 });
    assert.equal(clock.pendingTimers, 0);
  });
});
