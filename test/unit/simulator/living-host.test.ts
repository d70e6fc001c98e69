import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LivingHost, eventBurst } from '../../../src/simulator/living-host.js';
import { SimulatedHost } from '../../../src/simulator/simulated-host.js';
import { ManualClock } from '../../support/manual-clock.js';

async function liveFor(minutes: number, seed: number): Promise<string[]> {
  const clock = new ManualClock();
  const host = new SimulatedHost({ clock, domains: 20, seed });
  const story: string[] = [];
  host.onEvent((event) => {
    if (event.kind === 'lifecycle') story.push(`${event.domain.name} ${event.event}/${event.detail}`);
  });
  const life = new LivingHost(host, clock);
  await life.start();
  await clock.advance(minutes * 60_000);
  const away = [...host.domains].filter((domain) => !domain.running).length;
  assert.ok(away <= 10, `${away} of 20 are away`);
  await life.stop();
  host.close();
  assert.equal(clock.pendingTimers, 0);
  return story;
}

describe('life on the simulated host', () => {
  it('pauses, resumes, stops and starts domains, some every minute', async () => {
    const story = await liveFor(10, 1);
    assert.ok(story.length > 100);
    for (const event of ['3/0', '4/0', '6/1', '5/0', '2/0']) {
      assert.ok(
        story.some((line) => line.endsWith(event)),
        event,
      );
    }
  });

  it('is the same for the same seed', async () => {
    assert.deepEqual(await liveFor(5, 3), await liveFor(5, 3));
    assert.notDeepEqual(await liveFor(5, 3), await liveFor(5, 4));
  });

  it('makes bursts of exactly as many events as asked for', () => {
    const host = new SimulatedHost({ clock: new ManualClock(), domains: 3 });
    let events = 0;
    host.onEvent(() => events++);
    assert.equal(eventBurst(host, 1000), 1000);
    assert.equal(events, 1000);
    assert.ok([...host.domains].every((domain) => domain.running));
  });
});
