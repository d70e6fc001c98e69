/**
 * Configuration: flags over environment over file over the defaults of schema/config.json, validated as a whole.
 *
 * The only reader of process.env. All faults are reported at once, each naming where it came from; unknown keys
 * are faults. The result is frozen and not looked up again.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { Command, CommanderError, Option } from 'commander';
import { parseLibvirtUri } from './libvirt/uri.js';
import { assertSafeEndpoint, parseEndpoint } from './transport/endpoints.js';
import type { LogLevel } from './util/log.js';
import { packageRoot, packageVersion } from './util/package-root.js';
import type { PollPeriods } from './vms/guest-agent/schedule.js';

export interface Config {
  readonly uri: string;
  readonly listen: readonly string[];
  readonly periodSec: number;
  readonly simulate: number;
  readonly insecure: boolean;
  readonly tlsCertFile: string;
  readonly tlsKeyFile: string;
  readonly tlsCaFile: string;
  readonly logLevel: LogLevel;
  readonly commandTimeoutSec: number;
  readonly compareSec: number;
  readonly balloonStatsPeriodSec: number;
  readonly guestAgentPollSec: PollPeriods;
  readonly parallelStarts: number;
  readonly stateDir: string;
  readonly shardSize: number;
  readonly parallelism: number;
  readonly maxSessions: number;
  readonly maxMessageBytes: number;
  readonly maxBatch: number;
  readonly maxInFlight: number;
  readonly maxQueueBytes: number;
  readonly maxTotalQueueBytes: number;
  readonly idlePingSec: number;
  readonly eventRingEvents: number;
  readonly eventRingBytes: number;
}

/** The parts of the environment that are not configuration but tell where things lie. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** One or more faults of the configuration, or a wrong command line; `message` has one line per fault. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Thrown for --help and --version, whose text is already printed. */
export class HelpShown extends Error {
  override readonly name = 'HelpShown';
}

interface ConfigProperty {
  readonly type: 'string' | 'number' | 'integer' | 'boolean' | 'array' | 'object';
  readonly default: unknown;
  readonly description: string;
  readonly 'x-env'?: string;
  readonly 'x-flag'?: string;
  readonly 'x-unit'?: string;
}

interface ConfigSchema {
  readonly $id: string;
  readonly properties: Readonly<Record<string, ConfigProperty>>;
}

type Values = Record<string, unknown>;

export function loadConfigSchema(): ConfigSchema {
  return JSON.parse(readFileSync(join(packageRoot, 'schema', 'config.json'), 'utf8')) as ConfigSchema;
}

/**
 * Reads the configuration of the agent.
 * @param argv arguments after the program's name
 * @throws ConfigError listing every fault; HelpShown after --help or --version
 */
export function loadConfig(argv: readonly string[], env: Environment = process.env): Config {
  const schema = loadConfigSchema();
  const flags = readFlags(schema, argv);
  const gathered = new Gathered(schema);
  const file = flags['config'] ?? env['VDSM_AGENT_CONFIG'];
  if (typeof file === 'string' && file !== '') takeFile(gathered, file);
  takeEnvironment(gathered, schema, env);
  takeFlags(gathered, schema, flags);
  const config = gathered.values as unknown as Config;
  findSemanticFaults(gathered, config, env);
  if (gathered.faults.length > 0) throw new ConfigError(gathered.faults.join('\n'));
  return Object.freeze({
    ...config,
    listen: Object.freeze([...config.listen]),
    guestAgentPollSec: Object.freeze({ ...config.guestAgentPollSec }),
  });
}

/** What `vdsm-client` takes from the environment. */
export function cliEnvironment(env: Environment = process.env): { noColor: boolean; address?: string } {
  const address = env['VDSM_CLIENT_ADDRESS'];
  return { noColor: (env['NO_COLOR'] ?? '') !== '', ...(address ? { address } : {}) };
}

/** The environment as libvirt's socket search needs it. */
export function hostEnvironment(): Environment {
  return process.env;
}

/** The values so far, later ones over earlier ones, where each came from, and what was found wrong. */
class Gathered {
  readonly values: Values;
  readonly faults: string[] = [];
  readonly #origins = new Map<string, string>();
  readonly #validate: ValidateFunction;

  constructor(schema: ConfigSchema) {
    this.values = Object.fromEntries(
      Object.entries(schema.properties).map(([key, property]) => [key, property.default]),
    );
    // The schema itself is checked by a contract test, not at each start.
    const ajv = new Ajv({
      allErrors: true,
      coerceTypes: true,
      // Members of an object that are left out.
      useDefaults: true,
      keywords: ['x-env', 'x-flag', 'x-unit'],
      strict: true,
      validateSchema: false,
      meta: false,
    });
    this.#validate = ajv.compile(schema);
  }

  /** A value that is wrong is a fault and changes nothing; texts become numbers and booleans. */
  take(key: string, value: unknown, origin: string): void {
    const one: Values = { [key]: value };
    if (this.#validate(one)) {
      this.values[key] = one[key];
      this.#origins.set(key, origin);
    } else {
      const errors = this.#validate.errors ?? [];
      this.faults.push(...errors.map((error) => `${origin}: ${sentence(error)}`));
    }
  }

  origin(key: keyof Config): string {
    return this.#origins.get(key) ?? 'default';
  }

  /** Notes what the check of a value throws. */
  check(key: keyof Config, attempt: () => void): void {
    try {
      attempt();
    } catch (error) {
      this.faults.push(`${this.origin(key)}: ${(error as Error).message}`);
    }
  }
}

/** commander's own key for a flag: --log-level -> logLevel. */
function flagKey(flag: string): string {
  return new Option(flag).attributeName();
}

function readFlags(schema: ConfigSchema, argv: readonly string[]): Values {
  const program = new Command('vdsm-agent')
    .description('Host agent for KVM/libvirt with the API of oVirt VDSM: JSON-RPC over WebSocket.')
    .version(packageVersion)
    .option('--config <FILE>', 'JSON file with any of the keys of schema/config.json (VDSM_AGENT_CONFIG)')
    .allowExcessArguments(false)
    .exitOverride();
  for (const property of Object.values(schema.properties)) {
    const flag = property['x-flag'];
    if (flag === undefined) continue;
    const unit = property['x-unit'] === undefined ? '' : ` [${property['x-unit']}]`;
    program.option(
      flag,
      `${property.description}${unit} (${property['x-env'] ?? ''}; default ${shown(property.default)})`,
    );
  }
  program.addHelpText('after', EXAMPLES);
  try {
    program.configureOutput({ writeErr: () => undefined }).parse(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) throw new HelpShown(error.message);
    throw new ConfigError(`${error.message.replace(/^error: /, '')}; see vdsm-agent --help`);
  }
  return program.opts();
}

const EXAMPLES = `
Examples:
  vdsm-agent                                   the local libvirt, or a simulated host where there is none
  vdsm-agent --simulate 20                     20 simulated VMs
  vdsm-agent --uri qemu:///system --listen 127.0.0.1:54321 --listen unix:/run/vdsm-agent.sock
  vdsm-client Host getAllVmStats               ask it (see vdsm-client --help)`;

const shown = (value: unknown): string =>
  value === '' ? 'none' : Array.isArray(value) ? value.join(' ') : String(value);

function takeFlags(gathered: Gathered, schema: ConfigSchema, flags: Values): void {
  for (const [key, { 'x-flag': flag }] of Object.entries(schema.properties)) {
    const value = flag === undefined ? undefined : flags[flagKey(flag)];
    if (flag !== undefined && value !== undefined) gathered.take(key, value, flag.split(' ')[0] ?? flag);
  }
}

/** An empty variable counts as none. */
function takeEnvironment(gathered: Gathered, schema: ConfigSchema, env: Environment): void {
  for (const [key, { type, 'x-env': name }] of Object.entries(schema.properties)) {
    const text = name === undefined ? undefined : env[name];
    if (name === undefined || text === undefined || text === '') continue;
    gathered.take(key, type === 'array' ? text.split(/[\s,]+/).filter((part) => part !== '') : text, name);
  }
}

function takeFile(gathered: Gathered, path: string): void {
  try {
    const values = JSON.parse(readFileSync(path, 'utf8')) as unknown;
    if (typeof values !== 'object' || values === null || Array.isArray(values)) {
      throw new Error('not a JSON object');
    }
    for (const [key, value] of Object.entries(values)) gathered.take(key, value, path);
  } catch (error) {
    gathered.faults.push(`${path}: ${(error as Error).message}`);
  }
}

function sentence(error: ErrorObject): string {
  const key = error.instancePath.slice(1).replaceAll('/', '.');
  if (error.keyword === 'additionalProperties') {
    const name = (error.params as { additionalProperty: string }).additionalProperty;
    return `unknown key ${JSON.stringify(name)}; schema/config.json lists those that exist`;
  }
  const allowed =
    error.keyword === 'enum'
      ? `: ${(error.params as { allowedValues: string[] }).allowedValues.join(', ')}`
      : '';
  return `${key} ${error.message ?? 'is wrong'}${allowed}`;
}

/** What a JSON Schema cannot say. */
function findSemanticFaults(gathered: Gathered, config: Config, env: Environment): void {
  const { uri, listen, simulate, insecure, tlsCertFile, tlsKeyFile, tlsCaFile } = config;
  const tls = tlsCertFile !== '' || tlsKeyFile !== '';
  if (uri !== '') gathered.check('uri', () => parseLibvirtUri(uri, env));
  for (const address of listen) {
    gathered.check('listen', () => assertSafeEndpoint(parseEndpoint(address), { tls, insecure }));
  }
  if (simulate > 0 && uri !== '') {
    const [first, second] = [gathered.origin('simulate'), gathered.origin('uri')];
    gathered.faults.push(`${first} and ${second}: simulate and uri exclude each other, leave one out`);
  }
  if (tls && (tlsCertFile === '' || tlsKeyFile === '')) {
    const given = gathered.origin(tlsCertFile === '' ? 'tlsKeyFile' : 'tlsCertFile');
    gathered.faults.push(`${given}: tlsCertFile and tlsKeyFile go together: give both, or neither`);
  }
  if (tlsCaFile !== '' && !tls) {
    const given = gathered.origin('tlsCaFile');
    gathered.faults.push(
      `${given}: tlsCaFile checks the clients of TLS: give tlsCertFile and tlsKeyFile too`,
    );
  }
}
