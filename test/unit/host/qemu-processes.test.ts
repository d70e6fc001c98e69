import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import type { VmId } from '../../../src/domain/ids.js';
import { QemuProcesses } from '../../../src/host/qemu-processes.js';
import { parseRunTime, parseTaskStat } from '../../../src/host/task-stat.js';
import { ManualClock, settle } from '../../support/manual-clock.js';

const id = '0a2e0000-0000-4000-8000-000000000001' as VmId;
const other = '0a2e0000-0000-4000-8000-000000000002' as VmId;

let folder: string;
let clock: ManualClock;
let processes: QemuProcesses;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'qemu-processes-'));
  mkdirSync(join(folder, 'proc'));
  mkdirSync(join(folder, 'run'));
  clock = new ManualClock();
  processes = new QemuProcesses({
    clock,
    procFolder: join(folder, 'proc'),
    pidFolders: [join(folder, 'absent'), join(folder, 'run')],
  });
});

afterEach(() => rmSync(folder, { recursive: true }));

function statLine(pid: number, state: string, startTime: number, name = 'qemu-system-x86'): string {
  const fields = [state, 1, pid, pid, 0, -1, 138412416, 4746, 0, 20, 0, 7, 21, 0, 0, 20, 0, 5, 0, startTime];
  return `${pid} (${name}) ${fields.join(' ')} 314642432 9132 18446744073709551615 0 0\n`;
}

interface Process {
  state?: string;
  startTime?: number;
  name?: string;
  uuid?: string;
  ran?: string;
}

function putProcess(
  pid: number,
  { state = 'S', startTime = 100, name, uuid = id, ran = '5 6 7' }: Process = {},
): void {
  const task = join(folder, 'proc', String(pid), 'task', String(pid));
  mkdirSync(task, { recursive: true });
  writeFileSync(join(task, 'stat'), statLine(pid, state, startTime, name));
  writeFileSync(join(task, 'schedstat'), `${ran}\n`);
  const words = [
    '/usr/bin/qemu-system-x86_64',
    '-name',
    `guest=${name}`,
    '-uuid',
    uuid,
    '-display',
    'none',
    '',
  ];
  writeFileSync(join(folder, 'proc', String(pid), 'cmdline'), words.join('\0'));
}

function putPidFile(name: string, pid: number): void {
  writeFileSync(join(folder, 'run', `${name}.pid`), `${pid}\n`);
}

/** Lets a search come to its end. */
const searched = (): Promise<void> => settle(20);

describe('QemuProcesses', () => {
  it('tells a stopped process, also one that is traced, from one that runs', () => {
    putPidFile('vm1', 42);
    const states = ['S', 'R', 'T', 't', 'I', 'Z'].map((state) => {
      putProcess(42, { state });
      return processes.look(id, 'vm1');
    });
    assert.deepEqual(states, ['alive', 'alive', 'stopped', 'stopped', 'alive', 'unknown']);
    assert.equal(processes.pid(id), 42);
  });

  it('takes an uninterruptible wait for a block only when it lasts without a step', async () => {
    putPidFile('vm1', 42);
    putProcess(42, { state: 'D' });
    assert.equal(processes.look(id, 'vm1'), 'waiting');
    await clock.advance(100);
    assert.equal(processes.look(id, 'vm1'), 'waiting', 'too soon to tell');
    await clock.advance(150);
    assert.equal(processes.look(id, 'vm1'), 'blocked');
    putProcess(42, { state: 'D', ran: '6 6 8' });
    assert.equal(processes.look(id, 'vm1'), 'waiting', 'it has run in between');
    putProcess(42, { state: 'S' });
    assert.equal(processes.look(id, 'vm1'), 'alive');
    putProcess(42, { state: 'D', ran: '6 6 8' });
    await clock.advance(1000);
    assert.equal(processes.look(id, 'vm1'), 'waiting', 'a wait that has just begun');
  });

  it('goes by clock ticks where the kernel keeps no run times', async () => {
    putPidFile('vm1', 42);
    putProcess(42, { state: 'D', ran: '' });
    assert.equal(processes.look(id, 'vm1'), 'waiting');
    await clock.advance(1000);
    assert.equal(processes.look(id, 'vm1'), 'blocked');
  });

  it('finds VMs with any name, by a search where the pid file cannot be', async () => {
    const odd = 'a b) S (c\'"$(x)%äß☃..';
    putProcess(42, { name: odd });
    putPidFile(odd, 42);
    assert.equal(processes.look(id, odd), 'alive');
    putProcess(43, { uuid: other });
    assert.equal(processes.look(other, '../run/x/y'), 'unknown', 'the search has just begun');
    await searched();
    assert.equal(processes.look(other, '../run/x/y'), 'alive');
    assert.equal(processes.pid(other), 43);
  });

  it('does not believe a pid file that names another process', async () => {
    putProcess(42, { uuid: other });
    putPidFile('vm1', 42);
    assert.equal(processes.look(id, 'vm1'), 'unknown');
    await searched();
    assert.equal(processes.look(id, 'vm1'), 'unknown');
    assert.equal(processes.pid(id), undefined);
  });

  it('notices that a pid was given to another process', () => {
    putProcess(42, { state: 'T' });
    putPidFile('vm1', 42);
    assert.equal(processes.look(id, 'vm1'), 'stopped');
    putProcess(42, { state: 'T', startTime: 101, uuid: other });
    assert.equal(processes.look(id, 'vm1'), 'unknown');
    assert.equal(processes.look(id, 'vm1'), 'unknown');
  });

  it('finds the next process of a VM that was started again', () => {
    putProcess(42);
    putPidFile('vm1', 42);
    assert.equal(processes.look(id, 'vm1'), 'alive');
    rmSync(join(folder, 'proc', '42'), { recursive: true });
    putProcess(44, { state: 'T', startTime: 200 });
    putPidFile('vm1', 44);
    assert.equal(processes.look(id, 'vm1'), 'unknown', 'the process that was known is gone');
    assert.equal(processes.look(id, 'vm1'), 'stopped');
    assert.equal(processes.pid(id), 44);
  });

  it('remembers for a minute that there is nothing to see', async () => {
    assert.equal(processes.look(id, 'vm1'), 'unknown');
    await searched();
    putProcess(42);
    putPidFile('vm1', 42);
    await clock.advance(59_000);
    assert.equal(processes.look(id, 'vm1'), 'unknown', 'it is not looked for again yet');
    await clock.advance(1000);
    assert.equal(processes.look(id, 'vm1'), 'alive');
  });

  it('forgets at once what it is told to', async () => {
    assert.equal(processes.look(id, 'vm1'), 'unknown');
    await searched();
    putProcess(42);
    putPidFile('vm1', 42);
    processes.forget(id);
    assert.equal(processes.look(id, 'vm1'), 'alive');
    processes.forget(id);
    unlinkSync(join(folder, 'run', 'vm1.pid'));
    assert.equal(processes.look(id, 'vm1'), 'unknown');
  });
});

describe('QemuProcesses on a real process', { skip: process.platform !== 'linux' && 'not on Linux' }, () => {
  let child: ChildProcess;
  afterEach(() => void child.kill('SIGKILL'));

  it('sees it stopped by SIGSTOP and running again', async () => {
    child = spawn('sh', ['-c', 'while :; do sleep 1; done', 'sh', '-uuid', id], { stdio: 'ignore' });
    const real = new QemuProcesses({ clock, pidFolders: [join(folder, 'run')] });
    putPidFile('vm1', child.pid!);
    const until = async (state: string): Promise<void> => {
      while (real.look(id, 'vm1') !== state) {
        real.forget(id);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    await until('alive');
    child.kill('SIGSTOP');
    await until('stopped');
    child.kill('SIGCONT');
    await until('alive');
  });
});

describe("a thread's stat", () => {
  it('is read from a line of this kernel', { skip: process.platform !== 'linux' && 'not on Linux' }, () => {
    const stat = parseTaskStat(readFileSync(`/proc/self/task/${process.pid}/stat`, 'latin1'));
    assert.match(stat?.state ?? '', /^[RSD]$/);
    assert.ok(Number(stat?.startTime) > 0);
  });

  it('is found behind any name', () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom('R', 'S', 'D', 'T'), fc.nat(), (name, state, startTime) => {
        const stat = parseTaskStat(statLine(7, state, startTime, name));
        assert.deepEqual(stat, { state, startTime: String(startTime), cpuTicks: '7+21' });
      }),
    );
  });

  it('is nothing where there is garbage', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const stat = parseTaskStat(text);
        assert.ok(stat === undefined || /^\d+$/.test(stat.startTime));
        assert.equal(typeof parseRunTime(text), 'string');
      }),
    );
  });
});
