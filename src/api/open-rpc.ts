/**
 * The OpenRPC 1.3 document of all verbs, made from the schema files: what rpc.discover answers.
 */
import { errorCatalogue } from '../domain/errors.js';
import { eventsSchema, schemaDocuments, type VerbSpec } from '../protocol/schema.js';
import { verbNames, verbSpecs } from '../protocol/verbs.js';
import { packageVersion } from '../util/package-root.js';

export function openRpcDocument(): Record<string, unknown> {
  return {
    openrpc: '1.3.2',
    info: {
      title: 'vdsm-agent',
      version: packageVersion,
      description: 'VDSM\'s verbs, and our own under Agent. Events are described by "x-events".',
      license: { name: 'Apache-2.0' },
    },
    methods: verbNames.map((name) => method(name, verbSpecs[name])),
    components: { schemas: componentSchemas(), errors: componentErrors() },
    'x-events': local(eventsSchema.events),
  };
}

function method(name: string, verb: VerbSpec): Record<string, unknown> {
  const required = verb.params.required ?? [];
  return {
    name,
    summary: verb.description,
    tags: [{ name: verb.own ? 'agent' : 'vdsm' }],
    paramStructure: 'either',
    params: Object.entries(verb.params.properties ?? {}).map(([parameter, schema]) => ({
      name: parameter,
      ...(schema.description !== undefined && { description: schema.description }),
      required: required.includes(parameter),
      schema: local(schema),
    })),
    result: { name: 'result', schema: local(verb.result) },
    ...(verb.example && {
      examples: [
        {
          name: `${name} example`,
          params: Object.entries(verb.example.params).map(([parameter, value]) => ({
            name: parameter,
            value,
          })),
          result: { name: 'result', value: verb.example.result },
        },
      ],
    }),
  };
}

/** Shared definitions, whole documents under their file's name in camel case (vm-stats.json: VmStats). */
function componentSchemas(): Record<string, unknown> {
  const schemas: Record<string, unknown> = {};
  for (const [file, { $defs, ...document }] of Object.entries({
    ...schemaDocuments,
    'events.json': eventsSchema,
  })) {
    Object.assign(schemas, local($defs ?? {}));
    if (document.type !== undefined) schemas[componentName(file)] = local(document);
  }
  return schemas;
}

function componentErrors(): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(errorCatalogue).map(([key, { code, message }]) => [key, { code, message }]),
  );
}

/** All schemas stand under components in one document, so references lose their file names. */
function local(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(local);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== '$id' && key !== '$schema')
      .map(([key, member]) => [key, key === '$ref' ? localRef(String(member)) : local(member)]),
  );
}

function localRef(ref: string): string {
  const [file = '', name] = ref.split('#/$defs/');
  return `#/components/schemas/${name ?? componentName(file)}`;
}

function componentName(file: string): string {
  return file
    .replace(/\.json$/, '')
    .replaceAll(/(?:^|-)([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}
