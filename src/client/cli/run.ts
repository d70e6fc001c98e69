/**
 * vdsm-client without its process: the command tree, built from the verbs' schema, and the mapping of every failure to
 * one line on standard error and an exit code.
 *
 * Adding a verb to schema/verbs/ adds its command and its help; nothing is to be done here.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { notOffered, verbsSchema } from '../../protocol/schema.js';
import type { VerbSpec } from '../../protocol/schema.js';
import { packageVersion } from '../../util/package-root.js';
import { parseAddress } from '../address.js';
import { ConnectionError, DeadlineError, VdsmError } from '../errors.js';
import { callVerb } from './call.js';
import type { Target } from './target.js';
import { followEvents } from './events.js';
import { verbHelp } from './help.js';
import { ExitCode, UsageError } from './io.js';
import type { CliDefaults, CliIo } from './io.js';
import { listVms } from './list.js';
import { waitRules } from './wait-rules.js';

/** A guest without agent is Up after a minute, a large one may boot for minutes. */
const DEFAULT_WAIT_SEC = 600;
const NAMESPACES = [...new Set(Object.keys(verbsSchema.verbs).map((name) => name.split('.')[0]!))];

const EPILOGUE = `
Values are JSON where the parameter's type asks for it, else text; name=@file reads a file.
Output is JSON on a pipe, for people on a terminal.

Exit codes:
  0  done
  1  the agent answered with an error
  2  wrong usage; nothing was sent
  3  no connection, or no answer in time
  4  the output could not be written

Examples:
  vdsm-client list
  vdsm-client Host getAllVmStats | jq '.[].status'
  vdsm-client VM getStats vmID=ff4e9e8a-0e9c-4e3b-9d8c-6a2f2d3c7b11
  vdsm-client VM create xml=@vm.xml --wait
  vdsm-client VM shutdown vmID=ff4e9e8a-0e9c-4e3b-9d8c-6a2f2d3c7b11 --wait
  vdsm-client -a unix:/run/vdsm-agent.sock events`;

/** Runs one command line (without node and script). Resolves to the exit code; never rejects. */
export async function runCli(argv: readonly string[], io: CliIo, defaults: CliDefaults): Promise<number> {
  try {
    await buildProgram(io, defaults).parseAsync(withNamespaceCase(argv), { from: 'user' });
    return ExitCode.ok;
  } catch (error) {
    return report(error, io);
  }
}

function buildProgram(io: CliIo, defaults: CliDefaults): Command {
  const program = new Command('vdsm-client')
    .description('Calls a vdsm-agent, lists its VMs, follows its events.')
    .version(packageVersion)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.out.write(text),
      writeErr: (text) => io.err.write(text),
      outputError: (text, write) => write(`vdsm-client: ${oneLine(text.replace(/^error: /, ''))}\n`),
      getOutHelpWidth: () => io.out.columns ?? 80,
      getErrHelpWidth: () => io.err.columns ?? 80,
      getOutHasColors: () => io.out.colours,
      getErrHasColors: () => io.err.colours,
    })
    .helpCommand(false)
    .option(
      '-a, --address <address>',
      'host[:port], ws://…, wss://… or unix:/path',
      checkAddress,
      defaults.address,
    )
    .option('-t, --timeout <seconds>', 'longest wait for an answer', checkSeconds, 60)
    .addHelpText('after', EPILOGUE);
  const target = (): Target => {
    const { address, timeout } = program.opts<{ address: string; timeout: number }>();
    return { address, timeoutMs: timeout * 1000 };
  };
  addList(program, io, target);
  program
    .command('events')
    .description('Follow status events of VMs; JSON lines on a pipe.')
    .action(() => followEvents(io, target()));
  for (const namespace of NAMESPACES) addNamespace(program, namespace, io, target);
  return program;
}

function addList(program: Command, io: CliIo, target: () => Target): void {
  program
    .command('list')
    .description('List the VMs with status, CPU, memory and age.')
    .argument('[format]', 'table, which is also the default', checkFormat, 'table')
    .addOption(new Option('--json', 'a JSON array instead').default(false))
    .action((_format: string, { json }: { json: boolean }) => listVms(io, target(), json));
}

function addNamespace(program: Command, namespace: string, io: CliIo, target: () => Target): void {
  const parent = program
    .command(namespace)
    .description(`Verbs of ${namespace}.`)
    .usage('<method> [name=value ...] [-f file|-]');
  for (const [name, spec] of Object.entries(verbsSchema.verbs)) {
    if (name.startsWith(`${namespace}.`)) addVerb(parent, { name, spec }, io, target);
  }
  for (const [name, why] of notOffered) {
    if (!name.startsWith(`${namespace}.`)) continue;
    // Known to VDSM: "unknown command" would send people looking for a misspelling.
    parent
      .command(name.slice(namespace.length + 1), { hidden: true })
      .argument('[words...]')
      .action(() => {
        throw new UsageError(`${name} is not offered by this agent: ${why}`);
      });
  }
}

function addVerb(
  parent: Command,
  verb: { readonly name: string; readonly spec: VerbSpec },
  io: CliIo,
  target: () => Target,
): void {
  const rule = waitRules[verb.name];
  const command = parent
    .command(verb.name.slice(verb.name.indexOf('.') + 1))
    .description(verb.spec.description)
    .usage('[name=value ...] [-f file|-]')
    .argument('[name=value...]', 'parameters')
    .option('-f, --file <file>', 'read parameters from a file that holds a JSON object; - is standard input')
    .configureHelp({ visibleArguments: () => [] })
    .addHelpText('after', () => verbHelp(verb.name, verb.spec, io.out.columns ?? 80))
    .action(async (words: string[], { file, wait }: { file?: string; wait?: number | true }) => {
      try {
        const waitSec = wait === true ? DEFAULT_WAIT_SEC : wait;
        await callVerb(io, target(), verb, { words, file, waitSec });
      } catch (error) {
        throw inContext(error, verb.name);
      }
    });
  if (rule) {
    const help = `show each status until ${rule.until} (${DEFAULT_WAIT_SEC} s at most)`;
    command.option('-w, --wait [seconds]', help, checkSeconds);
  }
}

/** Says which verb failed, and where its help is. */
function inContext(error: unknown, name: string): unknown {
  if (error instanceof VdsmError) return new VdsmError(error.code, `${name} failed: ${error.message}`);
  if (!(error instanceof UsageError)) return error;
  return new UsageError(`${name}: ${error.message} (see vdsm-client ${name.replace('.', ' ')} -h)`);
}

function report(error: unknown, io: CliIo): number {
  const say = (text: string): void => io.err.write(`vdsm-client: ${oneLine(text)}\n`);
  if (error instanceof CommanderError) {
    // Commander has written its message, or the help that was asked for.
    return error.exitCode === 0 ? ExitCode.ok : ExitCode.usage;
  }
  if (io.interrupted.aborted) return ExitCode.interrupted;
  if (error instanceof UsageError) {
    say(error.message);
    return ExitCode.usage;
  }
  if (error instanceof VdsmError) {
    say(`${error.message} (code ${error.code})`);
    return ExitCode.verbError;
  }
  if (error instanceof ConnectionError || error instanceof DeadlineError) {
    say(error instanceof ConnectionError ? connectionText(error) : error.message);
    return ExitCode.connection;
  }
  say((error as NodeJS.ErrnoException).message);
  return ExitCode.usage;
}

function oneLine(text: string): string {
  return text.trim().replaceAll(/\s*\n\s*/g, ' ');
}

function connectionText(error: ConnectionError): string {
  const nobody = error.systemCode === 'ECONNREFUSED' || error.systemCode === 'ENOENT';
  return nobody ? `${error.message}. Is the agent running? Start it with: vdsm-agent` : error.message;
}

/** Namespaces in any case, as oVirt's client takes them: only the first word that is no option is looked at. */
function withNamespaceCase(argv: readonly string[]): string[] {
  const at = argv.findIndex((word, index) => !word.startsWith('-') && !takesValue(argv[index - 1]));
  const namespace = NAMESPACES.find((name) => name.toLowerCase() === argv[at]?.toLowerCase());
  return argv.map((word, index) => (index === at && namespace !== undefined ? namespace : word));
}

function takesValue(word: string | undefined): boolean {
  return word !== undefined && ['-a', '--address', '-t', '--timeout'].includes(word);
}

function checkAddress(text: string): string {
  try {
    parseAddress(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
  return text;
}

function checkSeconds(text: string): number {
  const seconds = Number(text);
  if (text.trim() === '' || !(seconds > 0 && seconds <= 86_400)) {
    throw new InvalidArgumentError('It is a number of seconds, above 0 and 86400 at most.');
  }
  return seconds;
}

function checkFormat(text: string): string {
  if (text !== 'table') throw new InvalidArgumentError('The only format is table; --json prints JSON.');
  return text;
}
