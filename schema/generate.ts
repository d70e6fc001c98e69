/**
 * Generates src/protocol/schema-types.ts from the schema files: `node dist/schema/generate.js`.
 *
 * The file is checked in, so that a reader and an editor see the types; test/contract/schema.test.ts fails when it
 * is out of date.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile, type JSONSchema } from 'json-schema-to-typescript';
import {
  eventsSchema,
  typesSchema,
  verbsSchema,
  vmStatsSchema,
  type JsonSchema,
} from '../src/protocol/schema.js';
import { packageRoot } from '../src/util/package-root.js';

export const typesFile = join(packageRoot, 'src/protocol/schema-types.ts');

const banner = `/**
 * Types of verbs, records and events. Generated from schema/*.json by schema/generate.ts: do not edit.
 */
/* eslint-disable */`;

/** The text that schema-types.ts has to have. */
export async function generateTypes(): Promise<string> {
  const { $defs: vmStatsDefs = {}, ...vmStats } = vmStatsSchema;
  const combined = {
    title: 'VerbTypes',
    type: 'object',
    properties: Object.fromEntries(
      Object.entries(verbsSchema.verbs).map(([name, verb]) => [
        name,
        {
          type: 'object',
          properties: {
            params: verb.params,
            input: { ...verb.params, required: [...(verb.params.required ?? []), ...defaulted(verb.params)] },
            result: verb.result,
          },
          required: ['params', 'input', 'result'],
          additionalProperties: false,
        },
      ]),
    ),
    required: Object.keys(verbsSchema.verbs),
    additionalProperties: false,
    $defs: { ...typesSchema.$defs, ...eventsSchema.$defs, ...vmStatsDefs, VmStats: vmStats },
  };
  const text = await compile(toLocalRefs(combined) as JSONSchema, 'VerbTypes', {
    bannerComment: banner,
    // Unknown members are accepted on the wire, but no program of ours sends them: a misspelt one must not compile.
    additionalProperties: false,
    unreachableDefinitions: true,
    style: { printWidth: 110, singleQuote: true, trailingComma: 'all' },
  });
  return text.replaceAll(provenance, '');
}

/** A remark of the generator under each definition that says nothing. */
const provenance =
  / \*\n \* This interface was referenced by .*\n \* via the .*\n(?= \*\/)|\/\*\*\n \* This interface was referenced by .*\n \* via the .*\n \*\/\n/g;

/** Parameters that a handler always finds, since validation fills them in. */
function defaulted(params: JsonSchema): string[] {
  const properties = params.properties ?? {};
  return Object.keys(properties).filter((name) => properties[name]?.default !== undefined);
}

/** All definitions stand in one document here, so references lose their file names, and what stands beside them. */
function toLocalRefs(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toLocalRefs);
  if (typeof value !== 'object' || value === null) return value;
  if ('$ref' in value && typeof value.$ref === 'string') return { $ref: localRef(value.$ref) };
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== '$id' && key !== '$schema')
      .map(([key, member]) => [key, toLocalRefs(member)]),
  );
}

/** A reference to a whole file is to the one file that is one record. */
function localRef(ref: string): string {
  return `#/$defs/${ref.split('#/$defs/')[1] ?? 'VmStats'}`;
}

if (process.argv[1] === import.meta.filename) writeFileSync(typesFile, await generateTypes());
