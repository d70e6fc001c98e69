/** Whatever happens, in whatever order the news come: the records end up as the hypervisor has it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { DomainEvent } from '../../../src/domain/hypervisor.js';
import { actionNames } from '../../support/fake-actions.js';
import { fakeId } from '../../support/fake-domain.js';
import { Harness } from './harness.js';

const VMS = 3;

const step = fc.oneof(
  fc.record({
    kind: fc.constant('act'),
    n: fc.integer({ min: 1, max: VMS }),
    name: fc.constantFrom(...actionNames),
  }),
  fc.record({
    kind: fc.constant('verb'),
    n: fc.integer({ min: 1, max: VMS }),
    name: fc.constantFrom('pause', 'cont', 'destroy'),
  }),
  fc.record({ kind: fc.constant('events'), mode: fc.constantFrom('now', 'held', 'lost') }),
  fc.record({ kind: fc.constant('deliver'), shuffle: fc.boolean() }),
  fc.record({ kind: fc.constantFrom('rest', 'turn', 'minute', 'reconnect') }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

async function take(harness: Harness, pending: Promise<unknown>[], next: Step): Promise<void> {
  const { hypervisor, operations, clock } = harness;
  switch (next.kind) {
    case 'act':
      if ('n' in next) hypervisor.act(fakeId(next.n), next.name as (typeof actionNames)[number]);
      return;
    case 'verb':
      if ('n' in next) {
        const verb = next.name as 'pause' | 'cont' | 'destroy';
        pending.push(
          operations[verb](fakeId(next.n)).catch((error: Error) => assert.equal(error.name, 'VerbError')),
        );
      }
      return;
    case 'events':
      if ('mode' in next) hypervisor.events = next.mode as 'now';
      return;
    case 'deliver':
      hypervisor.deliver('shuffle' in next && next.shuffle ? (events) => events.reverse() : undefined);
      return;
    case 'reconnect':
      hypervisor.disconnect();
      hypervisor.connect();
      return;
    case 'minute':
      return clock.advance(60_000);
    case 'turn':
      return new Promise((resolve) => setImmediate(resolve));
    default:
      return harness.rest();
  }
}

/** Live records by id, as the hypervisor's states say. */
function truth({ hypervisor }: Harness): Record<string, boolean> {
  const live = [...hypervisor.domains.values()].filter(({ state }) => state.state !== 'shutoff');
  return Object.fromEntries(live.map(({ id, state }) => [id, state.state === 'running']));
}

function believed({ registry }: Harness): Record<string, boolean> {
  const live = [...registry.all()].filter(({ internal }) => internal !== 'Down');
  return Object.fromEntries(live.map(({ id, cpuRunning }) => [id, cpuRunning]));
}

const sorted = (map: Record<string, boolean>): [string, boolean][] => Object.entries(map).sort();

/** Each event tells something new, and Down is followed only by a VM that has come up anew. */
function checkEvents({ published }: Harness): void {
  const last = new Map<string, string>();
  for (const { id, payload } of published) {
    const { elapsedTime, ...told } = payload;
    const text = JSON.stringify([told['status'], told['pauseCode']]);
    if (elapsedTime === undefined) assert.notEqual(text, last.get(id), 'an event told nothing new');
    if (last.get(id)?.startsWith('["Down"')) assert.notEqual(elapsedTime, undefined, 'left Down');
    last.set(id, text);
  }
}

describe('any order of happenings, verbs and events', () => {
  it('ends with records equal to the truth after a last compare', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const harness = new Harness();
        for (let n = 1; n <= VMS; n++) harness.hypervisor.addDomain(n, undefined, { managed: n !== VMS });
        await harness.start();
        const pending: Promise<unknown>[] = [];
        for (const next of steps) await take(harness, pending, next);
        await Promise.all(pending);
        await harness.rest();
        await harness.clock.advance(60_000);
        await harness.rest();
        assert.deepEqual(sorted(believed(harness)), sorted(truth(harness)));
        checkEvents(harness);
      }),
      { numRuns: 150 },
    );
  });

  it('survives events that make no sense', async () => {
    const names = [
      'started',
      'suspended',
      'resumed',
      'stopped',
      'shutdown',
      'crashed',
      'pmsuspended',
      'defined',
    ];
    const details = ['paused', 'ioerror', 'unpaused', 'guest', 'failed', 'migrated', 'postcopy', 'nonsense'];
    const event = fc.record({
      id: fc.integer({ min: 1, max: VMS + 1 }).map(fakeId),
      domainName: fc.constant(''),
      kind: fc.constant('lifecycle'),
      event: fc.constantFrom(...names),
      detail: fc.constantFrom(...details),
    }) as fc.Arbitrary<DomainEvent>;
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 30 }), async (events) => {
        const harness = new Harness();
        for (let n = 1; n <= VMS; n++) harness.hypervisor.addDomain(n);
        await harness.start();
        for (const one of events) harness.hypervisor.emit(one.id, one);
        await harness.rest();
        await harness.clock.advance(60_000);
        await harness.rest();
        assert.deepEqual(sorted(believed(harness)), sorted(truth(harness)));
        checkEvents(harness);
      }),
      { numRuns: 100 },
    );
  });
});
