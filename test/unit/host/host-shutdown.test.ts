import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HostShutdown } from '../../../src/host/host-shutdown.js';
import { ManualClock } from '../../support/manual-clock.js';

function asking(...answers: string[]): { host: HostShutdown; clock: ManualClock; asked: () => number } {
  const clock = new ManualClock();
  let asked = 0;
  const ask = (): Promise<string> => Promise.resolve(answers[Math.min(asked++, answers.length - 1)] ?? '');
  return { host: new HostShutdown(clock, ask), clock, asked: () => asked };
}

describe('the shutdown of the host', () => {
  it('is under way when systemd is stopping, and for good', async () => {
    const { host, clock, asked } = asking('stopping\n', 'running\n');
    assert.equal(host.underWay, false);
    assert.equal(await host.check(), true);
    assert.equal(host.underWay, true);
    await clock.advance(10_000);
    assert.equal(await host.check(), true);
    assert.equal(asked(), 1);
  });

  it('is not under way in any other state, or without systemd', async () => {
    for (const state of ['running\n', 'degraded\n', 'offline\n', '']) {
      assert.equal(await asking(state).host.check(), false, state);
    }
  });

  it('is asked for once where many guests end together, and anew a second later', async () => {
    const { host, clock, asked } = asking('running\n', 'stopping\n');
    await Promise.all(Array.from({ length: 100 }, () => host.check()));
    assert.equal(asked(), 1);
    await clock.advance(1000);
    assert.equal(await host.check(), true);
    assert.equal(asked(), 2);
  });

  it('asks systemd itself by default, and never rejects', async () => {
    assert.equal(typeof (await new HostShutdown(new ManualClock()).check()), 'boolean');
  });
});
