/**
 * Generates src/protocol/schema-types.ts from the schema files: `node dist/schema/generate.js`.
 *
 * The file is checked in, so that a reader and an editor see the types; test/contract/schema.test.ts fails when it
 * is out of date.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile, type JSONSchema } from 'json-schema-to-typescript';
import { bundle, bundledDefinitions } from '../src/protocol/schema-bundle.js';
import { verbsSchema, type JsonSchema } from '../src/protocol/schema.js';
import { packageRoot } from '../src/util/package-root.js';

export const typesFile = join(packageRoot, 'src/protocol/schema-types.ts');

const place = '#/$defs/';

const banner = `/**
 * Types of verbs, records and events. Generated from schema/*.json by schema/generate.ts: do not edit.
 */
/* eslint-disable */`;

/** The text that schema-types.ts has to have. */
export async function generateTypes(): Promise<string> {
  const combined = {
    title: 'VerbTypes',
    type: 'object',
    properties: Object.fromEntries(
      Object.entries(verbsSchema.verbs).map(([name, verb]) => [
        name,
        {
          type: 'object',
          properties: {
            params: bundle(verb.params, place),
            input: bundle(withDefaults(verb.params), place),
            result: bundle(verb.result, place),
          },
          required: ['params', 'input', 'result'],
          additionalProperties: false,
        },
      ]),
    ),
    required: Object.keys(verbsSchema.verbs),
    additionalProperties: false,
    $defs: bundledDefinitions(place),
  };
  const text = await compile(bareRefs(combined) as JSONSchema, 'VerbTypes', {
    bannerComment: banner,
    // Unknown members are accepted on the wire, but no program of ours sends them: a misspelt one must not compile.
    additionalProperties: false,
    unreachableDefinitions: true,
    style: { printWidth: 110, singleQuote: true, trailingComma: 'all' },
  });
  return text.replaceAll(provenance, '').replaceAll(anInterface, 'export type $1 = {\n$2};\n');
}

/** A remark of the generator under each definition that says nothing. */
const provenance =
  / \*\n \* This interface was referenced by .*\n \* via the .*\n(?= \*\/)|\/\*\*\n \* This interface was referenced by .*\n \* via the .*\n \*\/\n/g;

/** Only a type alias can be passed where any Record<string, unknown> is taken. */
const anInterface = /^export interface (\w+) \{\n([^]*?)^\}\n/gm;

/** A handler always finds parameters that have a default, since validation fills them in. */
function withDefaults(params: JsonSchema): JsonSchema {
  const properties = Object.entries(params.properties ?? {});
  const defaulted = properties.filter(([, schema]) => schema.default !== undefined).map(([name]) => name);
  return { ...params, required: [...(params.required ?? []), ...defaulted] };
}

/** Descriptions beside a `$ref` would make a second type of the one referred to. */
function bareRefs(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(bareRefs);
  if (typeof value !== 'object' || value === null) return value;
  if ('$ref' in value && typeof value.$ref === 'string') return { $ref: value.$ref };
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, bareRefs(member)]));
}

if (process.argv[1] === import.meta.filename) writeFileSync(typesFile, await generateTypes());
