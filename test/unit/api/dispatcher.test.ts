import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { VerbError } from '../../../src/domain/errors.js';
import { HypervisorError } from '../../../src/domain/hypervisor.js';
import { verbNames, verbSpecs } from '../../../src/protocol/verbs.js';
import { Fixture, healthy, idA, idB, textOf, unknownId } from './fixture.js';

/** A promise that the test settles. */
function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: Error) => void } {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((res, rej) => {
    resolve = res;
    reject = rej;
  });
  return { promise, resolve, reject };
}

const request = (method: string, params: unknown, id: unknown = 1): unknown => ({
  jsonrpc: '2.0',
  method,
  params,
  id,
});

describe('Dispatcher: readiness', () => {
  it('answers 99 to every verb that needs it, also to pings and unknown methods, and runs nothing', async () => {
    const fixture = new Fixture();
    fixture.ready = false;
    for (const verb of [...verbNames.filter((name) => verbSpecs[name].needsReady !== false), 'Host.nope']) {
      assert.deepEqual(await fixture.error(verb, { vmID: idA }), {
        code: 99,
        message: 'Recovering from crash or Initializing',
      });
    }
    assert.deepEqual(fixture.calls, []);
    assert.deepEqual(fixture.sink.everHeld, []);
  });

  it('answers Agent.getHealth and rpc.discover all the time', async () => {
    const fixture = new Fixture();
    fixture.ready = false;
    assert.ok((await fixture.call('Agent.getHealth')).result);
    assert.ok((await fixture.call('rpc.discover')).result);
  });
});

describe('Dispatcher: holding events', () => {
  for (const verb of ['VM.pause', 'VM.cont', 'VM.destroy'] as const) {
    it(`${verb} holds its VM's events from before it runs until the reply is queued`, async () => {
      const fixture = new Fixture();
      const whileRunning: string[][] = [];
      const note = (): Promise<void> => {
        whileRunning.push([...fixture.sink.held]);
        return Promise.resolve();
      };
      fixture.replace(verb, note);
      const reply = await fixture.handle(request(verb, { vmID: idA.toUpperCase() }));
      assert.deepEqual(whileRunning, [[idA]]);
      assert.deepEqual(fixture.sink.held, [idA]);
      reply?.sent();
      reply?.sent();
      assert.deepEqual(fixture.sink.held, []);
    });
  }

  it('VM.create holds the events of the VM that its XML names, before it runs', async () => {
    const fixture = new Fixture();
    const { create } = fixture;
    const whileRunning: string[][] = [];
    fixture.create = (vmParams) => {
      whileRunning.push([...fixture.sink.held]);
      return create(vmParams);
    };
    const xml = `<domain type='kvm'><name>b</name><uuid>\n ${idB.toUpperCase()} </uuid></domain>`;
    const reply = await fixture.handle(request('VM.create', { vmID: idA, vmParams: { xml } }));
    assert.deepEqual([whileRunning, fixture.sink.held], [[[idB]], [idB]]);
    reply?.sent();
    assert.deepEqual(fixture.sink.held, []);
  });

  it('VM.create finds that VM behind ids of other things, and is not kept busy by an XML of ids', async () => {
    const fixture = new Fixture();
    const others = `<!-- <uuid>${idA}</uuid> --><metadata><uuid>no id</uuid></metadata>`;
    const xml = `<domain>${others}<uuid a="b">${idB}</uuid></domain>`;
    const reply = await fixture.handle(request('VM.create', { vmID: '', vmParams: { xml } }));
    assert.deepEqual(fixture.sink.held, [idA, idB]);
    reply?.sent();
    const many = Array.from({ length: 5000 }, (_, n) => `<uuid>${String(n).padStart(32, '0')}</uuid>`).join(
      '',
    );
    await fixture.call('VM.create', { vmID: '', vmParams: { xml: many + '<uuid '.repeat(100_000) } });
    assert.equal(fixture.sink.everHeld.length, 2 + 16);
    assert.deepEqual(fixture.sink.held, []);
  });

  it('a verb that fails lets go with its reply too', async () => {
    const fixture = new Fixture();
    fixture.replace('VM.pause', () => Promise.reject(new VerbError('down')));
    const reply = await fixture.handle(request('VM.pause', { vmID: idA }));
    assert.deepEqual(fixture.sink.held, [idA]);
    reply?.sent();
    assert.deepEqual(fixture.sink.held, []);
  });

  it('a notification lets go when it has run', async () => {
    const fixture = new Fixture();
    const notification = { jsonrpc: '2.0', method: 'VM.pause', params: { vmID: idA } };
    assert.equal(await fixture.handle(notification), undefined);
    assert.deepEqual(fixture.calls, [['VM.pause', idA, {}]]);
    assert.deepEqual([fixture.sink.everHeld, fixture.sink.held], [[idA], []]);
  });

  it('a batch lets go of all its VMs at once', async () => {
    const fixture = new Fixture();
    const reply = await fixture.handle([
      request('VM.pause', { vmID: idA }),
      { jsonrpc: '2.0', method: 'VM.pause', params: { vmID: idB } },
    ]);
    assert.deepEqual(fixture.sink.held, [idA, idB]);
    reply?.sent();
    assert.deepEqual(fixture.sink.held, []);
  });

  it('reading verbs hold nothing', async () => {
    const fixture = new Fixture();
    await fixture.call('VM.getInfo', { vmID: idA });
    await fixture.call('VM.pause', { vmID: 'no uuid' });
    assert.deepEqual(fixture.sink.everHeld, []);
  });
});

describe('Dispatcher: deadlines', () => {
  it('answers for a VM verb that does not end, and ignores what comes later', async () => {
    const fixture = new Fixture();
    const late = deferred<unknown>();
    fixture.replace('VM.pause', () => late.promise);
    const answer = fixture.error('VM.pause', { vmID: idA });
    await fixture.clock.advance(60_000);
    assert.deepEqual(await answer, {
      code: 100,
      message: 'General Exception: VM.pause did not finish within 60 s; what it began may still take effect',
    });
    late.reject(new Error('too late'));
    await late.promise.catch(() => undefined);
    assert.equal(fixture.clock.pendingTimers, 0);
    assert.deepEqual([fixture.sink.everHeld, fixture.sink.held], [[idA], []]);
  });

  it('answers -32603 for a host verb', async () => {
    const fixture = new Fixture();
    fixture.hostFacts = { ...fixture.hostFacts, stats: () => deferred<never>().promise };
    const answer = fixture.error('Host.getStats');
    await fixture.clock.advance(60_000);
    assert.equal((await answer).code, -32603);
  });

  it('gives a verb the time that its schema grants', async () => {
    const fixture = new Fixture();
    const slow = deferred<unknown>();
    fixture.replace('VM.destroy', () => slow.promise);
    const answer = fixture.call('VM.destroy', { vmID: idA });
    await fixture.clock.advance(149_000);
    slow.resolve(true);
    assert.equal((await answer).result, true);
    assert.equal(fixture.clock.pendingTimers, 0);
  });

  it('leaves no timer behind', async () => {
    const fixture = new Fixture();
    await fixture.call('VM.pause', { vmID: idA });
    await fixture.call('Host.ping');
    assert.equal(fixture.clock.pendingTimers, 0);
  });
});

describe('Dispatcher: logs and metrics', () => {
  it("logs the caller's errors at info and ours at error, once each", async () => {
    const fixture = new Fixture();
    await fixture.error('VM.getInfo', { vmID: unknownId });
    fixture.replace('VM.pause', () => Promise.reject(new HypervisorError('failed', 'libvirt says no')));
    await fixture.error('VM.pause', { vmID: idA });
    assert.deepEqual(
      fixture.log.map(({ level, fields }) => [level, fields['method'], fields['code']]),
      [
        ['info', 'VM.getInfo', 1],
        ['error', 'VM.pause', 100],
      ],
    );
    assert.ok(fixture.log[1]?.fields['err'] instanceof HypervisorError);
  });

  it("writes no more of a caller's texts into the log than is needed to recognise them", async () => {
    const fixture = new Fixture();
    await fixture.exchange(request('x'.repeat(100_000), {}, 'y'.repeat(100_000)));
    assert.ok(JSON.stringify(fixture.log).length < 1000);
  });

  it('logs a call that took longer than a second', async () => {
    const fixture = new Fixture();
    const slow = deferred<unknown>();
    fixture.replace('VM.pause', () => slow.promise);
    const answer = fixture.call('VM.pause', { vmID: idA });
    await fixture.clock.advance(1500);
    slow.resolve(undefined);
    await answer;
    assert.deepEqual(fixture.log, [
      { level: 'info', fields: { verb: 'VM.pause', tookMs: 1500, peer: 'test:1' }, message: 'slow call' },
    ]);
  });

  it('logs malformed messages of one peer once in a while, and counts all', async () => {
    const fixture = new Fixture();
    for (let count = 0; count < 5; count++) await fixture.exchange('{');
    assert.deepEqual(
      fixture.log.map(({ level }) => level),
      ['warn'],
    );
    assert.match(await fixture.metrics.text(), /requests_malformed_total\{kind="parseError"\} 5/);
  });

  it('counts by verb and result, and makes no label of a name that is no verb', async () => {
    const fixture = new Fixture();
    await fixture.call('Host.ping');
    await fixture.error('VM.getInfo', { vmID: unknownId });
    await fixture.error('made.up');
    await fixture.error('constructor');
    const text = await fixture.metrics.text();
    assert.match(text, /requests_total\{verb="Host.ping",result="ok"\} 1/);
    assert.match(text, /requests_total\{verb="VM.getInfo",result="1"\} 1/);
    assert.match(text, /requests_total\{verb="unknown",result="-32601"\} 2/);
    assert.match(text, /request_seconds_count\{verb="Host.ping"\} 1/);
    assert.doesNotMatch(text, /made|constructor/);
  });
});

describe('Dispatcher: replies', () => {
  it('sends the pages of the statistics as they are, without a copy', async () => {
    const fixture = new Fixture();
    const reply = await fixture.handle(request('Host.getAllVmStats', {}, 'a"b'));
    assert.ok(reply);
    assert.deepEqual(JSON.parse(textOf(reply)), { jsonrpc: '2.0', id: 'a"b', result: [{ vmId: 'x' }] });
    assert.equal(reply.pieces.length, fixture.pages.length + 2);
    for (const [index, page] of fixture.pages.entries()) assert.equal(reply.pieces[index + 1], page);
  });

  it('does so in a batch too', async () => {
    const fixture = new Fixture();
    const reply = await fixture.handle([
      request('Host.getAllVmStats', {}, 1),
      request('Host.ping', {}, 2),
      request('Host.getAllVmStats', [], 3),
    ]);
    assert.ok(reply);
    assert.deepEqual(JSON.parse(textOf(reply)), [
      { jsonrpc: '2.0', id: 1, result: [{ vmId: 'x' }] },
      { jsonrpc: '2.0', id: 2, result: true },
      { jsonrpc: '2.0', id: 3, result: [{ vmId: 'x' }] },
    ]);
    const [page] = fixture.pages;
    assert.equal(reply.pieces.filter((piece) => piece === page).length, 2);
  });

  it('serves a request that comes again with the same id again', async () => {
    const fixture = new Fixture();
    const again = request('VM.pause', { vmID: idA }, 'same');
    const [first, second] = await Promise.all([fixture.exchange(again), fixture.exchange(again)]);
    assert.deepEqual(first, { jsonrpc: '2.0', id: 'same', result: { vmList: {} } });
    assert.deepEqual(second, first);
    assert.equal(fixture.calls.length, 2);
  });

  it('answers -32603 where a result cannot be written as JSON', async () => {
    const fixture = new Fixture();
    fixture.hostFacts = { ...fixture.hostFacts, stats: () => Promise.resolve({ big: 1n }) };
    assert.equal((await fixture.error('Host.getStats')).code, -32603);
    assert.equal(fixture.log.at(-1)?.level, 'error');
  });

  it('tells a verb of VDSM that is not offered from one that nobody knows', async () => {
    const fixture = new Fixture();
    const error = await fixture.error('Host.fenceNode', { addr: 'a' });
    assert.deepEqual(error, {
      code: 44,
      message: 'Not implemented: this agent does not offer Host.fenceNode: hosts are not fenced from here',
    });
    assert.equal((await fixture.error('Host.nope')).code, -32601);
  });

  it('runs the requests of a batch side by side and answers in their order', async () => {
    const fixture = new Fixture();
    const slow = deferred<unknown>();
    fixture.replace('VM.pause', () => slow.promise);
    fixture.replace('VM.cont', () => {
      slow.resolve(undefined);
      return Promise.resolve();
    });
    const answer = await fixture.exchange([
      request('VM.pause', { vmID: idA }, 1),
      request('VM.cont', { vmID: idB }, 2),
    ]);
    assert.deepEqual(
      (answer as { id: number }[]).map(({ id }) => id),
      [1, 2],
    );
  });
});

describe('Dispatcher: draining', () => {
  it('refuses new verbs, lets running ones end, and still tells how it is', async () => {
    const fixture = new Fixture();
    const slow = deferred<unknown>();
    fixture.replace('VM.pause', () => slow.promise);
    const running = fixture.call('VM.pause', { vmID: idA });
    const drained = fixture.dispatcher.drain(1000);
    assert.deepEqual(await fixture.error('VM.pause', { vmID: idB }), {
      code: 99,
      message: 'Recovering from crash or Initializing: this agent is stopping',
    });
    assert.ok((await fixture.call('Agent.getHealth')).result);
    slow.resolve({ vmList: {} });
    assert.deepEqual((await running).result, { vmList: {} });
    assert.equal(await drained, 0);
  });

  it('waits no longer than it is told to', async () => {
    const fixture = new Fixture();
    fixture.replace('VM.pause', () => new Promise(() => undefined));
    void fixture.call('VM.pause', { vmID: idA });
    const drained = fixture.dispatcher.drain(1000);
    await fixture.clock.advance(1000);
    assert.equal(await drained, 1);
  });

  it('is at once done where nothing runs', async () => {
    assert.equal(await new Fixture().dispatcher.drain(1000), 0);
  });
});

describe('Dispatcher: a batch that asks for much', () => {
  it('is run in turns, so that others are served in between', async () => {
    const fixture = new Fixture();
    let running = 0;
    let begunBeforeOther = -1;
    fixture.health = {
      health: () => {
        if (running++ === 0) setImmediate(() => (begunBeforeOther = running));
        return healthy;
      },
    };
    await fixture.exchange(Array.from({ length: 100 }, (_, n) => request('Agent.getHealth', {}, n)));
    assert.equal(running, 100);
    assert.ok(begunBeforeOther <= 2, `${begunBeforeOther} of 100 were begun in one turn`);
  });

  it('runs none of its requests any more when their answers are too long, and says so for each', async () => {
    const fixture = new Fixture({ limits: { batch: 100, batchReplyBytes: 1000 } });
    const message = 'x'.repeat(600);
    const echo = (id: number): unknown => request('Host.echo', { message }, id);
    const pause = { jsonrpc: '2.0', method: 'VM.pause', params: { vmID: idA } };
    const batch = [echo(1), echo(2), echo(3), { ...pause, id: 4 }, pause, 'no request'];
    const answer = (await fixture.exchange(batch)) as { id: unknown; error?: { code: number } }[];
    assert.deepEqual(
      answer.map(({ id, error }) => [id, error?.code]),
      [
        [1, undefined],
        [2, undefined],
        [3, -32600],
        [4, -32600],
        [null, -32600],
      ],
    );
    assert.deepEqual([fixture.calls, fixture.sink.everHeld], [[], []]);
  });

  it('does not bound the answer to a single request', async () => {
    const fixture = new Fixture({ limits: { batch: 1, batchReplyBytes: 10 } });
    const { result } = await fixture.call('Host.echo', { message: 'x'.repeat(600) });
    assert.equal((result as string).length, 600);
  });
});

describe('Dispatcher: anything at all', () => {
  const isResponse = (value: unknown): boolean => {
    if (typeof value !== 'object' || value === null) return false;
    const { jsonrpc, id, result, error, ...others } = value as Record<string, unknown>;
    assert.deepEqual(others, {});
    const isError =
      typeof error === 'object' && error !== null && Number.isInteger((error as { code?: unknown }).code);
    return jsonrpc === '2.0' && id !== undefined && isError !== (result !== undefined);
  };
  const check = async (fixture: Fixture, message: Buffer): Promise<void> => {
    const answer = await fixture.exchange(message);
    if (answer === undefined) return;
    if (!Array.isArray(answer)) assert.ok(isResponse(answer), JSON.stringify(answer));
    else assert.ok(answer.length > 0 && answer.every(isResponse), JSON.stringify(answer));
    assert.deepEqual(fixture.sink.held, []);
  };

  it('bytes of any kind get a valid response or none', async () => {
    const fixture = new Fixture();
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (bytes) => check(fixture, Buffer.from(bytes)),
      ),
    );
  });

  it('requests with anything in them get a valid response or none', async () => {
    const fixture = new Fixture();
    const anything = fc.jsonValue({ maxDepth: 2 });
    const value = fc.oneof(anything, fc.constantFrom(idA, idB, unknownId));
    const one = fc.record(
      {
        jsonrpc: fc.oneof({ weight: 9, arbitrary: fc.constant('2.0') }, { weight: 1, arbitrary: anything }),
        method: fc.oneof(
          { weight: 9, arbitrary: fc.constantFrom<string>(...verbNames) },
          { weight: 1, arbitrary: anything },
        ),
        params: fc.oneof(
          anything,
          fc.array(value),
          fc.dictionary(fc.constantFrom('vmID', 'vmList', 'message', 'vmParams', 'resume'), value),
        ),
        id: fc.oneof(fc.string(), fc.integer(), anything),
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(fc.oneof(one, fc.array(one)), (message) =>
        check(fixture, Buffer.from(JSON.stringify(message))),
      ),
      { numRuns: 500 },
    );
  });
});
