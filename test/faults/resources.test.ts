/**
 * What the machine runs out of: files, room for the log, memory. The agent does less, says so, and recovers.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { VdsmClient } from '../../src/client/client.js';
import type { VerbResult } from '../../src/protocol/verbs.js';
import { AgentProcess, buildRoot } from '../support/agent-process.js';
import { FakeEngine } from '../support/fake-engine.js';

const folder = mkdtempSync(join(tmpdir(), 'vdsm-agent-resources-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const simulated = ['--simulate', '20', '--listen', '127.0.0.1:0', '--period', '1'];

async function until(what: string, condition: () => boolean | Promise<boolean>, seconds = 20): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!(await condition())) {
    assert.ok(performance.now() < end, `not within ${seconds} s: ${what}`);
    await delay(50);
  }
}

/** What the agent says of itself over a connection of its own. */
async function health(agent: AgentProcess): Promise<VerbResult<'Agent.getHealth'>> {
  const client = await VdsmClient.connect(agent.address);
  try {
    return await client.call('Agent.getHealth', {});
  } finally {
    await client.close();
  }
}

const problems = async (agent: AgentProcess): Promise<string> =>
  (await health(agent)).problems.map(({ what }) => what).join('; ');

describe('a log that cannot be written', { timeout: 60_000 }, () => {
  it('on a full disk: the agent serves, and its health says why lines are lost', async () => {
    const agent = await AgentProcess.spawnBy('exec "$0" "$@" >/dev/full', [
      ...simulated,
      '--log-level',
      'debug',
    ]).ready();
    const engine = await new FakeEngine(agent.address).start();
    await until('it is said', async () => (await problems(agent)).includes('log cannot be written (ENOSPC'));
    const { polls } = engine;
    await engine.until('polls go on', () => engine.polls > polls + 2);
    await engine.stop();
    assert.deepEqual(await agent.stop(), { code: 0, signal: null });
  });

  it('to a reader that stands still: the agent serves, and says afterwards how many lines were lost', async () => {
    const fifo = join(folder, 'log');
    execFileSync('mkfifo', [fifo]);
    // Opened for both, so that neither side waits for the other.
    const reader = openSync(fifo, 'r+');
    const agent = await AgentProcess.spawnBy(`exec "$0" "$@" >${fifo}`, [
      ...simulated,
      '--log-level',
      'debug',
    ]).ready();
    try {
      // Each session writes a few lines: more than the pipe and the agent's megabyte take.
      await until(
        'it is said',
        async () => {
          await Promise.all(Array.from({ length: 30 }, () => health(agent)));
          return (await problems(agent)).includes('log cannot be written (nobody reads it');
        },
        40,
      );
      const client = await VdsmClient.connect(agent.address);
      // Unknown verbs are logged with up to 100 characters each.
      for (let batch = 0; batch < 60; batch++) {
        const calls = Array.from({ length: 100 }, () =>
          client.call('x'.repeat(100), {}).catch(() => undefined),
        );
        await Promise.all(calls);
      }
      await client.close();
      const lines = readLines(reader, /log lines were lost/);
      await until('the loss is told', () => lines.matched());
      await until('all is well', async () => (await problems(agent)) === '');
    } finally {
      assert.deepEqual(await agent.stop(), { code: 0, signal: null });
      closeSync(reader);
    }
  });
});

/** Reads what there is, again and again, without keeping it. */
function readLines(fd: number, pattern: RegExp): { matched(): boolean } {
  const buffer = Buffer.alloc(65_536);
  let found = false;
  let tail = '';
  return {
    matched() {
      for (let round = 0; round < 40 && !found; round++) {
        const bytes = readSync(fd, buffer, 0, buffer.length, null);
        tail = (tail + buffer.toString('latin1', 0, bytes)).slice(-70_000);
        found = pattern.test(tail);
        if (bytes < buffer.length) break;
      }
      return found;
    },
  };
}

/** A simulated daemon in a process of its own, to be killed and started by commands. */
class Daemon {
  readonly socket = join(folder, `libvirt-${Math.random().toString(36).slice(2)}`);
  #child: ReturnType<typeof spawn> | undefined;

  async start(domains: number): Promise<string> {
    const args = ['--domains', String(domains), '--socket', this.socket, '--with-parent'];
    const child = spawn(process.execPath, [join(buildRoot, 'src/simulator/process.js'), ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child = child;
    await once(createInterface({ input: child.stdout }), 'line');
    return `qemu+unix:///system?socket=${this.socket}`;
  }

  command(what: object): void {
    this.#child?.stdin?.write(`${JSON.stringify(what)}\n`);
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (!child) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
}

describe('file descriptors that run out', { timeout: 90_000 }, () => {
  it('open sessions are served, new ones and libvirt wait, and all is well when there are files again', async () => {
    const daemon = new Daemon();
    const uri = await daemon.start(20);
    const args = ['--uri', uri, '--listen', '127.0.0.1:0', '--period', '1'];
    const agent = await AgentProcess.start(args);
    const hoard: Socket[] = [];
    try {
      const engine = await new FakeEngine(agent.address).start();
      const port = Number(agent.address.split(':').at(-1));
      const limit = openFiles(agent.pid) + 10;
      execFileSync('prlimit', ['--pid', String(agent.pid), `--nofile=${limit}:${limit}`]);
      for (let n = 0; n < 20; n++) {
        const socket = connect({ host: '127.0.0.1', port });
        socket.on('error', () => undefined);
        hoard.push(socket);
      }
      await until('its files are used up', () => openFiles(agent.pid) >= limit);
      const { polls } = engine;
      await engine.until('the open session is served', () => engine.polls > polls + 2);
      // The daemon goes and comes back while no socket can be opened.
      daemon.command({ kill: true });
      await until('libvirt is missed', async () => (await engineHealth(engine)).libvirt.state !== 'open');
      daemon.command({ restart: true });
      const refill = setInterval(
        () => hoard.push(connect({ host: '127.0.0.1', port }).on('error', () => undefined)),
        20,
      );
      await delay(1500);
      clearInterval(refill);
      assert.equal(engine.monitor.synchronised, true);
      for (const socket of hoard.splice(0)) socket.destroy();
      await until('libvirt is back', async () => (await engineHealth(engine)).libvirt.state === 'open');
      const fresh = await health(agent);
      assert.equal(fresh.vms, 20);
      await engine.stop();
      assert.deepEqual(await agent.stop(), { code: 0, signal: null });
    } finally {
      for (const socket of hoard) socket.destroy();
      await agent.kill();
      await daemon.stop();
    }
  });
});

async function engineHealth(engine: FakeEngine): Promise<VerbResult<'Agent.getHealth'>> {
  return engine.client.call('Agent.getHealth', {});
}

function openFiles(pid: number): number {
  // Links of /proc/PID/fd, counted by the kernel.
  return execFileSync('ls', [`/proc/${pid}/fd`], { encoding: 'utf8' })
    .split('\n')
    .filter(Boolean).length;
}

describe('a small heap', { timeout: 120_000 }, () => {
  it('6,000 VMs are sampled and served within 160 MB of old space', async (t) => {
    const daemon = new Daemon();
    const uri = await daemon.start(6000);
    const args = ['--uri', uri, '--listen', '127.0.0.1:0', '--period', '5', '--log-level', 'warn'];
    const agent = await AgentProcess.spawnBy(
      'exec node --max-semi-space-size=4 --max-old-space-size=160 "$0" "$@"',
      args,
    ).ready();
    try {
      const engine = await new FakeEngine(agent.address, { pollIntervalMs: 500 }).start(60_000);
      const { polls } = engine;
      await engine.until('polls go on', () => engine.polls >= polls + 10, 60_000);
      assert.equal(engine.monitor.vms.size, 6000);
      assert.deepEqual(engine.faults, []);
      const rss = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${agent.pid}/status`, 'utf8'))?.[1];
      t.diagnostic(`peak resident memory: ${Math.round(Number(rss) / 1000)} MB`);
      await engine.stop();
      assert.deepEqual(await agent.stop(), { code: 0, signal: null });
    } finally {
      await agent.kill();
      await daemon.stop();
    }
  });
});
