import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RpcError, until } from './rpc-client.js';
import { withServer } from './server-fixture.js';
import type { Fixture } from './server-fixture.js';

const code = (expected: number) => (error: unknown) => error instanceof RpcError && error.code === expected;

describe('streams of the simulated daemon', () => {
  const ok = 0;
  const abort = 1;

  async function screenshot({ open, host }: Fixture) {
    const client = await open();
    const { name, uuid, id } = host.require('vm-0001');
    const args = { dom: { name, uuid, id }, screen: 0, flags: 0 };
    assert.deepEqual(await client.call('DOMAIN_SCREENSHOT', args), { mimeType: 'image/png' });
    const serial = client.lastSerial;
    await until(() => client.streams.get(serial)?.parts.at(-1)?.length === 0);
    return { client, serial, args, stream: client.streams.get(serial)! };
  }

  it('carry a picture, an empty packet, and the daemon’s word when the client has finished', () =>
    withServer({}, async (fixture) => {
      const { client, serial, stream } = await screenshot(fixture);
      const picture = Buffer.concat(stream.parts);
      assert.equal(picture.toString('latin1', 0, 8), '\x89PNG\r\n\x1a\n');
      assert.deepEqual([picture.readUInt32BE(16), picture.readUInt32BE(20)], [320, 200]);
      assert.equal(stream.confirmed, false);
      client.endStream('DOMAIN_SCREENSHOT', serial + 1, ok);
      client.endStream('DOMAIN_SAVE', serial, ok);
      client.endStream('DOMAIN_SCREENSHOT', serial, ok);
      await until(() => stream.confirmed);
      assert.equal(client.streams.size, 1, 'streams that are not open are ignored');
    }));

  it('end where the client gives them up', () =>
    withServer({}, async (fixture) => {
      const { client, serial, stream } = await screenshot(fixture);
      client.endStream('DOMAIN_SCREENSHOT', serial, abort);
      await until(() => stream.confirmed);
    }));

  it('are of the domain’s first screen alone', () =>
    withServer({}, async (fixture) => {
      const { client, args } = await screenshot(fixture);
      await assert.rejects(client.call('DOMAIN_SCREENSHOT', { ...args, screen: 1 }), code(55));
      const reader = await fixture.open(1);
      await assert.rejects(reader.call('DOMAIN_SCREENSHOT', args), code(29));
    }));

  it('cost a client that finishes none its connection', () =>
    withServer({}, async (fixture) => {
      const { client, args } = await screenshot(fixture);
      for (let i = 0; i < 64; i++) client.call('DOMAIN_SCREENSHOT', args).catch(() => undefined);
      await until(() => client.closed);
    }));
});
