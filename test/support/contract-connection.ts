/**
 * The contract of what surrounds the calls: start and stop, listeners, deadlines and signals, a daemon that is lost
 * and comes back, a guest that hangs.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { HypervisorError } from '../../src/domain/hypervisor.js';
import type { CallOptions, Hypervisor } from '../../src/domain/hypervisor.js';
import { StatsGroup } from '../../src/domain/stats.js';
import { rejectsWith } from './contract-bench.js';
import { unknownId } from './contract-subject.js';
import type { Bench } from './contract-bench.js';
import type { HypervisorTraits } from './contract-subject.js';
import { domainCalls } from './contract-reading.js';

type HostCall = (hypervisor: Hypervisor, options?: CallOptions) => Promise<unknown>;

/** Every call that is not about one domain. */
const hostCalls: Readonly<Record<string, HostCall>> = {
  listDomains: (hypervisor, options) => hypervisor.listDomains(options),
  describeMany: (hypervisor, options) => hypervisor.describeMany([unknownId], options),
  'free stats': (hypervisor, options) => hypervisor.stats({ groups: StatsGroup.cpu, lane: 'free' }, options),
  'backed stats': (hypervisor, options) =>
    hypervisor.stats({ groups: StatsGroup.block, lane: 'backed' }, options),
  define: (hypervisor, options) => hypervisor.define('<domain/>', options),
  hostInfo: (hypervisor, options) => hypervisor.hostInfo(options),
};

const calls: Readonly<Record<string, HostCall>> = {
  ...hostCalls,
  ...Object.fromEntries(
    Object.entries(domainCalls).map(([name, call]) => [
      name,
      (hypervisor: Hypervisor, options?: CallOptions) => call(hypervisor, unknownId, options),
    ]),
  ),
};

interface Benches {
  readonly fresh: () => Bench;
  readonly started: () => Promise<Bench>;
}

export function connectionContract(benches: Benches, traits: HypervisorTraits): void {
  lifeContract(benches, traits);
  listenerContract(benches);
  if (traits.options) optionsContract(benches, traits);
  if (traits.connects) lossContract(benches);
}

function lifeContract({ fresh, started }: Benches, traits: HypervisorTraits): void {
  it('stops once and for all: every call is then refused, and no listener hears more', async () => {
    const bench = await started();
    const { hypervisor } = bench;
    assert.equal(hypervisor.status.state, 'open');
    const told = [...bench.connection];
    await Promise.all([hypervisor.stop(), hypervisor.stop()]);
    await hypervisor.stop();
    assert.equal(hypervisor.status.state, 'stopped');
    for (const [name, call] of Object.entries(calls))
      await rejectsWith('unavailable', call(hypervisor), name);
    assert.deepEqual(bench.connection, told);
    assert.equal(hypervisor.status.state, 'stopped');
  });

  if (!traits.connects) return;

  it('is connecting until it is started, and open after it, as it tells without a gap', async () => {
    const bench = fresh();
    const { status } = bench.hypervisor;
    assert.equal(status.state, 'connecting');
    await bench.start();
    const open = bench.hypervisor.status;
    assert.equal(open.state, 'open');
    assert.equal(open.readOnly, false);
    assert.equal(open.reason, undefined);
    assert.ok(open.sinceMs >= status.sinceMs);
    assert.deepEqual(bench.connection, ['connected, gap false']);
  });

  it('answers those who are waiting when it is stopped', async () => {
    const { hypervisor } = await started();
    const waiting = Object.entries(calls).map(async ([name, call]) => {
      const error: unknown = await call(hypervisor).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      assert.ok(error === undefined || error instanceof HypervisorError, `${name}: ${String(error)}`);
    });
    await hypervisor.stop();
    await Promise.all(waiting);
  });
}

function listenerContract({ started }: Benches): void {
  it('tells a listener until it is removed, and the others still', async () => {
    const bench = await started();
    const heard: string[] = [];
    const remove = bench.hypervisor.addListener({
      domainEvent: ({ kind, id }) => heard.push(`${kind} ${id}`),
    });
    const id = await bench.define(1);
    assert.ok(heard.includes(`lifecycle ${id}`));
    remove();
    const before = heard.length;
    await bench.does(id, 'launch', { state: 'running', reason: 'booted' });
    assert.equal(heard.length, before);
    remove();
  });
}

function optionsContract({ fresh, started }: Benches, traits: HypervisorTraits): void {
  it('gives up calls whose signal is aborted, before or while they run', async () => {
    const { hypervisor } = await started();
    for (const [name, call] of Object.entries(calls)) {
      await rejectsWith('aborted', call(hypervisor, { signal: AbortSignal.abort() }), name);
    }
    for (const [name, call] of Object.entries(calls)) {
      const controller = new AbortController();
      const pending = call(hypervisor, { signal: controller.signal });
      controller.abort();
      await rejectsWith('aborted', pending, name);
    }
    assert.ok(Array.isArray(await hypervisor.listDomains()), 'and goes on answering others');
  });

  it('answers within a deadline of 1 ms or says that it passed', async () => {
    const bench = await started();
    await bench.run(1, true);
    for (const [name, call] of Object.entries(hostCalls)) {
      if (name === 'define') continue;
      const failure = await call(bench.hypervisor, { deadlineMs: 1 }).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (failure === undefined) continue;
      assert.ok(failure instanceof HypervisorError, name);
      // The others where it was not even sent: no connection yet, or no slot.
      assert.match(failure.kind, /^(timeout|unavailable|busy)$/, `${name}: ${failure.message}`);
    }
    assert.ok(Array.isArray(await bench.hypervisor.listDomains()), 'late answers disturb nothing');
  });

  if (!traits.likeQemu) return;

  it('gives up a call to a guest that hangs, goes on answering for it and for others, and has it back', async () => {
    const bench = await started();
    const { hypervisor } = bench;
    const hung = await bench.run(1, true);
    const healthy = await bench.run(2);
    const { freeze } = fresh().subject;
    assert.ok(freeze);
    const thaw = freeze(bench.spec(1).name);
    try {
      await rejectsWith('timeout', hypervisor.suspend(hung, { deadlineMs: 200 }));
      const { state } = await hypervisor.controlInfo(hung);
      assert.equal(state, 'occupied');
      assert.equal((await hypervisor.domainState(hung)).state, 'running');
      assert.equal((await hypervisor.describe(hung)).id, hung);
      const request = { groups: StatsGroup.state, lane: 'free', ids: [hung, healthy] } as const;
      assert.equal((await hypervisor.stats(request)).vmCount, 2);
      await bench.does(healthy, 'suspend', { state: 'paused', reason: 'user' });
    } finally {
      thaw();
    }
    const before = ['defined added', ...bench.traits.events.launch];
    await bench.eventsAre(hung, [...before, ...bench.traits.events.suspend]);
    await bench.does(hung, 'resume', { state: 'running', reason: 'unpaused' });
    assert.equal((await hypervisor.controlInfo(hung)).state, 'ok');
  });
}

function lossContract({ fresh, started }: Benches): void {
  it('tells the loss of its daemon, refuses calls, and comes back with a gap and all events', async () => {
    const bench = await started();
    const { hypervisor } = bench;
    const { cut } = fresh().subject;
    assert.ok(cut);
    const id = await bench.run(1);
    const restore = await cut();
    await bench.until(() => bench.connection.includes('disconnected'), 'the loss is told');
    assert.equal(hypervisor.status.state, 'lost');
    assert.match(hypervisor.status.reason ?? '', /\w+/);
    for (const [name, call] of Object.entries(calls))
      await rejectsWith('unavailable', call(hypervisor), name);

    await restore();
    await bench.until(() => bench.connection.length >= 3, 'the daemon is back');
    assert.deepEqual(bench.connection, ['connected, gap false', 'disconnected', 'connected, gap true']);
    assert.equal(hypervisor.status.state, 'open');
    assert.equal(hypervisor.status.reason, undefined);
    await bench.does(id, 'suspend', { state: 'paused', reason: 'user' });
    await bench.does(id, 'resume', { state: 'running', reason: 'unpaused' });
  });
}
