/**
 * `name=value` words of the command line -> the params object of a verb, guided by its schema.
 *
 * It knows types only as far as needed to tell text from JSON; whether a value is valid the agent decides. Misspelt and
 * missing names are found here, since the agent ignores unknown members as VDSM does.
 */
import { resolveRef } from '../../protocol/schema.js';
import type { JsonSchema, VerbSpec } from '../../protocol/schema.js';
import { UsageError } from './io.js';

export type ReadFile = (path: string) => Promise<string>;
type Params = Record<string, unknown>;

/**
 * @param words `name=value`; `name=@file` takes the value from a file (`@-`: standard input), `@@` is a plain @.
 *   `member=value` and `parameter.member=value` reach into a parameter that is an object.
 * @param base params read from `-f`; words win over them
 * @throws UsageError
 */
export async function parseParameters(
  spec: VerbSpec,
  words: readonly string[],
  base: Readonly<Params>,
  readFile: ReadFile,
): Promise<Params> {
  const params: Params = { ...base };
  const seen = new Set<string>();
  for (const word of words) {
    const at = word.indexOf('=');
    if (at < 1) throw new UsageError(`"${word}" has not the form name=value`);
    const name = word.slice(0, at);
    if (seen.has(name)) throw new UsageError(`${name} is given twice`);
    seen.add(name);
    const { path, schema } = findParameter(spec, name);
    assign(params, path, parseValue(await textOf(word.slice(at + 1), readFile), schema));
  }
  const missing = (spec.params.required ?? []).filter((name) => params[name] === undefined);
  if (missing.length > 0) {
    throw new UsageError(`missing ${missing.length > 1 ? 'parameters' : 'parameter'} ${missing.join(', ')}`);
  }
  return params;
}

/** @throws UsageError where the text is no JSON object */
export function parseParameterFile(text: string, label: string): Params {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${label} is no valid JSON: ${(error as Error).message}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UsageError(`${label} holds no JSON object of parameters`);
  }
  return value as Params;
}

/** A value's text as JSON where the schema asks for something other than text and the JSON is of that type. */
export function parseValue(text: string, schema: JsonSchema): unknown {
  const types = typesOf(schema);
  if (types.includes('string')) return text;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return types.includes('array') ? text.split(',').map((item) => item.trim()) : text;
  }
  return types.length === 0 || hasType(value, types) ? value : text;
}

export function typesOf(schema: JsonSchema): readonly string[] {
  const { type } = resolveRef(schema);
  return type === undefined ? [] : typeof type === 'string' ? [type] : type;
}

function hasType(value: unknown, types: readonly string[]): boolean {
  if (value === null) return types.includes('null');
  if (Array.isArray(value)) return types.includes('array');
  // A fraction given for an integer is sent as the number it is: the agent says what is wrong with it.
  return types.includes(typeof value) || (typeof value === 'number' && types.includes('integer'));
}

async function textOf(value: string, readFile: ReadFile): Promise<string> {
  if (!value.startsWith('@')) return value;
  if (value.startsWith('@@')) return value.slice(1);
  return readFile(value.slice(1));
}

interface Found {
  readonly path: readonly string[];
  readonly schema: JsonSchema;
}

function findParameter(spec: VerbSpec, name: string): Found {
  const top = spec.params.properties ?? {};
  const direct = top[name];
  if (direct) return { path: [name], schema: direct };
  const nested = Object.entries(top).flatMap(([parent, schema]): Found[] =>
    Object.entries(resolveRef(schema).properties ?? {}).flatMap(([member, memberSchema]) =>
      name === member || name === `${parent}.${member}`
        ? [{ path: [parent, member], schema: memberSchema }]
        : [],
    ),
  );
  if (nested.length === 1) return nested[0]!;
  if (nested.length > 1)
    throw new UsageError(`${name} may mean ${nested.map((each) => each.path.join('.')).join(' or ')}`);
  const known = Object.keys(top);
  throw new UsageError(
    `unknown parameter ${name}; ${known.length > 0 ? `there is ${known.join(', ')}` : 'there is none'}`,
  );
}

function assign(params: Params, path: readonly string[], value: unknown): void {
  const [parent, member] = path as [string, string?];
  if (member === undefined) {
    params[parent] = value;
    return;
  }
  const inner = params[parent];
  params[parent] = { ...(typeof inner === 'object' ? inner : undefined), [member]: value };
}
