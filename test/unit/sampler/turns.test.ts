import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Turns } from '../../../src/sampler/turns.js';

describe('work in turns', () => {
  it('runs one slice per turn of the event loop, also of several loops together', async () => {
    const turns = new Turns();
    const log: string[] = [];
    let turn = 0;
    const count = setInterval(() => undefined, 1000);
    const next = (): void => {
      turn++;
      if (turn < 20) setImmediate(next);
    };
    setImmediate(next);
    await Promise.all([
      turns.run(5, 2, (from, to) => log.push(`a${from}-${to}@${turn}`)),
      turns.run(2, 2, (from, to) => log.push(`b${from}-${to}@${turn}`)),
    ]);
    clearInterval(count);
    assert.deepEqual(
      log.map((line) => line.split('@')[0]),
      ['a0-2', 'a2-4', 'a4-5', 'b0-2'],
    );
    assert.equal(new Set(log.map((line) => line.split('@')[1])).size, 4);
  });

  it('goes on after a slice that throws, whose caller is told', async () => {
    const turns = new Turns();
    const failing = turns.run(1, 1, () => {
      throw new Error('broken');
    });
    let ran = false;
    const after = turns.run(1, 1, () => (ran = true));
    await assert.rejects(failing, /broken/);
    await after;
    assert.equal(ran, true);
  });

  it('runs nothing after stop', async () => {
    const turns = new Turns();
    let ran = 0;
    const run = turns.run(10, 1, () => ran++);
    await turns.stop();
    await run;
    assert.equal(ran, 0);
  });
});
