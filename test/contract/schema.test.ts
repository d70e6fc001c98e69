/**
 * The schema files: well-formed, true to their own examples, and the generated types up to date.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Ajv } from 'ajv';
import { loadConfigSchema } from '../../src/config.js';
import { generateTypes, typesFile } from '../../schema/generate.js';
import { eventsSchema, resolveRef, schemaDocuments } from '../../src/protocol/schema.js';
import { createValidator, ParamsValidator } from '../../src/protocol/validation.js';
import { verbNames, verbSpecs } from '../../src/protocol/verbs.js';
import { packageRoot } from '../../src/util/package-root.js';

/** events.json is no document that verbs refer to, but its own entries do. */
function validatorOfAll(): ReturnType<typeof createValidator> {
  const { events: _events, ...definitions } = eventsSchema;
  const ajv = createValidator({ allErrors: true });
  ajv.addSchema(definitions, 'events.json');
  return ajv;
}

describe('schema files', () => {
  it('are JSON and have a title', () => {
    const files = readdirSync(join(packageRoot, 'schema')).filter((name) => name.endsWith('.json'));
    assert.ok(files.length >= 5);
    for (const name of files) {
      const content = JSON.parse(readFileSync(join(packageRoot, 'schema', name), 'utf8')) as {
        title?: unknown;
      };
      assert.equal(typeof content.title, 'string', name);
    }
  });

  it('compile under ajv in strict mode', () => {
    const ajv = validatorOfAll();
    for (const [file, { $defs = {} }] of Object.entries({
      ...schemaDocuments,
      'events.json': eventsSchema,
    })) {
      ajv.compile({ $ref: file });
      for (const name of Object.keys($defs)) ajv.compile({ $ref: `${file}#/$defs/${name}` });
    }
    for (const verb of verbNames) {
      ajv.compile(verbSpecs[verb].params);
      ajv.compile(verbSpecs[verb].result);
    }
    for (const { params } of Object.values(eventsSchema.events)) ajv.compile(params);
  });

  it('hold the configuration to the same strictness, and its defaults to itself', () => {
    const ajv = new Ajv({ strict: true, allErrors: true, keywords: ['x-env', 'x-flag', 'x-unit'] });
    const schema = loadConfigSchema();
    const validate = ajv.compile(schema);
    const defaults = Object.entries(schema.properties).map(([key, property]) => [key, property.default]);
    assert.equal(validate(Object.fromEntries(defaults)), true, ajv.errorsText(validate.errors));
  });

  it('have generated types that are up to date (node dist/schema/generate.js)', async () => {
    assert.equal(readFileSync(typesFile, 'utf8'), await generateTypes());
  });
});

describe('the schema of verbs', () => {
  const members = [
    'description',
    'params',
    'result',
    'example',
    'changesVm',
    'needsReady',
    'deadlineSec',
    'own',
  ];
  const ajv = validatorOfAll();
  const params = new ParamsValidator();

  for (const verb of verbNames) {
    it(`${verb} is described, takes an object, and its example is valid`, () => {
      const spec = verbSpecs[verb];
      assert.match(spec.description, /^[A-Z].*\.$/);
      assert.deepEqual(
        Object.keys(spec).filter((member) => !members.includes(member)),
        [],
      );
      assert.equal(spec.params.type, 'object');
      const names = Object.keys(spec.params.properties ?? {});
      for (const name of spec.params.required ?? []) assert.ok(names.includes(name), name);
      if (!spec.example) return;
      params.validate(verb, spec.example.params);
      const validate = ajv.compile(spec.result);
      assert.ok(validate(spec.example.result), JSON.stringify(validate.errors));
    });
  }

  it('has a description for every parameter, for the help of the command line', () => {
    for (const verb of verbNames) {
      for (const [name, schema] of Object.entries(verbSpecs[verb].params.properties ?? {})) {
        const { description, type, oneOf } = resolveRef(schema);
        assert.ok(description, `${verb}.${name}`);
        assert.ok(type ?? oneOf, `${verb}.${name}`);
      }
    }
  });

  it('names the VM of every verb that changes one', () => {
    for (const verb of verbNames) {
      if (verbSpecs[verb].changesVm) assert.ok(verbSpecs[verb].params.properties?.['vmID'], verb);
    }
  });
});

describe('events.json', () => {
  const ajv = validatorOfAll();
  for (const [topic, { params, example }] of Object.entries(eventsSchema.events)) {
    it(`${topic} has four parts, the first of them empty, and a valid example`, () => {
      const parts = topic.split('|');
      assert.equal(parts.length, 4);
      assert.equal(parts[0], '');
      const validate = ajv.compile(params);
      assert.ok(validate(example), JSON.stringify(validate.errors));
      assert.equal(validate({ notify_time: 1 }), false, 'an event without a VM');
      assert.equal(validate({ x: {}, notify_time: 1 }), false, 'an event without a status');
    });
  }
});
