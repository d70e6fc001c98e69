/**
 * The schema files as one document: every shared definition under one flat set of names, and references rewritten to
 * them. For what has to stand in a single document: OpenRPC and the generated types.
 *
 * Names: a definition of types.json or events.json keeps its own. A file that is a schema itself is named after the
 * file (vm-stats.json: VmStats), and its definitions get that name as prefix (VmStatsLive).
 */
import { eventsSchema, schemaDocuments, type JsonSchema } from './schema.js';

const { events: _entries, ...eventDefinitions } = eventsSchema;
const documents: Readonly<Record<string, JsonSchema>> = {
  ...schemaDocuments,
  'events.json': eventDefinitions,
};

/** @param place where definitions stand in the document, e.g. `#/$defs/` */
export function bundledDefinitions(place: string): Record<string, unknown> {
  const bundled: Record<string, unknown> = {};
  for (const [file, { $defs, definitions, ...document }] of Object.entries(documents)) {
    for (const [name, schema] of Object.entries({ ...$defs, ...definitions })) {
      bundled[bundledName(file, name)] = bundle(schema, place, file);
    }
    if (isSchema(document)) bundled[bundledName(file)] = bundle(document, place, file);
  }
  return bundled;
}

/**
 * The value with all its references rewritten.
 * @param file where the value comes from, which references without a file name mean
 */
export function bundle(value: unknown, place: string, file = ''): unknown {
  if (Array.isArray(value)) return value.map((item) => bundle(item, place, file));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== '$id' && key !== '$schema')
      .map(([key, member]) => [
        key,
        key === '$ref' && typeof member === 'string'
          ? place + bundledRef(member, file)
          : bundle(member, place, file),
      ]),
  );
}

function bundledRef(ref: string, file: string): string {
  const [target = '', name] = ref.split(/#\/(?:\$defs|definitions)\//);
  return bundledName(target === '' ? file : target, name);
}

function bundledName(file: string, name = ''): string {
  const document = documents[file];
  if (name !== '' && document && !isSchema(document)) return name;
  return camelCase(file.replace(/\.json$/, '')) + camelCase(name);
}

function isSchema(document: JsonSchema): boolean {
  return document.type !== undefined || document.oneOf !== undefined;
}

function camelCase(text: string): string {
  return text.replaceAll(/(?:^|-)([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}
