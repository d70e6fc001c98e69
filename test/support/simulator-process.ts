/** A simulated libvirt daemon in a process of its own, told by commands what is to befall it and its domains. */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { join } from 'node:path';
import { buildRoot } from './agent-process.js';

export class SimulatorProcess {
  readonly uri: string;
  readonly #answers: ((line: string) => void)[] = [];

  private constructor(
    private readonly child: ChildProcessByStdio<Writable, Readable, null>,
    private readonly lines: Interface,
    socketPath: string,
  ) {
    this.uri = `qemu+unix:///system?socket=${socketPath}`;
    lines.on('line', (line) => this.#answers.shift()?.(line));
  }

  /** Resolves when it listens. @param args of simulator/process.js but for the socket */
  static async start(socketPath: string, args: readonly string[]): Promise<SimulatorProcess> {
    const program = join(buildRoot, 'src/simulator/process.js');
    const child = spawn(process.execPath, [program, '--socket', socketPath, '--with-parent', ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: child.stdout });
    await once(lines, 'line');
    return new SimulatorProcess(child, lines, socketPath);
  }

  /** Resolves when it is done. @throws Error with what the simulator says where it makes no sense */
  async command(what: object): Promise<void> {
    const line = await new Promise<string>((resolve) => {
      this.#answers.push(resolve);
      this.child.stdin.write(`${JSON.stringify(what)}\n`);
    });
    const answer = JSON.parse(line) as { readonly ok: boolean; readonly error?: string };
    if (!answer.ok) throw new Error(answer.error);
  }

  async stop(): Promise<void> {
    this.lines.close();
    if (this.child.exitCode !== null) return;
    this.child.kill('SIGTERM');
    await once(this.child, 'exit');
  }
}
