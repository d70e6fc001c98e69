import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openRpcDocument } from '../../../src/api/open-rpc.js';
import { createValidator } from '../../../src/protocol/validation.js';
import { verbNames, verbSpecs } from '../../../src/protocol/verbs.js';
import { Fixture } from './fixture.js';

const document = openRpcDocument();

/** The parts of the OpenRPC 1.3 meta-schema that a document of ours can get wrong. */
const schemaOfDocument = {
  type: 'object',
  required: ['openrpc', 'info', 'methods', 'components'],
  properties: {
    openrpc: { type: 'string', pattern: '^1\\.3\\.\\d+$' },
    info: {
      type: 'object',
      required: ['title', 'version'],
      properties: { title: { type: 'string' }, version: { type: 'string', minLength: 5 } },
    },
    methods: {
      type: 'array',
      items: {
        type: 'object',
        required: ['name', 'summary', 'params', 'result'],
        properties: {
          name: { type: 'string' },
          summary: { type: 'string', minLength: 1 },
          paramStructure: { enum: ['by-name', 'by-position', 'either'] },
          params: { type: 'array', items: { $ref: '#/$defs/content' } },
          result: { $ref: '#/$defs/content' },
        },
      },
    },
    components: {
      type: 'object',
      required: ['schemas', 'errors'],
      properties: {
        schemas: { type: 'object', additionalProperties: { type: 'object' } },
        errors: {
          type: 'object',
          additionalProperties: {
            type: 'object',
            required: ['code', 'message'],
            properties: { code: { type: 'integer' }, message: { type: 'string' } },
          },
        },
      },
    },
  },
  $defs: {
    content: {
      type: 'object',
      required: ['name', 'schema'],
      properties: { name: { type: 'string' }, required: { type: 'boolean' }, schema: { type: 'object' } },
    },
  },
};

function refsIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) =>
    key === '$ref' ? [String(member)] : refsIn(member),
  );
}

describe('rpc.discover', () => {
  it('is an OpenRPC document', () => {
    const validate = createValidator({ strict: false, allErrors: true }).compile(schemaOfDocument);
    assert.ok(validate(document), JSON.stringify(validate.errors));
  });

  it('describes every verb with its parameters in order', () => {
    const methods = document['methods'] as { name: string; params: { name: string; required: boolean }[] }[];
    assert.deepEqual(
      methods.map(({ name }) => name),
      verbNames,
    );
    for (const { name, params } of methods) {
      const { properties = {}, required = [] } = verbSpecs[name as keyof typeof verbSpecs].params;
      assert.deepEqual(
        params.map((parameter) => parameter.name),
        Object.keys(properties),
      );
      assert.deepEqual(
        params.filter((parameter) => parameter.required).map((parameter) => parameter.name),
        required,
      );
    }
  });

  it('has a target for every reference', () => {
    const refs = refsIn(document);
    assert.ok(refs.length > 10);
    for (const ref of refs) {
      const steps = ref.replace('#/', '').split('/');
      const target = steps.reduce<unknown>((at, step) => (at as Record<string, unknown>)[step], document);
      assert.equal(typeof target, 'object', ref);
    }
  });

  it('is what the verb answers', async () => {
    assert.deepEqual((await new Fixture().call('rpc.discover')).result, JSON.parse(JSON.stringify(document)));
  });
});
