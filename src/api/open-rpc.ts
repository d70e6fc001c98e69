/**
 * The OpenRPC 1.3 document of all verbs, made from the schema files: what rpc.discover answers.
 */
import { errorCatalogue } from '../domain/errors.js';
import { bundle, bundledDefinitions } from '../protocol/schema-bundle.js';
import { eventsSchema, type VerbSpec } from '../protocol/schema.js';
import { verbNames, verbSpecs } from '../protocol/verbs.js';
import { packageVersion } from '../util/package-root.js';

const place = '#/components/schemas/';

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
    components: { schemas: bundledDefinitions(place), errors: componentErrors() },
    'x-events': bundle(eventsSchema.events, place),
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
      schema: bundle(schema, place),
    })),
    result: { name: 'result', schema: bundle(verb.result, place) },
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

function componentErrors(): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(errorCatalogue).map(([key, { code, message }]) => [key, { code, message }]),
  );
}
