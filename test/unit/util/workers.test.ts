import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { WorkerPool } from '../../../src/util/workers.js';

const fixture = new URL('../../support/worker-fixture.js', import.meta.url);
const wrapper = new URL('../../../src/util/workers.js', import.meta.url);

describe('WorkerPool', () => {
  it('answers with what the function returns and rejects with what it throws', async () => {
    const pool = new WorkerPool(fixture, 'task', 1);
    try {
      assert.equal(await pool.run({ double: 21 }), 42);
      await assert.rejects(pool.run({ fail: 'no such luck' }), /no such luck/);
      assert.equal(await pool.run({ double: 2 }), 4);
    } finally {
      await pool.stop();
    }
  });

  it('rejects what is running and what comes later when it stops, also twice', async () => {
    const pool = new WorkerPool(fixture, 'task', 1);
    const endless = assert.rejects(pool.run({ spin: true }));
    await pool.stop();
    await endless;
    await pool.stop();
    await assert.rejects(pool.run({ double: 1 }), /stopped/);
  });

  it('ends a task by its signal and goes on with a new thread', async () => {
    const pool = new WorkerPool(fixture, 'task', 1);
    try {
      const controller = new AbortController();
      const endless = assert.rejects(pool.run({ spin: true }, controller.signal), { name: 'AbortError' });
      controller.abort();
      await endless;
      assert.equal(await pool.run({ double: 4 }), 8);
    } finally {
      await pool.stop();
    }
  });

  it('lets the process exit by itself, stopped or forgotten', async () => {
    for (const end of ['await pool.stop();', '']) {
      const script = `
        const { WorkerPool } = await import(${JSON.stringify(wrapper.href)});
        const pool = new WorkerPool(new URL(${JSON.stringify(fixture.href)}), 'task');
        console.log(await pool.run({ double: 5 }));
        ${end}`;
      const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
        timeout: 20_000,
      });
      assert.equal((await run).stdout, '10\n');
    }
  });
});
