import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Keepalive } from '../../../src/libvirt/keepalive.js';
import { ManualClock } from '../../support/manual-clock.js';

function start(): { clock: ManualClock; log: string[]; keepalive: Keepalive } {
  const clock = new ManualClock();
  const log: string[] = [];
  const keepalive = new Keepalive(
    clock,
    { intervalMs: 5000, count: 5 },
    { ping: () => log.push('ping'), dead: () => log.push('dead') },
  );
  return { clock, log, keepalive };
}

describe('Keepalive', () => {
  it('does not ping while packets come', async () => {
    const { clock, log, keepalive } = start();
    for (let i = 0; i < 10; i++) {
      keepalive.heard();
      await clock.advance(5000);
    }
    assert.deepEqual(log, []);
  });

  it('pings a silent daemon five times, then calls it dead, once', async () => {
    const { clock, log } = start();
    await clock.advance(25_000);
    assert.deepEqual(log, ['ping', 'ping', 'ping', 'ping', 'ping']);
    await clock.advance(60_000);
    assert.deepEqual(log.slice(5), ['dead']);
    assert.equal(clock.pendingTimers, 0);
  });

  it('starts counting anew after any packet', async () => {
    const { clock, log, keepalive } = start();
    await clock.advance(25_000);
    keepalive.heard();
    await clock.advance(25_000);
    assert.ok(!log.includes('dead'));
  });

  it('leaves no timer when stopped', async () => {
    const { clock, log, keepalive } = start();
    keepalive.stop();
    await clock.advance(60_000);
    assert.deepEqual(log, []);
    assert.equal(clock.pendingTimers, 0);
  });

  it('tells of a packet that is unfinished for an interval, not of one after the other', async () => {
    const clock = new ManualClock();
    const log: string[] = [];
    let unfinished: object | undefined = {};
    const keepalive = new Keepalive(
      clock,
      { intervalMs: 5000, count: 5 },
      {
        ping: () => log.push('ping'),
        dead: () => log.push('dead'),
        unfinished: () => unfinished,
        stalled: () => log.push('stalled'),
      },
    );
    for (let packet = 0; packet < 5; packet++) {
      unfinished = {};
      keepalive.heard();
      await clock.advance(5000);
    }
    assert.deepEqual(log, []);
    keepalive.heard();
    await clock.advance(5000);
    assert.deepEqual(log, ['stalled']);
    assert.equal(clock.pendingTimers, 0);
  });
});
