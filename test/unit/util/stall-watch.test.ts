import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLogger } from '../../../src/util/log.js';
import { createMetrics } from '../../../src/util/metrics.js';
import { StallWatch } from '../../../src/util/stall-watch.js';
import type { Clock } from '../../../src/util/time.js';

/** A clock whose one timer fires when the test says so, however late that is. */
class LateClock implements Clock {
  ms = 0;
  fire: () => void = () => undefined;
  cancelled = false;
  nowMs = (): number => this.ms;
  wallMs = (): number => this.ms;
  after = (): (() => void) => () => undefined;
  every = (_periodMs: number, callback: () => void): (() => void) => {
    this.fire = callback;
    return () => (this.cancelled = true);
  };
  pass(ms: number): void {
    this.ms += ms;
    this.fire();
  }
}

describe('the watch over the event loop', () => {
  it('counts by how much its timer is late, and remembers a long stall for a minute', async () => {
    const clock = new LateClock();
    const metrics = createMetrics();
    const watch = new StallWatch({ clock, log: silentLogger, metrics });
    await watch.start();
    clock.pass(101);
    clock.pass(120);
    assert.equal(watch.recent, undefined);
    clock.pass(900);
    assert.deepEqual(watch.recent, { atMs: 1121, tookMs: 800 });
    const { values } = await metrics.event_loop_stall_seconds.get();
    const of = (name: string): number | undefined =>
      values.find(({ metricName }) => metricName?.endsWith(name))?.value;
    assert.equal(of('_count'), 2);
    assert.ok(Math.abs((of('_sum') ?? 0) - 0.82) < 1e-9);
    clock.ms += 60_000;
    assert.equal(watch.recent, undefined);
    await watch.stop();
    assert.equal(clock.cancelled, true);
  });
});
