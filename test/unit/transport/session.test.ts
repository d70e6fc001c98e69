import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe, it } from 'node:test';
import type { Reply } from '../../../src/api/peer.js';
import { sessionStates, sessionTransitions } from '../../../src/transport/session.js';
import { settle } from '../../support/manual-clock.js';
import { echo, reply, startAgent, TestClient, type Answer, type TestAgent } from './agent.js';
import { statusEvent, vmId } from './events.js';

const KiB = 1024;
const MiB = 1024 * KiB;
let agent: TestAgent;

/** A UNIX socket holds little in the kernel, whatever the machine's tuning: for readers that stand still. */
const folder = mkdtempSync(join(tmpdir(), 'vdsm-agent-session-'));
const unix = { endpoints: [{ path: join(folder, 'agent.sock') }] };
after(() => rmSync(folder, { recursive: true }));

const metric = async (line: RegExp): Promise<string | undefined> =>
  line.exec(await agent.metrics.text())?.[1];

const seqs = (messages: readonly string[]): (number | string)[] =>
  messages.map((text) => (text.startsWith('{') ? (JSON.parse(text) as { seq: number }).seq : text));

/** Replies that the test sends when it likes. */
function deferred(): {
  answer: Answer;
  readonly waiting: { text: string; resolve: (reply: Reply) => void }[];
} {
  const waiting: { text: string; resolve: (reply: Reply) => void }[] = [];
  return { waiting, answer: (text) => new Promise((resolve) => waiting.push({ text, resolve })) };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await settle(1);
}

describe('the states of a session', () => {
  it('only lead forward', () => {
    for (const from of sessionStates) {
      for (const to of sessionStates) {
        const allowed = sessionTransitions[from].includes(to);
        assert.equal(allowed, sessionStates.indexOf(to) > sessionStates.indexOf(from), `${from} -> ${to}`);
      }
    }
  });
});

describe('a session', () => {
  afterEach(() => agent.stop());

  it('answers text and binary messages alike', async () => {
    agent = await startAgent(echo);
    const client = await agent.connect();
    client.send('one');
    client.ws.send(Buffer.from('two'), { binary: true });
    assert.deepEqual(await client.received(2), ['one', 'two']);
  });

  it('sends the reply before the event that it causes, to others too', async () => {
    agent = await startAgent((text, peer) => {
      if (text === 'subscribe') return echo(text, peer);
      const release = agent.fanOut.hold(vmId(1));
      agent.fanOut.publish(statusEvent(1));
      agent.fanOut.publish(statusEvent(2));
      return reply('paused', release);
    });
    const [client, other] = [await agent.connect(), await agent.connect()];
    for (const each of [client, other]) {
      each.send('subscribe');
      await each.received(1);
    }
    client.send('VM.pause');
    assert.deepEqual(seqs(await client.received(4)), ['subscribed after 0', 1, 'paused', 2]);
    assert.match(client.messages[3]!, new RegExp(vmId(1)));
    assert.deepEqual(seqs(await other.received(3)), ['subscribed after 0', 1, 2]);
  });

  it('begins to deliver right after the reply to the subscribing request, not to another', async () => {
    const { answer, waiting } = deferred();
    agent = await startAgent((text, peer) => {
      if (text === 'subscribe') peer.subscribe();
      return text === 'quick' ? reply('quick') : answer(text, peer);
    });
    const client = await agent.connect();
    client.send('subscribe');
    await until(() => waiting.length === 1);
    agent.fanOut.publish(statusEvent(1));
    client.send('quick');
    await client.received(1);
    agent.fanOut.publish(statusEvent(1));
    waiting[0]!.resolve(reply('subscribed'));
    await client.received(2);
    agent.fanOut.publish(statusEvent(1));
    assert.deepEqual(seqs(await client.received(5)), ['quick', 'subscribed', 1, 2, 3]);
  });

  it('begins to deliver also where the subscribing request has no reply', async () => {
    agent = await startAgent((text, peer) => (text === 'subscribe' ? void peer.subscribe() : reply(text)));
    const client = await agent.connect();
    client.send('subscribe');
    client.send('next');
    await client.received(1);
    agent.fanOut.publish(statusEvent(1));
    assert.deepEqual(seqs(await client.received(2)), ['next', 1]);
  });

  it('resumes on a new connection where the old one ended', async () => {
    agent = await startAgent((text, peer) => {
      const { missed } = peer.subscribe({ epoch: agent.fanOut.epoch, seq: Number(text) });
      return reply(`missed ${missed?.map(({ seq }) => seq).join() ?? 'unknown'}`);
    });
    const first = await agent.connect();
    first.send('0');
    await first.received(1);
    agent.fanOut.publish(statusEvent(1));
    await first.received(2);
    first.ws.close();
    await first.closed;
    agent.fanOut.publish(statusEvent(1));
    agent.fanOut.publish(statusEvent(2));
    const second = await agent.connect();
    second.send('1');
    await second.received(1);
    agent.fanOut.publish(statusEvent(1));
    assert.deepEqual(seqs(await second.received(2)), ['missed 2,3', 4]);
  });

  it('sends a reply of many pieces as one message, with no event in between', async () => {
    const pages = Array.from({ length: 40 }, (_, i) => Buffer.alloc(100 * KiB, String.fromCharCode(65 + i)));
    agent = await startAgent((text, peer) => {
      if (text === 'subscribe') return echo(text, peer);
      agent.fanOut.publish(statusEvent(1));
      return reply(pages, () => agent.fanOut.publish(statusEvent(1)));
    });
    const client = await agent.connect();
    client.send('subscribe');
    client.send('statistics');
    await client.received(4);
    assert.deepEqual(seqs([client.messages[1]!, client.messages[3]!]), [1, 2]);
    assert.equal(client.messages[2], Buffer.concat(pages).toString());
  });

  it('accepts a message of 1 MiB and closes with 1009 for one more byte', async () => {
    agent = await startAgent((text) => reply(String(text.length)));
    const client = await agent.connect();
    client.send('x'.repeat(MiB));
    assert.deepEqual(await client.received(1), [String(MiB)]);
    client.send('x'.repeat(MiB + 1));
    assert.equal((await client.closed).code, 1009);
    assert.equal(await metric(/requests_malformed_total\{kind="websocket"\} (\d+)/), '1');
  });

  it('runs 32 requests at once and begins the next when one has ended', async () => {
    const { answer, waiting } = deferred();
    agent = await startAgent(answer);
    const client = await agent.connect();
    for (let n = 0; n < 40; n++) client.send(String(n));
    await until(() => waiting.length === 32);
    await settle(20);
    assert.equal(waiting.length, 32);
    waiting[7]!.resolve(reply('done'));
    await client.received(1);
    await until(() => waiting.length > 32);
    await settle(20);
    assert.equal(waiting.length, 33);
    for (let n = 0; n < 40; n++) {
      await until(() => waiting.length > n);
      waiting[n]!.resolve(reply('done'));
    }
    await client.received(40);
    assert.deepEqual(
      waiting.map(({ text }) => Number(text)),
      Array.from({ length: 40 }, (_, n) => n),
    );
  });

  it('lets another client in between two requests of one that sent many at once', async () => {
    const order: string[] = [];
    agent = await startAgent((text) => {
      order.push(text);
      // As a long computation would: the next request of the other client has arrived when it ends.
      if (text === 'many 0') other.send('one');
      return reply(text);
    });
    const [many, other] = [await agent.connect(), await agent.connect()];
    for (let n = 0; n < 200; n++) many.send(`many ${n}`);
    await Promise.all([many.received(200), other.received(1)]);
    assert.ok(order.indexOf('one') < 100, `the other came after ${order.indexOf('one')} requests`);
    assert.deepEqual(
      many.messages,
      Array.from({ length: 200 }, (_, n) => `many ${n}`),
    );
    assert.equal(await metric(/sessions_paused_total (\d+)/), '0');
  });

  it('closes with a reason where a client does not read its events, and keeps no more than the bound', async () => {
    agent = await startAgent(echo, { ...unix, limits: { maxQueueBytes: MiB } });
    const client = await agent.connect();
    client.send('subscribe');
    await client.received(1);
    client.ws.pause();
    const payload = { text: 'x'.repeat(100 * KiB) };
    for (let n = 0; n < 100; n++) {
      agent.fanOut.publish(statusEvent(1, payload));
      await settle(1);
    }
    client.ws.resume();
    const { code, reason } = await client.closed;
    assert.equal(code, 1013);
    assert.match(reason, /event queue overflow, synchronise again/);
    const events = client.messages.slice(1);
    assert.ok(events.length < 50, `${events.length} of 100 events were kept for a reader that stood still`);
    assert.deepEqual(
      seqs(events),
      Array.from(events, (_, n) => n + 1),
    );
    await until(() => agent.listener.sessionCount === 0);
    assert.equal(await metric(/sessions_closed_total\{reason="overflow"\} (\d+)/), '1');
  });

  it('lets many slow readers cost no more than the common bound: the slowest goes, the others are served', async () => {
    agent = await startAgent(echo, {
      ...unix,
      limits: { maxQueueBytes: 8 * MiB, maxTotalQueueBytes: 4 * MiB },
    });
    const reader = await agent.connect();
    reader.send('subscribe');
    await reader.received(1);
    const slow: TestClient[] = [];
    for (let n = 0; n < 4; n++) {
      const client = await agent.connect();
      client.send('subscribe');
      await client.received(1);
      client.ws.pause();
      slow.push(client);
    }
    const payload = { text: 'x'.repeat(100 * KiB) };
    for (let n = 1; n <= 60; n++) {
      agent.fanOut.publish(statusEvent(1, payload));
      await reader.received(n + 1);
    }
    for (const client of slow) client.ws.resume();
    const codes = (await Promise.all(slow.map(({ closed }) => Promise.race([closed, settle(2000)])))).map(
      (end) => (end ? end.code : undefined),
    );
    assert.ok(codes.includes(1013), `no slow reader was closed: ${String(codes)}`);
    assert.equal(reader.messages.length, 61);
    reader.send('still there?');
    assert.equal((await reader.received(62)).at(-1), 'still there?');
  });

  it('ends a session that never reads the reason', async () => {
    agent = await startAgent(echo, { ...unix, limits: { maxQueueBytes: MiB } });
    const client = await agent.connect();
    client.send('subscribe');
    await client.received(1);
    client.ws.pause();
    const payload = { text: 'x'.repeat(MiB) };
    for (let n = 0; n < 10; n++) {
      agent.fanOut.publish(statusEvent(1, payload));
      await settle(1);
    }
    assert.equal(agent.listener.sessionCount, 1);
    await agent.clock.advance(10_000);
    await until(() => agent.listener.sessionCount === 0);
    assert.equal(agent.clock.pendingTimers, 1, 'the ping timer alone');
  });

  it('delays the requests of a client that asks and does not read', async () => {
    let begun = 0;
    const page = Buffer.alloc(MiB, 'x');
    agent = await startAgent(() => (begun++, reply([page])), { ...unix, limits: { maxQueueBytes: 2 * MiB } });
    const client = await agent.connect();
    client.ws.pause();
    for (let n = 0; n < 60; n++) client.send('statistics');
    await settle(300);
    assert.ok(begun < 40, `${begun} of 60 replies were made for a reader that stood still`);
    assert.notEqual(await metric(/sessions_paused_total (\d+)/), '0');
    client.ws.resume();
    await client.received(60);
    assert.ok(client.messages.every(({ length }) => length === MiB));
  });

  it("calls a reply's sent once, also when the client is gone by then", async () => {
    const { answer, waiting } = deferred();
    agent = await startAgent(answer);
    const client = await agent.connect();
    client.send('slow');
    await until(() => waiting.length === 1);
    client.ws.terminate();
    await until(() => agent.listener.sessionCount === 0);
    const release = agent.fanOut.hold(vmId(1));
    let calls = 0;
    const sent = (): void => {
      calls++;
      release();
    };
    waiting[0]!.resolve(reply('late', sent));
    await settle();
    assert.equal(calls, 1);
    assert.equal(agent.clock.pendingTimers, 1, 'the ping timer alone');
  });

  it('lets go of a subscription that a request makes after its client has gone', async () => {
    const { answer, waiting } = deferred();
    agent = await startAgent(async (text, peer) => {
      const reply = await answer(text, peer);
      peer.subscribe();
      return reply;
    });
    const client = await agent.connect();
    client.send('subscribe');
    await until(() => waiting.length === 1);
    client.ws.terminate();
    await until(() => agent.listener.sessionCount === 0);
    waiting[0]!.resolve(reply('late'));
    await settle();
    assert.equal(agent.fanOut.subscriberCount, 0);
  });

  it('is closed with 1011 where a request ends in an exception', async () => {
    agent = await startAgent(() => {
      throw new Error('a fault of ours');
    });
    const client = await agent.connect();
    client.send('x');
    assert.deepEqual(await client.closed, { code: 1011, reason: 'internal error' });
  });

  it('stays while it answers pings, and ends after two that it did not answer', async () => {
    agent = await startAgent(echo);
    const [lively, silent] = [await agent.connect(), await agent.connect({ autoPong: false })];
    for (let round = 0; round < 3; round++) {
      const pinged = once(lively.ws, 'ping');
      await agent.clock.advance(20_000);
      await pinged;
      // Its pong went before this ping: when the answer is here, the agent has both.
      lively.ws.ping();
      await once(lively.ws, 'pong');
    }
    assert.equal((await silent.closed).code, 1006);
    assert.equal(agent.listener.sessionCount, 1);
    assert.equal(await metric(/sessions_closed_total\{reason="silent"\} (\d+)/), '1');
  });
});

describe('stopping with sessions', () => {
  afterEach(() => agent.stop());

  it('tells every client, and leaves neither session nor timer', async () => {
    agent = await startAgent(echo);
    const clients = [await agent.connect(), await agent.connect()];
    await agent.listener.stop();
    for (const client of clients) {
      assert.deepEqual(await client.closed, { code: 1001, reason: 'the agent is stopping' });
    }
    assert.deepEqual([agent.listener.sessionCount, agent.clock.pendingTimers], [0, 0]);
    await assert.rejects(TestClient.connect(`ws://127.0.0.1:${agent.port}`), /ECONNREFUSED/);
  });

  it('answers what is running before it says goodbye, and begins nothing new', async () => {
    const { answer, waiting } = deferred();
    agent = await startAgent(answer);
    const client = await agent.connect();
    client.send('running');
    await until(() => waiting.length === 1);
    const stopped = agent.listener.stop();
    client.send('new');
    await settle();
    waiting[0]!.resolve(reply('finished'));
    await stopped;
    assert.equal((await client.closed).code, 1001);
    assert.deepEqual([client.messages, waiting.length], [['finished'], 1]);
  });

  it('waits no longer than a second for a request that does not end', async () => {
    const { answer, waiting } = deferred();
    agent = await startAgent(answer);
    const client = await agent.connect();
    client.send('stuck');
    await until(() => waiting.length === 1);
    const stopped = agent.listener.stop();
    await agent.clock.advance(1000);
    await stopped;
    assert.equal((await client.closed).code, 1006);
  });
});
