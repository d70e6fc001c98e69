/**
 * The schema files as data: the source of truth of verbs, records and events, read once from the package.
 *
 * It does not validate (validation.ts) and knows no verb by name (verbs.ts, typed from the same files).
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../util/package-root.js';

/** The part of JSON Schema that the agent's files use, as far as programs other than ajv read it. */
export interface JsonSchema {
  readonly $id?: string;
  readonly $ref?: string;
  readonly title?: string;
  readonly description?: string;
  readonly type?: string | readonly string[];
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly additionalProperties?: boolean | JsonSchema;
  readonly oneOf?: readonly JsonSchema[];
  readonly $defs?: Readonly<Record<string, JsonSchema>>;
  /** The older name of `$defs`. */
  readonly definitions?: Readonly<Record<string, JsonSchema>>;
}

/** One verb of schema/verbs/*.json. */
export interface VerbSpec {
  readonly description: string;
  /** An object schema; `properties` are in VDSM's order, which positional parameters follow. */
  readonly params: JsonSchema;
  readonly result: JsonSchema;
  readonly example?: { readonly params: Readonly<Record<string, unknown>>; readonly result: unknown };
  /** It causes events of the VM named by `vmID`, which are held back until the reply is queued. */
  readonly changesVm?: boolean;
  /** False: answers also before recovery has ended. */
  readonly needsReady?: boolean;
  /** Longest time to an answer; the default is 60. */
  readonly deadlineSec?: number;
  /** True: this agent's verb, unknown to VDSM. */
  readonly own?: boolean;
}

/** One entry of events.json; its key is the topic with `<vmId>` for the id. */
export interface EventSpec {
  readonly description: string;
  readonly params: JsonSchema;
  readonly example?: unknown;
}

function read(file: string): unknown {
  return JSON.parse(readFileSync(join(packageRoot, 'schema', file), 'utf8'));
}

export const typesSchema = read('types.json') as JsonSchema;
/** One record of statistics. */
export const vmStatsSchema = read('vm-stats.json') as JsonSchema;
export const eventsSchema = read('events.json') as JsonSchema & {
  readonly events: Readonly<Record<string, EventSpec>>;
};
/** In the order in which help and documents list them. */
const verbFiles = ['host', 'vm-life', 'vm-devices', 'vm-tuning', 'vm-disks', 'vm-guest', 'agent'];
export const verbsSchema = {
  verbs: Object.fromEntries(
    verbFiles.flatMap((file) =>
      Object.entries((read(`verbs/${file}.json`) as { readonly verbs: Record<string, VerbSpec> }).verbs),
    ),
  ) as Readonly<Record<string, VerbSpec>>,
};
/** VDSM's verbs that are not served, each with the reason as a clause. */
export const notOffered: ReadonlyMap<string, string> = new Map(
  Object.entries((read('not-offered.json') as { readonly verbs: Record<string, string> }).verbs),
);

/** Documents that a `$ref` may name, by the name it uses. */
export const schemaDocuments: Readonly<Record<string, JsonSchema>> = {
  'types.json': typesSchema,
  'vm-stats.json': vmStatsSchema,
};

/** Follows `$ref`, to a whole document or to its `$defs`. Members beside the `$ref` (a description) win. */
export function resolveRef(schema: JsonSchema): JsonSchema {
  if (schema.$ref === undefined) return schema;
  const { $ref, ...beside } = schema;
  const [file = '', name] = $ref.split('#/$defs/');
  const document = schemaDocuments[file];
  const target = name === undefined ? document : document?.$defs?.[name];
  if (!target) throw new Error(`schema: ${$ref} names nothing`);
  return { ...resolveRef(target), ...beside };
}
