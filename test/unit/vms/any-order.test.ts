/** Whatever happens, in whatever order the news come: the records end up as the hypervisor has it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { VerbError } from '../../../src/domain/errors.js';
import type { DomainEvent } from '../../../src/domain/hypervisor.js';
import { actionNames } from '../../support/fake-actions.js';
import type { ActionName } from '../../support/fake-actions.js';
import type { VmId } from '../../../src/domain/ids.js';
import { fakeId } from '../../support/fake-domain.js';
import { Harness, payloadOf } from './harness.js';

const VMS = 3;

/** With short times, so that a chain of steps ends within the minutes that pass here. */
const shutdown = { timeout: 10, force: true };
const verbs = {
  pause: (harness, id) => harness.run('VM.pause', id),
  cont: (harness, id) => harness.run('VM.cont', id),
  destroy: (harness, id) => harness.run('VM.destroy', id),
  shutdown: (harness, id) => harness.run('VM.shutdown', id, shutdown),
  shutdownGently: (harness, id) => harness.run('VM.shutdown', id, { timeout: 10 }),
  reboot: (harness, id) => harness.run('VM.shutdown', id, { ...shutdown, reboot: true }),
  reset: (harness, id) => harness.run('VM.reset', id),
  setDestroyOnReboot: (harness, id) => harness.run('VM.setDestroyOnReboot', id),
  hibernate: (harness, id) =>
    harness.run('VM.hibernate', id, { hibernationVolHandle: `/saved/${harness.files.content.size}` }),
  migrateCancel: (harness, id) => harness.run('VM.migrateCancel', id),
} as const satisfies Record<string, (harness: Harness, id: VmId) => Promise<unknown>>;
type Verb = keyof typeof verbs;
const verbNames = Object.keys(verbs) as Verb[];

type Step =
  | { readonly kind: 'act'; readonly n: number; readonly name: ActionName }
  | { readonly kind: 'verb'; readonly n: number; readonly name: Verb }
  | { readonly kind: 'reboot'; readonly n: number }
  | { readonly kind: 'events'; readonly mode: 'now' | 'held' | 'lost' }
  | { readonly kind: 'deliver'; readonly shuffle: boolean }
  | { readonly kind: 'rest' | 'turn' | 'minute' | 'reconnect' | 'hold' | 'release' };

const n = fc.integer({ min: 1, max: VMS });
const kindOf = <K extends Step['kind']>(...kinds: K[]) => fc.constantFrom(...kinds);
const act = fc.record({ kind: kindOf('act'), n, name: fc.constantFrom(...actionNames) });
const verb = fc.record({ kind: kindOf('verb'), n, name: fc.constantFrom(...verbNames) });
const reboot = fc.record({ kind: kindOf('reboot'), n });
const events = fc.record({ kind: kindOf('events'), mode: fc.constantFrom('now', 'held', 'lost') });
const deliver = fc.record({ kind: kindOf('deliver'), shuffle: fc.boolean() });

/** A harness with what a run of steps has open. */
class Run {
  release: (() => void) | undefined;
  readonly verbs: Promise<unknown>[] = [];

  constructor(readonly harness: Harness) {}

  async take(step: Step): Promise<void> {
    const { hypervisor, clock } = this.harness;
    switch (step.kind) {
      case 'act':
        return void hypervisor.act(fakeId(step.n), step.name);
      case 'reboot':
        if (hypervisor.domains.get(fakeId(step.n))?.active)
          hypervisor.emit(fakeId(step.n), { kind: 'reboot' });
        return;
      case 'verb':
        return void this.verbs.push(this.#verb(step.name, step.n));
      case 'events':
        hypervisor.events = step.mode;
        return;
      case 'deliver':
        hypervisor.deliver(step.shuffle ? (held) => held.reverse() : undefined);
        return;
      case 'reconnect':
        hypervisor.disconnect();
        hypervisor.connect();
        return;
      case 'minute':
        return clock.advance(60_000);
      case 'turn':
        return new Promise((resolve) => setImmediate(resolve));
      case 'rest':
        return this.harness.rest();
      case 'hold':
        this.release ??= hypervisor.holdAnswer('domainState');
        return;
      case 'release':
        this.release?.();
        this.release = undefined;
    }
  }

  async end(): Promise<void> {
    this.release?.();
    await Promise.all(this.verbs);
    await this.harness.rest();
  }

  async #verb(name: Verb, vm: number): Promise<void> {
    try {
      await verbs[name](this.harness, fakeId(vm));
    } catch (error) {
      assert.ok(error instanceof VerbError);
    }
  }
}

async function started(): Promise<Run> {
  const harness = new Harness();
  for (let vm = 1; vm <= VMS; vm++) harness.hypervisor.addDomain(vm, undefined, { managed: vm !== VMS });
  return new Run(await harness.start());
}

/** Live VMs by id and whether their CPUs run, as the hypervisor has it. */
function truth({ hypervisor }: Harness): (readonly [string, boolean])[] {
  const live = [...hypervisor.domains.values()].filter(({ state }) => state.state !== 'shutoff');
  return live.map(({ id, state }) => [id, state.state === 'running'] as const).sort();
}

function believed({ registry }: Harness): (readonly [string, boolean])[] {
  const live = [...registry.all()].filter(({ internal }) => internal !== 'Down');
  return live.map(({ id, cpuRunning }) => [id, cpuRunning] as const).sort();
}

/** VDSM's exit reasons by their code; an engine restarts a highly available VM after code 1. */
const reasonsOf: Readonly<Record<number, readonly number[]>> = {
  0: [4, 5, 6, 7, 10, 13],
  1: [1, 2, 3, 8, 9, 11, 12, 14],
};

/** Nothing is left of what was begun. */
function checkLeftovers({ registry }: Harness): void {
  for (let vm = 1; vm <= VMS; vm++) assert.equal(registry.locks.running(fakeId(vm)), undefined);
}

/** Each event tells something new, and Down is followed only by a VM that has come up anew. */
function checkEvents({ published }: Harness): void {
  const last = new Map<string, string>();
  for (const event of published) {
    const { elapsedTime, ...told } = payloadOf(event);
    const id = event.vmId ?? '';
    const text = JSON.stringify([told['status'], told['pauseCode']]);
    if (elapsedTime === undefined) assert.notEqual(text, last.get(id), 'an event told nothing new');
    if (last.get(id)?.startsWith('["Down"')) assert.notEqual(elapsedTime, undefined, 'left Down');
    if (told['status'] === 'Down') {
      const [code, reason] = [Number(told['exitCode']), Number(told['exitReason'])];
      assert.ok(reasonsOf[code]?.includes(reason), `Down with ${code}/${reason}`);
    }
    last.set(id, text);
  }
}

describe('any order of happenings, verbs and events', () => {
  it('ends with records equal to the truth after a last compare', async () => {
    const quiet = fc.record({ kind: kindOf('rest', 'turn', 'minute', 'reconnect') });
    const steps = fc.array(fc.oneof(act, verb, reboot, events, deliver, quiet), { maxLength: 25 });
    await fc.assert(
      fc.asyncProperty(steps, async (list) => {
        const run = await started();
        for (const step of list) await run.take(step);
        await run.end();
        await run.harness.clock.advance(60_000);
        await run.end();
        assert.deepEqual(believed(run.harness), truth(run.harness));
        checkEvents(run.harness);
        checkLeftovers(run.harness);
      }),
      { numRuns: 150 },
    );
  });

  it('needs no compare where no event is lost, however late answers come', async () => {
    const pace = fc.record({ kind: kindOf('rest', 'turn', 'hold', 'release') });
    const steps = fc.array(fc.oneof(act, verb, reboot, pace), { maxLength: 25 });
    await fc.assert(
      fc.asyncProperty(steps, async (list) => {
        const run = await started();
        for (const step of list) await run.take(step);
        await run.end();
        assert.deepEqual(believed(run.harness), truth(run.harness));
        checkEvents(run.harness);
        checkLeftovers(run.harness);
      }),
      { numRuns: 300 },
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
      fc.asyncProperty(fc.array(event, { maxLength: 30 }), async (list) => {
        const run = await started();
        for (const one of list) run.harness.hypervisor.emit(one.id, one);
        await run.end();
        await run.harness.clock.advance(60_000);
        await run.end();
        assert.deepEqual(believed(run.harness), truth(run.harness));
        checkEvents(run.harness);
        checkLeftovers(run.harness);
      }),
      { numRuns: 100 },
    );
  });
});
