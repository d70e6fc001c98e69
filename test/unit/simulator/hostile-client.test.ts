import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { procedures } from '../../../src/libvirt/procedures.js';
import {
  HEADER_BYTES,
  PacketStatus,
  PacketType,
  Program,
  PROTOCOL_VERSION,
  writeHeader,
} from '../../../src/libvirt/wire.js';
import type { PacketHeader } from '../../../src/libvirt/wire.js';
import { RpcClient, until } from './rpc-client.js';
import { withServer } from './server-fixture.js';
import type { Fixture } from './server-fixture.js';

function packet(header: Partial<PacketHeader>, body: Uint8Array): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(HEADER_BYTES), body]);
  writeHeader(bytes, {
    program: Program.remote,
    version: PROTOCOL_VERSION,
    procedure: 1,
    type: PacketType.call,
    serial: 9,
    status: PacketStatus.ok,
    ...header,
  });
  return bytes;
}

async function stillServes({ open }: Fixture): Promise<void> {
  const client = await open();
  assert.equal((await client.call('CONNECT_LIST_ALL_DOMAINS', { needResults: 0, flags: 0 })).ret > 0, true);
  client.close();
}

/** Sends bytes, then closes once the daemon has taken or refused them. */
async function send(path: string, bytes: Uint8Array, open: boolean): Promise<void> {
  const client = open ? await RpcClient.open(path) : await RpcClient.connect(path);
  await new Promise<void>((resolve) => {
    client.socket.once('close', () => resolve());
    client.socket.end(bytes);
    client.socket.resume();
  });
}

describe('bytes that no client of libvirt sends', () => {
  it('never end the daemon', () =>
    withServer({}, async (fixture) => {
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
          await send(fixture.path, bytes, false);
        }),
        { numRuns: 100 },
      );
      await stillServes(fixture);
    }));

  it('never end the daemon inside a packet of any procedure', () =>
    withServer({}, async (fixture) => {
      const numbers = Object.values(procedures).map(({ number }) => number);
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom(...numbers, 0, 444, 0xffff_ffff),
          fc.array(fc.oneof(fc.integer({ min: 0, max: 40 }), fc.nat(0xffff_ffff)), { maxLength: 40 }),
          fc.nat(3),
          async (procedure, words, cut) => {
            const body = Buffer.alloc(words.length * 4);
            words.forEach((word, index) => body.writeUInt32BE(word, index * 4));
            const bytes = packet({ procedure }, body.subarray(0, Math.max(0, body.length - cut)));
            await send(fixture.path, bytes, true);
          },
        ),
        { numRuns: 300 },
      );
      await stillServes(fixture);
    }));

  it('close the connection where the framing is lost', () =>
    withServer({}, async ({ connect }) => {
      for (const length of [0, 27, 33_554_437, 0xffff_ffff]) {
        const client = await connect();
        const word = Buffer.alloc(4);
        word.writeUInt32BE(length);
        client.socket.write(word);
        await until(() => client.closed);
      }
    }));

  it('are ignored where they are well-formed but no call', () =>
    withServer({}, async ({ open }) => {
      const client = await open();
      for (const type of [1, 2, 3, 6, 77]) client.socket.write(packet({ type }, Buffer.alloc(8)));
      client.socket.write(packet({ program: Program.keepalive, procedure: 7, type: 2 }, Buffer.alloc(0)));
      client.socket.write(packet({ program: Program.keepalive, procedure: 1, type: 0 }, Buffer.alloc(0)));
      assert.deepEqual(await client.call('CONNECT_GET_TYPE', undefined), { type: 'QEMU' });
      assert.deepEqual(client.keepalives, []);
    }));

  it('get error 39 where program, version, procedure, status or arguments are wrong', () =>
    withServer({}, async ({ open }) => {
      const client = await open();
      const replies: string[] = [];
      client.socket.on('data', (chunk: Buffer) => {
        for (let at = 0; at < chunk.length; at += chunk.readUInt32BE(at)) {
          replies.push(`${chunk.readUInt32BE(at + 24)}:${chunk.readInt32BE(at + 28)}`);
        }
      });
      client.socket.write(packet({ program: 0x2000_80ff }, Buffer.alloc(0)));
      client.socket.write(packet({ version: 2 }, Buffer.alloc(0)));
      client.socket.write(packet({ procedure: 444 }, Buffer.alloc(0)));
      client.socket.write(packet({ status: 1, procedure: 3 }, Buffer.alloc(0)));
      client.socket.write(packet({ procedure: 16 }, Buffer.alloc(4)));
      await until(() => replies.length === 5);
      assert.deepEqual(
        replies,
        Array.from({ length: 5 }, () => '1:39'),
      );
      assert.equal(client.closed, false);
    }));

  it('get error 3 where a call brings descriptors', () =>
    withServer({}, async ({ open }) => {
      const client = await open();
      const codes: number[] = [];
      client.socket.prependListener('data', (chunk: Buffer) => codes.push(chunk.readInt32BE(28)));
      client.socket.write(packet({ procedure: 3, type: PacketType.callWithFds }, Buffer.alloc(4)));
      await until(() => codes.length === 1);
      assert.deepEqual(codes, [3]);
    }));

  it('close the connection where the error would quote more than a string holds', () =>
    withServer({}, async ({ open }) => {
      const client = await open();
      const length = 4_194_304;
      const body = Buffer.alloc(4 + length, 'x');
      body.writeUInt32BE(length);
      client.socket.write(packet({ procedure: procedures.DOMAIN_LOOKUP_BY_NAME.number }, body));
      await until(() => client.closed);
    }));
});
