/**
 * Configuration: flags over environment over file over the defaults of schema/config.json, validated as a whole.
 *
 * The only reader of process.env. All faults are reported at once, each naming where it came from; unknown keys
 * are faults. The result is frozen and not looked up again.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import { Command, CommanderError, Option } from 'commander';
import { parseLibvirtUri } from './libvirt/uri.js';
import { parseEndpoint } from './transport/endpoints.js';
import type { LogLevel } from './util/log.js';
import { packageRoot, packageVersion } from './util/package-root.js';

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
  readonly shardSize: number;
  readonly parallelism: number;
  readonly maxSessions: number;
  readonly maxMessageBytes: number;
  readonly maxBatch: number;
  readonly maxInFlight: number;
  readonly maxQueueBytes: number;
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
  readonly type: 'string' | 'number' | 'integer' | 'boolean' | 'array';
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
  const faults: string[] = [];
  const file = flags['config'] ?? env['VDSM_AGENT_CONFIG'];
  const values: Values = {
    ...defaults(schema),
    ...(typeof file === 'string' && file !== '' ? readFile(schema, file, faults) : {}),
    ...readEnvironment(schema, env, faults),
    ...readFlagValues(schema, flags, faults),
  };
  const config = values as unknown as Config;
  faults.push(...semanticFaults(config, env, faults.length > 0));
  if (faults.length > 0) throw new ConfigError(faults.join('\n'));
  return Object.freeze({ ...config, listen: Object.freeze([...config.listen]) });
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

function defaults(schema: ConfigSchema): Values {
  return Object.fromEntries(
    Object.entries(schema.properties).map(([key, property]) => [key, property.default]),
  );
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

function readFlagValues(schema: ConfigSchema, flags: Values, faults: string[]): Values {
  return collect(schema, faults, (property) => {
    const flag = property['x-flag'];
    if (flag === undefined) return undefined;
    return { text: flags[flagKey(flag)], origin: flag.split(' ')[0] ?? flag };
  });
}

function readEnvironment(schema: ConfigSchema, env: Environment, faults: string[]): Values {
  return collect(schema, faults, (property) => {
    const name = property['x-env'];
    if (name === undefined || env[name] === undefined || env[name] === '') return undefined;
    const text = env[name];
    return {
      text: property.type === 'array' ? text.split(/[\s,]+/).filter((part) => part !== '') : text,
      origin: name,
    };
  });
}

function collect(
  schema: ConfigSchema,
  faults: string[],
  find: (property: ConfigProperty) => { text: unknown; origin: string } | undefined,
): Values {
  const values: Values = {};
  for (const [key, property] of Object.entries(schema.properties)) {
    const found = find(property);
    if (found?.text === undefined) continue;
    const one: Values = { [key]: found.text };
    const wrong = check(schema, one, found.origin);
    faults.push(...wrong);
    if (wrong.length === 0) values[key] = one[key];
  }
  return values;
}

function readFile(schema: ConfigSchema, path: string, faults: string[]): Values {
  try {
    const values = JSON.parse(readFileSync(path, 'utf8')) as unknown;
    if (typeof values !== 'object' || values === null || Array.isArray(values)) {
      faults.push(`${path}: not a JSON object`);
      return {};
    }
    const wrong = check(schema, values as Values, path);
    faults.push(...wrong);
    return wrong.length === 0 ? (values as Values) : {};
  } catch (error) {
    faults.push(`${path}: ${(error as Error).message}`);
    return {};
  }
}

/** Validates in place (texts become numbers and booleans); returns one sentence per fault. */
function check(schema: ConfigSchema, values: Values, origin: string): string[] {
  const ajv = new Ajv2020({ allErrors: true, coerceTypes: true, strict: true, allowUnionTypes: true });
  for (const keyword of ['x-env', 'x-flag', 'x-unit']) ajv.addKeyword(keyword);
  const validate = ajv.compile(schema);
  return validate(values) ? [] : (validate.errors ?? []).map((error) => `${origin}: ${sentence(error)}`);
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

/** What a JSON Schema cannot say. Values of the wrong type are skipped: they are reported already. */
function semanticFaults(config: Config, env: Environment, alreadyFaulty: boolean): string[] {
  const faults: string[] = [];
  const attempt = (what: string, parse: () => unknown): void => {
    try {
      parse();
    } catch (error) {
      faults.push(`${what}: ${(error as Error).message}`);
    }
  };
  if (config.uri !== '') attempt('uri', () => parseLibvirtUri(config.uri, env));
  for (const address of config.listen) attempt('listen', () => parseEndpoint(address));
  if (!alreadyFaulty && config.simulate > 0 && config.uri !== '') {
    faults.push(`simulate and uri exclude each other: leave out --simulate to use ${config.uri}`);
  }
  if ((config.tlsCertFile === '') !== (config.tlsKeyFile === '')) {
    faults.push('tlsCertFile and tlsKeyFile go together: give both, or neither');
  }
  return faults;
}
