/**
 * The simulated host as a process of its own:
 *
 *   node process.js --domains N --socket PATH [--seed S] [--live] [--service-ms X] [--with-parent]
 *
 * Prints one JSON line `{"ready":true,"socket":PATH}` on stdout. Reads commands as JSON lines on stdin,
 * each answered by one JSON line: {"hang":"vm-0001"}, {"release":"vm-0001"}, {"event-burst":N},
 * {"kill":true}, {"restart":true}. Ends on SIGTERM and SIGINT, and with --with-parent when stdin ends.
 */
import { createInterface } from 'node:readline';
import { Command, InvalidArgumentError } from 'commander';
import { createLogger } from '../util/log.js';
import { systemClock } from '../util/time.js';
import { LivingHost, eventBurst } from './living-host.js';
import { SimulatedHost } from './simulated-host.js';
import { SimulatorServer } from './simulator-server.js';

interface Options {
  readonly domains: number;
  readonly socket: string;
  readonly seed: number;
  readonly live?: true;
  readonly serviceMs: number;
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
  .option('--with-parent', 'end when stdin ends')
  .parse()
  .opts<Options>();

const log = createLogger('warn', 2);
const host = new SimulatedHost({ clock: systemClock, domains: options.domains, seed: options.seed });
const server = new SimulatorServer({
  host,
  socketPath: options.socket,
  clock: systemClock,
  log,
  serviceTime: { meanMs: options.serviceMs },
});
const life = new LivingHost(host, systemClock);

/** What a command does; the value answers it. */
const commands: Readonly<Record<string, (argument: unknown) => unknown>> = {
  hang: (domain) => server.hang(String(domain)),
  release: (domain) => server.release(String(domain)),
  'event-burst': (count) => eventBurst(host, Number(count)),
  kill: () => server.kill(),
  restart: () => server.start(),
};

async function obey(line: string): Promise<object> {
  try {
    const [[name, argument] = ['', undefined]] = Object.entries(JSON.parse(line) as object);
    const command = commands[name];
    if (!command) throw new Error(`unknown command '${name}'`);
    const result = await command(argument);
    return { ok: true, ...(result !== undefined && { result }) };
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}

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
input.on('line', (line) => void obey(line).then(say));
if (options.withParent) input.once('close', () => void end());
process.once('SIGTERM', () => void end());
process.once('SIGINT', () => void end());
say({ ready: true, socket: options.socket });
