/**
 * Errors of the agent itself: whatever throws inside a handler, a listener or a subscriber harms that request, event or
 * session only. Others are answered meanwhile, nothing is left behind, and log and metrics say so.
 */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { EventFeed } from '../../src/transport/event-feed.js';
import { FanOut, type PublishedEvent } from '../../src/transport/fan-out.js';
import { Registry } from '../../src/vms/registry.js';
import { createMetrics, type Metrics } from '../../src/util/metrics.js';
import { Fixture, healthy, idA, idB, recordingLogger, type LogLine } from '../unit/api/fixture.js';
import { startAgent, type TestAgent } from '../unit/transport/agent.js';
import { ManualClock } from '../support/manual-clock.js';

async function faults(metrics: Metrics, part: string): Promise<number> {
  const { values } = await metrics.internal_faults_total.get();
  return values.find(({ labels }) => labels['part'] === part)?.value ?? 0;
}

/** Not of any type that a handler may answer. */
const odd = (value: unknown): never => value as never;

describe('a handler that fails', () => {
  const secret = 'password=hunter2';
  const failures: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['throws a TypeError', () => odd((undefined as unknown as { x: { y: number } }).x.y)],
    [
      'rejects later',
      async () => {
        await new Promise((resolve) => setImmediate(resolve));
        throw new RangeError(secret);
      },
    ],
    [
      'throws what is no Error',
      () => {
        // eslint-disable-next-line @typescript-eslint/only-throw-error
        throw { toString: null };
      },
    ],
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
    ['rejects with nothing', () => Promise.reject(odd(undefined))],
    [
      'overflows the stack',
      function self(): Promise<unknown> {
        return Promise.resolve([self(), self()]);
      },
    ],
  ];
  for (const [what, work] of failures) {
    it(`${what}: answers 100 to a VM verb, -32603 to a host's, and serves the others of the batch`, async () => {
      const fixture = new Fixture();
      fixture.replace('VM.pause', work);
      fixture.hostFacts = { ...fixture.hostFacts, stats: odd(work) };
      const params = { vmID: idA };
      const answers = (await fixture.exchange([
        { jsonrpc: '2.0', id: 1, method: 'VM.pause', params },
        { jsonrpc: '2.0', id: 2, method: 'VM.cont', params: { vmID: idB } },
        { jsonrpc: '2.0', id: 3, method: 'Host.getStats' },
        { jsonrpc: '2.0', id: 4, method: 'Agent.getHealth' },
      ])) as { id: number; result?: unknown; error?: { code: number; message: string } }[];
      assert.deepEqual(
        answers.map(({ error }) => error?.code),
        [100, undefined, -32603, undefined],
      );
      assert.ok(!JSON.stringify(answers).includes(secret), 'the text of an unknown error stays inside');
      assert.deepEqual(answers[3]?.result, healthy);
      const errors = fixture.log.filter(({ level }) => level === 'error');
      assert.deepEqual(errors.map(({ fields }) => fields['method']).sort(), ['Host.getStats', 'VM.pause']);
      const { values } = await fixture.metrics.requests_total.get();
      const counted = values.map(({ labels, value }) => `${labels['verb']} ${labels['result']} ${value}`);
      assert.ok(
        counted.includes('VM.pause 100 1') && counted.includes('Host.getStats -32603 1'),
        counted.join(),
      );
      assert.deepEqual(fixture.sink.held, [], "no VM's events are held any more");
      assert.equal(fixture.clock.pendingTimers, 0);
    });
  }

  it('after its deadline is logged, and nobody is told twice', async () => {
    const fixture = new Fixture();
    let fail: (error: Error) => void = () => undefined;
    fixture.replace('VM.pause', () => new Promise((_resolve, reject) => (fail = reject)));
    const answer = fixture.error('VM.pause', { vmID: idA });
    await new Promise((resolve) => setImmediate(resolve));
    await fixture.clock.advance(600_000);
    assert.equal((await answer).code, 100);
    fail(new TypeError('late'));
    await new Promise((resolve) => setImmediate(resolve));
    assert.match(fixture.log.at(-1)?.message ?? '', /failed after its caller had been told/);
  });

  const circle: Record<string, unknown> = {};
  circle['self'] = circle;
  const unwritable: readonly (readonly [string, unknown])[] = [
    ['a circle', circle],
    ['a BigInt', { big: 1n }],
    ['a function', () => 1],
    ['a symbol', Symbol('x')],
    ['what throws when it is written', { toJSON: () => assert.fail('no') }],
  ];
  for (const [what, result] of unwritable) {
    it(`returns ${what}: answers -32603, and the others of the batch as ever`, async () => {
      const fixture = new Fixture();
      fixture.hostFacts = { ...fixture.hostFacts, stats: () => Promise.resolve(odd(result)) };
      const answers = (await fixture.exchange([
        { jsonrpc: '2.0', id: 1, method: 'Host.getStats' },
        { jsonrpc: '2.0', id: 2, method: 'Agent.getHealth' },
      ])) as { id: number; result?: unknown; error?: { code: number } }[];
      assert.equal(answers[0]?.error?.code, -32603);
      assert.deepEqual(answers[1]?.result, healthy);
      assert.equal(await faults(fixture.metrics, 'reply'), 1);
      assert.equal(fixture.log.at(-1)?.level, 'error');
    });
  }
});

describe('a listener that fails', () => {
  const event = (vmId: typeof idA, params: Record<string, unknown> = { [idA]: {} }) => ({
    topic: `|virt|VM_status|${vmId}`,
    vmId,
    params,
    notifyTime: 1,
  });

  function fixture() {
    const log: LogLine[] = [];
    const parts = { clock: new ManualClock(), log: recordingLogger(log), metrics: createMetrics() };
    return { lines: log, parts, clock: parts.clock, metrics: parts.metrics, fanOut: new FanOut(parts) };
  }

  it('of events gets no more of them, and is told; the others get all', async () => {
    const { fanOut, metrics, lines } = fixture();
    const got: number[] = [];
    const seen = { failed: 0, delivered: 0 };
    fanOut.attach({
      deliver() {
        seen.delivered++;
        throw new TypeError('a fault of ours');
      },
      failed: () => {
        seen.failed++;
      },
    });
    fanOut.attach({ deliver: ({ seq }: PublishedEvent) => void got.push(seq) });
    for (let n = 0; n < 3; n++) fanOut.publish(event(idA));
    assert.deepEqual(got, [1, 2, 3]);
    assert.deepEqual(seen, { failed: 1, delivered: 1 });
    assert.equal(await faults(metrics, 'events'), 1);
    assert.equal(lines.filter(({ level }) => level === 'error').length, 1);
  });

  it('in a session ends the session, since there would be a hole in its events', () => {
    const { fanOut } = fixture();
    const seen = { lost: 0 };
    const feed = new EventFeed(fanOut, {
      event() {
        throw new TypeError('a fault of ours');
      },
      lost: () => {
        seen.lost++;
      },
    });
    feed.subscribe().answered();
    for (let n = 0; n < 3; n++) fanOut.publish(event(idA));
    assert.equal(seen.lost, 1);
    assert.equal(fanOut.subscriberCount, 0);
    assert.equal(feed.unsubscribe(), false);
  });

  it('leaves no VM held: an event that cannot be written is lost alone', async () => {
    const { fanOut, metrics, clock } = fixture();
    const got: string[] = [];
    fanOut.attach({ deliver: ({ topic }: PublishedEvent) => void got.push(topic) });
    const release = fanOut.hold(idA);
    fanOut.publish(event(idA, { big: 1n }));
    fanOut.publish(event(idA));
    release();
    fanOut.publish(event(idA));
    assert.equal(got.length, 2);
    assert.equal(fanOut.seq, 2);
    assert.equal(await faults(metrics, 'events'), 1);
    assert.equal(clock.pendingTimers, 0);
  });

  it('of the registry costs neither the change, nor the other listeners, nor the event', async () => {
    const { fanOut, parts, metrics } = fixture();
    const registry = new Registry({ ...parts, publish: (each) => fanOut.publish(each) });
    const heard: string[] = [];
    registry.onChange(() => {
      throw new TypeError('a fault of ours');
    });
    registry.onChange((_id, after) => void heard.push(after?.status ?? 'gone'));
    registry.add(
      { id: idA, name: 'a', external: false, internal: 'WaitForLaunch' },
      { causes: ['found-running'] },
    );
    registry.move(idA, 'suspended');
    assert.equal(registry.get(idA)?.status, 'Paused');
    assert.equal(heard.at(-1), 'Paused');
    assert.ok(fanOut.seq >= 1);
    assert.equal(await faults(metrics, 'vm-listener'), heard.length);
    registry.stop();
  });
});

describe('sessions beside a listener that fails', () => {
  let agent: TestAgent;
  afterEach(() => agent.stop());

  it('get their answers and their events', async () => {
    agent = await startAgent((text, peer) => {
      if (text === 'subscribe')
        return { pieces: [Buffer.from(String(peer.subscribe().seq))], sent: () => undefined };
      return {
        pieces: [Buffer.from('answer')],
        sent: () => agent.fanOut.publish({ topic: 't', params: {}, notifyTime: 1 }),
      };
    });
    const broken = await agent.connect();
    broken.ws.send('subscribe');
    const other = await agent.connect();
    other.ws.send('subscribe');
    const until = async (done: () => boolean): Promise<void> => {
      while (!done()) await new Promise((resolve) => setImmediate(resolve));
    };
    await until(() => broken.messages.length === 1 && other.messages.length === 1);
    assert.equal(agent.fanOut.subscriberCount, 2);
    agent.fanOut.attach({
      deliver() {
        throw new TypeError('a fault of ours');
      },
    });
    other.ws.send('go');
    await until(() => other.messages.length === 3 && broken.messages.length === 2);
    assert.equal(other.messages[1], 'answer');
    assert.equal(agent.fanOut.subscriberCount, 2, 'only the failing one has gone');
  });
});
