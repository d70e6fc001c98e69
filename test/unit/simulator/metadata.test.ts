import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RpcError } from './rpc-client.js';
import { withServer } from './server-fixture.js';

const code = (expected: number) => (error: unknown) => error instanceof RpcError && error.code === expected;

describe('metadata of a simulated domain', () => {
  it('keeps metadata, title and description of a domain', () =>
    withServer({}, async ({ open, host }) => {
      const client = await open();
      const domain = host.require('vm-0001');
      const dom = { name: domain.name, uuid: domain.uuid, id: domain.id };
      const element = { dom, type: 2, key: 'x', uri: 'urn:x', flags: 0 };
      await assert.rejects(client.call('DOMAIN_GET_METADATA', element), code(80));
      await client.call('DOMAIN_SET_METADATA', { ...element, metadata: '<a><b>1</b></a>' });
      const { metadata } = await client.call('DOMAIN_GET_METADATA', element);
      assert.equal(metadata, '<a>\n  <b>1</b>\n</a>');
      const { xml } = await client.call('DOMAIN_GET_XML_DESC', { dom, flags: 0 });
      assert.match(xml, /<x:a xmlns:x="urn:x">\s*<x:b>1<\/x:b>/);
      await client.call('DOMAIN_SET_METADATA', element);
      await assert.rejects(client.call('DOMAIN_GET_METADATA', element), code(80));
      await client.call('DOMAIN_SET_METADATA', { dom, type: 1, metadata: 'a title', flags: 0 });
      assert.equal(
        (await client.call('DOMAIN_GET_METADATA', { dom, type: 1, flags: 0 })).metadata,
        'a title',
      );
    }));

  it('keeps metadata of a running domain and of its definition apart', () =>
    withServer({}, async ({ open, host }) => {
      const [LIVE, CONFIG] = [1, 2];
      const client = await open();
      const domain = host.require('vm-0001');
      const dom = { name: domain.name, uuid: domain.uuid, id: domain.id };
      const element = { dom, type: 2, key: 'x', uri: 'urn:x' };
      const get = async (flags: number) =>
        (await client.call('DOMAIN_GET_METADATA', { ...element, flags })).metadata;
      const set = (metadata: string | undefined, flags: number) =>
        client.call('DOMAIN_SET_METADATA', {
          ...element,
          flags,
          ...(metadata !== undefined && { metadata }),
        });
      await set('<a>live</a>', LIVE);
      await assert.rejects(get(CONFIG), code(80));
      await set('<a>next</a>', CONFIG);
      assert.deepEqual([await get(LIVE), await get(CONFIG)], ['<a>live</a>', '<a>next</a>']);
      await assert.rejects(get(LIVE | CONFIG), code(8));
      await assert.rejects(set('<a', LIVE | CONFIG), code(35));
      await assert.rejects(client.call('DOMAIN_SET_METADATA', { dom, type: 7, flags: 1 }), code(8));
      host.lifecycle.destroy(domain, false);
      host.lifecycle.start(domain, false);
      assert.equal(await get(LIVE), '<a>next</a>', 'a start takes the definition');
      await set(undefined, LIVE | CONFIG);
      await set(undefined, LIVE | CONFIG);
      await assert.rejects(get(LIVE), code(80));
      await client.call('DOMAIN_UNDEFINE', { dom });
      await assert.rejects(set('<a/>', CONFIG), code(55));
    }));
});
