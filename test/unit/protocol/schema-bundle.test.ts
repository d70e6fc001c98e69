import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bundle, bundledDefinitions } from '../../../src/protocol/schema-bundle.js';
import { resolveRef } from '../../../src/protocol/schema.js';

describe('bundle', () => {
  it('rewrites references to a shared definition, to a whole file and inside of a file', () => {
    const refs = [{ $ref: 'types.json#/$defs/VmId' }, { items: { $ref: 'vm-stats.json' } }];
    assert.deepEqual(bundle(refs, '#/x/'), [{ $ref: '#/x/VmId' }, { items: { $ref: '#/x/VmStats' } }]);
    const inside = { $ref: '#/definitions/down' };
    assert.deepEqual(bundle(inside, '#/x/', 'vm-stats.json'), { $ref: '#/x/VmStatsDown' });
  });

  it('leaves everything but the names of documents as it was', () => {
    const schema = {
      $id: 'a',
      $schema: 'b',
      type: 'object',
      enum: [1, null],
      properties: { x: { minimum: 0 } },
    };
    assert.deepEqual(bundle(schema, '#/'), {
      type: 'object',
      enum: [1, null],
      properties: { x: { minimum: 0 } },
    });
  });

  it('has every definition once, under a name of its own', () => {
    const names = Object.keys(bundledDefinitions('#/'));
    for (const name of ['VmId', 'Health', 'VmStatusParams', 'VmStats', 'VmStatsLive']) {
      assert.ok(names.includes(name), name);
    }
  });
});

describe('resolveRef', () => {
  it('follows references; what stands beside one wins', () => {
    assert.equal(resolveRef({ $ref: 'types.json#/$defs/VmId', description: 'which' }).description, 'which');
    assert.equal(resolveRef({ $ref: 'types.json#/$defs/VmId' }).type, 'string');
    assert.equal(resolveRef({ $ref: 'vm-stats.json' }).title, 'VmStats');
  });

  it('says which reference names nothing', () => {
    assert.throws(() => resolveRef({ $ref: 'types.json#/$defs/Nope' }), /types\.json#\/\$defs\/Nope/);
    assert.throws(() => resolveRef({ $ref: 'nope.json' }), /nope\.json/);
  });
});
