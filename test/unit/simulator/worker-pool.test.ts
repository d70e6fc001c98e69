import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WorkerPool } from '../../../src/simulator/worker-pool.js';
import { settle } from '../../support/manual-clock.js';

function makePool(ordinary: number, priority: number) {
  const pool = new WorkerPool({ ordinary, priority });
  const started: string[] = [];
  const finish = new Map<string, () => void>();
  const submit = (name: string, isPriority = false) => {
    pool.submit({
      priority: isPriority,
      run() {
        started.push(name);
        return new Promise((resolve) => finish.set(name, resolve));
      },
    });
  };
  return { pool, started, submit, end: (name: string) => finish.get(name)!() };
}

describe('the workers of the daemon', () => {
  it('run quick jobs at once, in order, without end', () => {
    const pool = new WorkerPool({ ordinary: 1, priority: 0 });
    const done: number[] = [];
    for (let i = 0; i < 100; i++) {
      pool.submit({
        priority: false,
        run() {
          done.push(i);
          return undefined;
        },
      });
    }
    assert.deepEqual(
      done,
      Array.from({ length: 100 }, (_, i) => i),
    );
  });

  it('make ordinary jobs wait while all are taken, and take the next when one ends', async () => {
    const { started, submit, end } = makePool(2, 1);
    for (const name of ['a', 'b', 'c', 'd']) submit(name);
    assert.deepEqual(started, ['a', 'b']);
    end('b');
    await settle();
    assert.deepEqual(started, ['a', 'b', 'c']);
  });

  it('let priority jobs pass when every ordinary worker is stuck', () => {
    const { started, submit } = makePool(1, 1);
    submit('stuck');
    submit('waits');
    submit('urgent', true);
    submit('urgent too', true);
    assert.deepEqual(started, ['stuck', 'urgent']);
  });

  it('never give a priority worker an ordinary job', async () => {
    const { started, submit, end } = makePool(1, 1);
    submit('stuck');
    submit('urgent', true);
    submit('waits');
    end('urgent');
    await settle();
    assert.deepEqual(started, ['stuck', 'urgent']);
  });

  it('run nothing more once closed', async () => {
    const { pool, started, submit, end } = makePool(1, 0);
    submit('a');
    submit('b');
    pool.close();
    end('a');
    await settle();
    assert.deepEqual(started, ['a']);
    assert.equal(pool.waiting, 0);
  });
});
