/**
 * Nothing is lost between registry and client, whatever happens to the connection, to the agent or to the clock: any
 * sequence of status changes, cut connections, agents started anew and wall clocks set back ends with a table that
 * equals the registry's, and on the way each transition was told exactly once or a snapshot was announced.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { createDispatcher, type CreateDispatcherOptions } from '../../src/api/create-dispatcher.js';
import type { AgentEventMessage } from '../../src/client/client.js';
import { VmMonitor } from '../../src/client/vm-monitor.js';
import type { VmId } from '../../src/domain/ids.js';
import { FanOut, type PublishedEvent } from '../../src/transport/fan-out.js';
import { Listener } from '../../src/transport/websocket.js';
import { silentLogger } from '../../src/util/log.js';
import { createMetrics } from '../../src/util/metrics.js';
import { systemClock, type Clock } from '../../src/util/time.js';
import { Registry } from '../../src/vms/registry.js';
import { fakeId } from '../support/fake-domain.js';
import { SocketRelay } from '../support/socket-relay.js';

const VMS = 4;
/** Small: some of the cuts last longer than the ring remembers. */
const RING_EVENTS = 12;
const ids = Array.from({ length: VMS }, (_, index) => fakeId(index + 1));

const causes = { pause: 'suspended', resume: 'resumed', stop: 'stopped-destroyed' } as const;
type Change = keyof typeof causes | 'begin';
type Step =
  | {
      readonly kind: 'change';
      readonly vm: number;
      readonly what: Change;
    }
  | { readonly kind: 'cut' | 'open' | 'restart' | 'clock-back' | 'rest' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('change' as const),
      vm: fc.nat(VMS - 1),
      what: fc.constantFrom<Change[]>('pause', 'resume', 'pause', 'resume', 'stop', 'begin'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom<('cut' | 'open' | 'rest' | 'clock-back')[]>(
        'cut',
        'open',
        'open',
        'rest',
        'clock-back',
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
);

/** Registry, fan-out, API and listener of an agent; what they have of a hypervisor is this test. */
class Half {
  readonly published: PublishedEvent[] = [];
  readonly fanOut: FanOut;
  readonly registry: Registry;
  readonly #listener: Listener;

  constructor(path: string, clock: Clock) {
    const parts = { clock, log: silentLogger, metrics: createMetrics() };
    this.fanOut = new FanOut({ ...parts, ringEvents: RING_EVENTS });
    this.fanOut.attach({ deliver: (event) => void this.published.push(event) });
    this.registry = new Registry({ ...parts, publish: (event) => this.fanOut.publish(event) });
    const dispatcher = createDispatcher({
      vms: this.registry,
      operations: { verbs: {} },
      events: this.fanOut,
      isReady: () => true,
      ...parts,
    } as unknown as CreateDispatcherOptions);
    this.#listener = new Listener({
      endpoints: [{ path }],
      insecure: false,
      handle: dispatcher.handle,
      fanOut: this.fanOut,
      health: () => ({ ok: true, body: {} }),
      ...parts,
    });
  }

  start(): Promise<void> {
    return this.#listener.start();
  }

  async stop(): Promise<void> {
    await this.#listener.stop();
    await this.fanOut.stop();
    this.registry.stop();
  }

  change(id: VmId, what: Change): void {
    if (what !== 'begin') this.registry.move(id, causes[what]);
    else if ((this.registry.get(id)?.internal ?? 'Down') === 'Down') this.begin(id);
  }

  begin(id: VmId): void {
    this.registry.add(
      { id, name: id, external: false, internal: 'WaitForLaunch' },
      { causes: ['found-running'] },
    );
  }

  /** Sorted pairs of id and status. */
  statuses(): [string, string][] {
    return [...this.registry.all()].map(({ id, status }): [string, string] => [id, status]).sort();
  }
}

/** What the client saw: a snapshot, or events, each with the position after it. */
interface Seen {
  readonly epoch: string;
  readonly seq: number;
  /** Absent: a snapshot. */
  readonly event?: AgentEventMessage;
}

async function run(steps: readonly Step[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'vdsm-agent-continuity-'));
  const path = join(folder, 'agent.sock');
  let setBackMs = 0;
  const clock: Clock = { ...systemClock, wallMs: () => systemClock.wallMs() - setBackMs };
  const halves = [new Half(path, clock)];
  let half = halves[0]!;
  await half.start();
  for (const id of ids) half.begin(id);
  const relay = new SocketRelay(path);
  await relay.open();
  let isOpen = true;
  const monitor = new VmMonitor(`unix:${relay.path}`, { pollIntervalMs: 0, minRetryMs: 5, maxRetryMs: 20 });
  const seen: Seen[] = [];
  const positioned = (): Pick<Seen, 'epoch' | 'seq'> => monitor.position ?? { epoch: '', seq: -1 };
  monitor.addListener({
    synchronised: ({ resumed }) => {
      if (!resumed) seen.push(positioned());
    },
    event: (event) => seen.push({ epoch: positioned().epoch, seq: event.seq ?? -1, event }),
  });
  monitor.start();
  try {
    for (const each of steps) {
      if (each.kind === 'change') half.change(ids[each.vm]!, each.what);
      else if (each.kind === 'rest') await delay(3);
      else if (each.kind === 'clock-back') setBackMs += 3_600_000;
      else if (each.kind === 'cut' && isOpen) {
        isOpen = false;
        await relay.cut();
      } else if (each.kind === 'open' && !isOpen) {
        isOpen = true;
        await relay.open();
      } else if (each.kind === 'restart') {
        const known = [...half.registry.all()];
        await half.stop();
        half = new Half(path, clock);
        halves.push(half);
        for (const vm of known) {
          half.begin(vm.id);
          if (vm.internal === 'Paused') half.registry.move(vm.id, 'suspended');
          if (vm.internal === 'Down') half.registry.move(vm.id, 'stopped-destroyed');
        }
        await half.start();
      }
    }
    if (!isOpen) await relay.open();
    const { fanOut } = half;
    const arrived = (): boolean => {
      const { position } = monitor;
      return monitor.synchronised && position?.epoch === fanOut.epoch && position.seq === fanOut.seq;
    };
    for (let waited = 0; !arrived() && waited < 5000; waited++) await delay(2);
    assert.ok(
      arrived(),
      `the client stands at ${JSON.stringify(monitor.position)}, the agent at ${fanOut.seq}`,
    );
    assert.deepEqual([...monitor.vms].map(([id, { status }]) => [id, status]).sort(), half.statuses());
    assert.equal(monitor.gaps, 0);
    checkOnceEach(seen, halves);
  } finally {
    await monitor.stop();
    await relay.dispose();
    await half.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** From one snapshot to the next every event of the epoch was seen, in order, once, and as it was published. */
function checkOnceEach(seen: readonly Seen[], halves: readonly Half[]): void {
  let at: Seen | undefined;
  for (const each of seen) {
    if (each.event) {
      assert.ok(at, 'an event before the first snapshot');
      assert.equal(each.epoch, at.epoch, 'an event of another run of the agent');
      // Events that came while the snapshot was on its way are in the position that it is noted with.
      if (at.event) assert.equal(each.seq, at.seq + 1, 'an event is missing or came twice');
      else assert.ok(each.seq <= at.seq + 1, 'events are missing after a snapshot');
      const half = halves.find(({ fanOut }) => fanOut.epoch === each.epoch);
      const published = half?.published[each.seq - 1]?.bytes.toString() ?? 'null';
      const { params } = JSON.parse(published) as AgentEventMessage;
      assert.deepEqual(each.event.params, params);
    }
    at = each;
  }
}

describe('the stream of events', { timeout: 240_000 }, () => {
  it('loses nothing and tells nothing twice, whatever is cut, started anew or set back', async (t) => {
    let steps = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120 }), async (sequence) => {
        steps += sequence.length;
        await run(sequence);
      }),
      { numRuns: 150, interruptAfterTimeLimit: 120_000, includeErrorInReport: true },
    );
    t.diagnostic(`${steps} steps`);
    assert.ok(steps > 500);
  });

  it('goes on where a cut lasted no longer than the ring remembers, and begins anew where it did', async () => {
    const changes = (count: number): Step[] =>
      Array.from({ length: count }, (_, n) => ({
        kind: 'change',
        vm: 0,
        what: n % 2 === 0 ? 'pause' : 'resume',
      }));
    const rest: Step[] = Array.from({ length: 20 }, () => ({ kind: 'rest' }));
    for (const missed of [RING_EVENTS - 1, RING_EVENTS + 5]) {
      await run([...rest, { kind: 'cut' }, ...changes(missed), { kind: 'open' }, ...rest]);
    }
  });
});
