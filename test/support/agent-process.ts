/**
 * The agent as a child process, the way an operator runs it. Each test starts its own on a port or socket of its own,
 * and ends it by its process id.
 */
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

/** Built files lie beside this one: <build>/test/support -> <build>. */
export const buildRoot = join(import.meta.dirname, '..', '..');

type Child = ChildProcessByStdio<null, Readable, Readable>;

export interface AgentExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class AgentProcess {
  #output = '';
  readonly #watchers = new Set<() => void>();
  /** Resolves when the process has ended. */
  readonly exited: Promise<AgentExit>;

  private constructor(private readonly child: Child) {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text;
        for (const watch of [...this.#watchers]) watch();
      });
    }
    const killWithParent = (): boolean => child.kill('SIGKILL');
    process.once('exit', killWithParent);
    this.exited = once(child, 'exit').then(([code, signal]) => {
      process.off('exit', killWithParent);
      return { code: code as number | null, signal: signal as NodeJS.Signals | null };
    });
  }

  /** Starts <build>/src/main.js as an installed agent starts, by its first line; it may not be listening yet. */
  static spawn(args: readonly string[], env: NodeJS.ProcessEnv = {}): AgentProcess {
    const child = spawn(join(buildRoot, 'src/main.js'), args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    return new AgentProcess(child);
  }

  /** Starts it by way of a shell: `exec "$0" "$@"` with limits before it or redirections behind it. */
  static spawnBy(script: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): AgentProcess {
    const child = spawn('bash', ['-c', script, join(buildRoot, 'src/main.js'), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    return new AgentProcess(child);
  }

  /** Waits until it says that it listens. */
  async ready(): Promise<this> {
    try {
      await this.waitForOutput(READY);
    } catch (error) {
      await this.kill();
      throw error;
    }
    return this;
  }

  /** Starts it and waits until it says that it listens. */
  static async start(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<AgentProcess> {
    return AgentProcess.spawn(args, env).ready();
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** All it wrote to standard output and standard error so far. */
  get output(): string {
    return this.#output;
  }

  /** Where it listens, in the form that clients take; read from its output. */
  get address(): string {
    const address = READY.exec(this.#output)?.[1];
    if (address === undefined) throw new Error(`the agent does not say where it listens:\n${this.#output}`);
    return address;
  }

  /** The first match in the output so far or to come. Fails when the process ends before, or after `timeoutMs`. */
  async waitForOutput(pattern: RegExp, timeoutMs = 30_000): Promise<RegExpExecArray> {
    let watch: (() => void) | undefined;
    const fail = (why: string): Error => new Error(`${why} before ${String(pattern)}:\n${this.#output}`);
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise((resolve, reject) => {
        watch = () => {
          const match = pattern.exec(this.#output);
          if (match) resolve(match);
        };
        this.#watchers.add(watch);
        timer = setTimeout(() => reject(fail(`${timeoutMs / 1000} s passed`)), timeoutMs);
        void this.exited.then(() => reject(fail('the agent ended')));
        watch();
      });
    } finally {
      clearTimeout(timer);
      if (watch) this.#watchers.delete(watch);
    }
  }

  /** SIGTERM, as an init system stops it. */
  async stop(): Promise<AgentExit> {
    this.child.kill('SIGTERM');
    return this.exited;
  }

  /** SIGKILL: a crash. */
  async kill(): Promise<AgentExit> {
    this.child.kill('SIGKILL');
    return this.exited;
  }
}

/** The agent's greeting on standard error; the first of its addresses. */
const READY = /listening on (\S+?)(?: and |\. Try next)/;
