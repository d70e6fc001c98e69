import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { WebSocketServer } from 'ws';
import { VdsmClient } from '../../../src/client/client.js';
import type { AgentEventMessage } from '../../../src/client/client.js';
import { ConnectionError, DeadlineError, VdsmError } from '../../../src/client/errors.js';
import { ManualClock } from '../../support/manual-clock.js';
import { FakeAgent, FakeError, silence, statusEvent } from './fake-agent.js';

describe('VdsmClient', () => {
  let agent: FakeAgent;
  let client: VdsmClient;
  const clock = new ManualClock();

  beforeEach(async () => {
    agent = await new FakeAgent().start();
    agent.handlers.set('Host.echo', ({ message }) => message);
    client = await VdsmClient.connect(agent.address, { clock });
  });
  afterEach(async () => {
    await client.close();
    await agent.stop();
    assert.equal(clock.pendingTimers, 0, 'no timer is left');
  });

  it('calls a verb and returns its result', async () => {
    assert.equal(await client.call('Host.echo', { message: 'hello' }), 'hello');
    assert.deepEqual(agent.requests, [
      { jsonrpc: '2.0', id: 1, method: 'Host.echo', params: { message: 'hello' } },
    ]);
  });

  it('gives each of many concurrent calls its own answer, in whatever order they come', async () => {
    agent.handlers.set('Host.echo', async ({ message }) => {
      await new Promise((resolve) => setImmediate(resolve));
      if (Number(message) % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
      return message;
    });
    const texts = Array.from({ length: 100 }, (_, index) => String(index));
    assert.deepEqual(await Promise.all(texts.map((message) => client.call('Host.echo', { message }))), texts);
  });

  it("turns the agent's error into a VdsmError with its code", async () => {
    agent.handlers.set('VM.pause', () => {
      throw new FakeError(1, "Virtual machine does not exist: {'vmId': 'u'}");
    });
    await assert.rejects(client.call('VM.pause', { vmID: 'u' }), (error: Error) => {
      assert.ok(error instanceof VdsmError);
      assert.equal(error.code, 1);
      assert.match(error.message, /does not exist/);
      return true;
    });
  });

  it('hands a result of null, false or 0 on as it is', async () => {
    for (const value of [null, false, 0, '']) {
      agent.handlers.set('Host.odd', () => value);
      assert.equal(await client.call('Host.odd', {}), value);
    }
  });

  it('rejects a call that is not answered by its deadline, and ignores the late answer', async () => {
    let answer: (value: unknown) => void = () => undefined;
    agent.handlers.set('Host.ping', () => new Promise((resolve) => (answer = resolve)));
    const call = client.call('Host.ping', {}, { timeoutMs: 5000 });
    const rejected = assert.rejects(
      call,
      (error) => error instanceof DeadlineError && error.message.includes('Host.ping within 5 s'),
    );
    while (agent.requests.length === 0) await clock.advance(0);
    await clock.advance(5000);
    await rejected;
    answer(true);
    assert.equal(await client.call('Host.echo', { message: 'still works' }), 'still works');
    assert.equal(client.state, 'open');
  });

  it("rejects with the signal's reason when the caller gives up", async () => {
    agent.handlers.set('Host.ping', () => silence);
    const controller = new AbortController();
    const call = client.call('Host.ping', {}, { signal: controller.signal });
    controller.abort(new Error('enough'));
    await assert.rejects(call, /enough/);
    await assert.rejects(client.call('Host.ping', {}, { signal: controller.signal }), /enough/);
  });

  it('rejects every pending call with a ConnectionError when the socket closes, and every later one', async () => {
    agent.handlers.set('Host.ping', () => silence);
    const calls = [client.call('Host.ping', {}), client.call('Host.ping', {})];
    const results = Promise.allSettled(calls);
    while (agent.requests.length < 2) await clock.advance(0);
    const closed = new Promise<string>((resolve) => client.onClose(resolve));
    for (const socket of agent.sockets) socket.close(1008, 'queue overflow');
    assert.equal(await closed, 'queue overflow');
    for (const result of await results) {
      assert.ok(result.status === 'rejected' && result.reason instanceof ConnectionError);
      assert.match(result.reason.message, /queue overflow/);
    }
    assert.equal(client.state, 'closed');
    assert.equal(client.closeReason, 'queue overflow');
    await assert.rejects(client.call('Host.ping', {}), ConnectionError);
  });

  it('says that the connection ended without a word when it was cut', async () => {
    const closed = new Promise<string>((resolve) => client.onClose(resolve));
    for (const socket of agent.sockets) socket.terminate();
    assert.match(await closed, /without a word/);
  });

  it('rejects pending calls at once when this side closes, and may be closed twice', async () => {
    agent.handlers.set('Host.ping', () => silence);
    const rejected = assert.rejects(client.call('Host.ping', {}), /closed by this side/);
    await Promise.all([client.close(), client.close(), rejected]);
    assert.equal(client.state, 'closed');
  });

  it('hands on events in the order of the wire until the listener is removed', async () => {
    const events: AgentEventMessage[] = [];
    const remove = client.onEvent((event) => events.push(event));
    agent.send(statusEvent('u', 'Up', 1));
    agent.send(statusEvent('u', 'Paused', 2, { pauseCode: 'EIO' }));
    await client.call('Host.echo', { message: '' });
    assert.deepEqual(
      events.map((event) => event.seq),
      [1, 2],
    );
    assert.deepEqual(events[1]!.params, { u: { status: 'Paused', pauseCode: 'EIO' }, notify_time: 1002 });
    remove();
    agent.send(statusEvent('u', 'Up', 3));
    await client.call('Host.echo', { message: '' });
    assert.equal(events.length, 2);
  });

  it('counts messages that are neither answer nor event and lives on', async () => {
    for (const text of ['{', '1', 'null', '[]', '{"jsonrpc":"2.0"}', '{"method":"x","params":{},"seq":1.5}'])
      agent.send(text);
    agent.send({ jsonrpc: '2.0', id: 999, result: 'nobody asked' });
    assert.equal(await client.call('Host.echo', { message: 'ok' }), 'ok');
    assert.equal(client.invalidMessages, 6);
  });

  it('takes an answer of 13 MB', async () => {
    const big = 'x'.repeat(13_000_000);
    agent.handlers.set('Host.echo', () => big);
    const answer = await client.call('Host.echo', { message: '' });
    assert.equal(answer.length, big.length);
  });
});

describe('VdsmClient.connect', () => {
  it('reaches an agent on a UNIX socket', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'client-test-'));
    const path = join(folder, 'agent: 1.sock');
    const http = createServer();
    const server = new WebSocketServer({ server: http });
    server.on('connection', (socket) =>
      socket.on('message', () => socket.send('{"jsonrpc":"2.0","id":1,"result":7}')),
    );
    http.listen(path);
    await once(http, 'listening');
    const client = await VdsmClient.connect(`unix:${path}`);
    assert.equal(await client.call('Host.some', {}), 7);
    await client.close();
    server.close();
    http.close();
    rmSync(folder, { recursive: true });
  });

  it('names address and cause where nobody listens', async () => {
    await assert.rejects(VdsmClient.connect('127.0.0.1:1'), (error: Error) => {
      assert.ok(error instanceof ConnectionError);
      assert.equal(error.systemCode, 'ECONNREFUSED');
      assert.match(error.message, /127\.0\.0\.1:1.*ECONNREFUSED/);
      return true;
    });
    await assert.rejects(VdsmClient.connect('unix:/nonexistent/socket'), { systemCode: 'ENOENT' });
  });

  it('gives up on a peer that accepts and says nothing, after the time given', async () => {
    const clock = new ManualClock();
    const server = createTcpServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const connecting = VdsmClient.connect(`127.0.0.1:${port}`, { clock, connectTimeoutMs: 3000 });
    const rejected = assert.rejects(connecting, { name: 'ConnectionError', systemCode: 'ETIMEDOUT' });
    await once(server, 'connection');
    await clock.advance(3000);
    await rejected;
    server.close();
  });

  it("fails with the signal's reason when aborted before or while connecting", async () => {
    await assert.rejects(
      VdsmClient.connect('127.0.0.1:1', { signal: AbortSignal.abort(new Error('before')) }),
      /before/,
    );
    const controller = new AbortController();
    const connecting = VdsmClient.connect('127.0.0.1:1', { signal: controller.signal });
    controller.abort(new Error('while'));
    await assert.rejects(connecting, /while/);
  });

  it('refuses an address that is none before any socket is opened', async () => {
    await assert.rejects(VdsmClient.connect('http://host'), RangeError);
  });
});
