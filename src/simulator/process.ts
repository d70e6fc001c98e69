/**
 * The simulated host as a process of its own:
 *
 *   node process.js --domains N --socket PATH [--seed S] [--live] [--service-ms X] [--start-ms X] [--with-parent] ...
 *
 * Prints one JSON line `{"ready":true,"socket":PATH}` on stdout. Reads commands as JSON lines on stdin, each answered
 * by one JSON line: `{"hang":"vm-0001"}`, `{"event-burst":N}`, `{"kill":true}`, `{"restart":true}` and those of
 * commands.ts. Ends on SIGTERM and SIGINT, and with --with-parent when stdin ends.
 */
import { createInterface } from 'node:readline';
import { Command, InvalidArgumentError } from 'commander';
import { createLogger } from '../util/log.js';
import { systemClock } from '../util/time.js';
import { obey } from './commands.js';
import { LivingHost } from './living-host.js';
import { SimulatedHost } from './simulated-host.js';
import { SimulatorServer } from './simulator-server.js';

interface Options {
  readonly domains: number;
  readonly socket: string;
  readonly seed: number;
  readonly live?: true;
  readonly serviceMs: number;
  readonly startMs: number;
  readonly parallelStarts: number;
  readonly saveMs: number;
  readonly commitMs: number;
  readonly withParent?: true;
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0)) throw new InvalidArgumentError('It must be a number, at least 0.');
  return value;
}

const options = new Command()
  .name('simulator')
  .description('A simulated libvirt daemon with QEMU-like domains')
  .requiredOption('--domains <n>', 'running domains at the start', number)
  .requiredOption('--socket <path>', 'UNIX socket to listen on')
  .option('--seed <n>', 'same seed, same host', number, 1)
  .option('--live', 'now and then pause, resume, shut down, start a domain')
  .option('--service-ms <ms>', "time of one answer of a domain's monitor", number, 0)
  .option('--start-ms <ms>', 'time that a QEMU takes to start', number, 0)
  .option('--parallel-starts <n>', 'QEMUs that may be starting at once', number, 8)
  .option('--save-ms <ms>', 'time that the memory of a domain takes to be written', number, 50)
  .option('--commit-ms <ms>', 'time that a commit of a disk image takes', number, 500)
  .option('--with-parent', 'end when stdin ends')
  .parse()
  .opts<Options>();

const { log } = createLogger('warn', 2);
const { domains, seed, startMs, parallelStarts, saveMs, commitMs } = options;
const host = new SimulatedHost({
  clock: systemClock,
  ...{ domains, seed, startMs, parallelStarts: Math.max(1, parallelStarts), saveMs, commitMs },
});
const server = new SimulatorServer({
  host,
  socketPath: options.socket,
  clock: systemClock,
  log,
  serviceTime: { meanMs: options.serviceMs },
});
const life = new LivingHost(host, systemClock);

function say(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

const input = createInterface({ input: process.stdin });

async function end(): Promise<void> {
  input.close();
  process.stdin.destroy();
  await life.stop();
  await server.stop();
}

await server.start();
if (options.live) await life.start();
input.on('line', (line) => void obey(server, line).then(say));
if (options.withParent) input.once('close', () => void end());
process.once('SIGTERM', () => void end());
process.once('SIGINT', () => void end());
say({ ready: true, socket: options.socket });
