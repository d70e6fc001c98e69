/**
 * The programs that benchmarks start beside themselves, each ended by its process id: simulator, agent, bare server.
 * What a benchmark that fails or is interrupted has not stopped ends with it, temporary folders included.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { AgentProcess } from '../../test/support/agent-process.js';

export interface Program {
  readonly pid: number;
  stop(): Promise<void>;
}

export interface Simulator extends Program {
  readonly uri: string;
}

const leftovers = new Set<() => void>();
process.once('exit', () => {
  for (const tidy of leftovers) tidy();
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

async function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stdout! }).once('line', resolve);
    child.once('exit', (code) => reject(new Error(`ended with ${code} before it was ready`)));
  });
}

function stopper(child: ChildProcess, folder?: string): () => Promise<void> {
  const exited = once(child, 'exit');
  const tidy = (): void => {
    child.kill('SIGKILL');
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  };
  leftovers.add(tidy);
  return async () => {
    child.kill('SIGTERM');
    await exited;
    tidy();
    leftovers.delete(tidy);
  };
}

/** A simulated libvirt daemon. @param options further words of its command line */
export async function startSimulator(domains: number, options: readonly string[] = []): Promise<Simulator> {
  const folder = mkdtempSync(join(tmpdir(), 'vdsm-agent-bench-'));
  const socket = join(folder, 'libvirt-sock');
  const program = join(import.meta.dirname, '../../src/simulator/process.js');
  const args = [program, '--domains', String(domains), '--socket', socket, '--with-parent', ...options];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const stop = stopper(child, folder);
  await firstLine(child);
  return { pid: child.pid!, uri: `qemu+unix:///system?socket=${socket}`, stop };
}

/** The agent on that simulator, listening on a loopback port of its own. */
export function startAgent(simulator: Simulator, periodSec: number): Promise<AgentProcess> {
  return AgentProcess.start([
    ...['--uri', simulator.uri, '--listen', '127.0.0.1:0', '--period', String(periodSec)],
  ]);
}

/** A bare `ws` server. `echo`: answers what it is sent; otherwise a constant Buffer of that many bytes. */
export async function startBareServer(
  what: 'echo' | number,
): Promise<Program & { readonly address: string }> {
  const program = join(import.meta.dirname, 'bare-server.js');
  const child = spawn(process.execPath, [program, String(what)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const stop = stopper(child);
  return { pid: child.pid!, address: await firstLine(child), stop };
}

/** CPU time of all threads that are alive, ms: the scheduler's count, in ns. */
export function cpuMs(pid: number): number {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const ns = tasks.map((task) =>
    Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]),
  );
  return ns.reduce((sum, each) => sum + each, 0) / 1e6;
}

/** Resident memory, MB of 10^6 bytes. */
export function rssMb(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return (Number(kib) * 1024) / 1e6;
}
