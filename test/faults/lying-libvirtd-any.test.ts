/**
 * Floods of events from libvirtd, true ones and lies; and a daemon of whose packets any share is dropped, cut, flipped,
 * doubled or put out of order: afterwards everything is well again within a bounded time, by itself.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { setImmediate, setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import type { VmId } from '../../src/domain/ids.js';
import { eventPackets } from '../../src/libvirt/domain-events.js';
import { PacketType, Program, readHeader } from '../../src/libvirt/wire.js';
import { XdrWriter } from '../../src/libvirt/xdr.js';
import { eventBurst } from '../../src/simulator/living-host.js';
import { SeededRandom } from '../../src/simulator/random.js';
import { collectGarbage } from '../support/garbage.js';
import { LyingHost, SPEED } from '../support/lying-host.js';
import type { Lie } from '../support/lying-host.js';

const MiB = 1024 * 1024;
const VMS = 20;
const EVENTS = 100_000;
const EVENTS_AT_ONCE = 1000;
/** Of the agent and the simulated daemon together, garbage included. */
const MAX_GROWTH_BYTES = 192 * MiB;
/** What stays for good: the ring of events, 8 MiB, and the queue of what is in doubt, 1,000 ids. */
const MAX_KEPT_BYTES = 16 * MiB;
/** Longest wait for a probe of a VM in quarantine, which a lost answer may cost a VM, and all else: s of the agent's time. */
const WELL_AFTER_SEC = 180;

const mutations = ['drop', 'cut', 'flip', 'double', 'reorder'] as const;
interface Phase {
  readonly kinds: readonly (typeof mutations)[number][];
  readonly share: number;
  readonly turns: number;
}

const phase: fc.Arbitrary<Phase> = fc.record({
  kinds: fc.subarray([...mutations], { minLength: 1 }),
  share: fc.constantFrom(0.02, 0.1, 0.5),
  turns: fc.integer({ min: 3, max: 10 }),
});

/** Does to some packets, by chance, one of the things. */
function mutator({ kinds, share }: Phase, random: SeededRandom): Lie {
  let held: Buffer | undefined;
  return (packet) => {
    if (held) {
      const both = Buffer.concat([packet, held]);
      held = undefined;
      return both;
    }
    if (random.next() >= share) return packet;
    switch (random.pick(kinds)) {
      case 'drop':
        return undefined;
      case 'cut':
        return packet.subarray(0, Math.floor(packet.length * random.next()));
      case 'double':
        return Buffer.concat([packet, packet]);
      case 'reorder':
        held = packet;
        return undefined;
      default: {
        const copy = Buffer.from(packet);
        for (let flips = 1 + Math.floor(random.next() * 4); flips > 0; flips--)
          copy[Math.floor(random.next() * copy.length)]! ^= 1 << Math.floor(random.next() * 8);
        return copy;
      }
    }
  };
}

function eventOfNobody(): Buffer {
  const writer = new XdrWriter();
  const { codec, procedure } = eventPackets.lifecycle;
  const dom = { name: 'stranger', uuid: randomUUID() as VmId, id: 99 };
  codec.write(writer, { callbackId: 1, dom, event: 2, detail: 0 });
  const header = {
    program: Program.remote,
    version: 1,
    procedure,
    type: PacketType.event,
    serial: 1,
    status: 0,
  };
  return writer.finish(header);
}

describe('floods and chance', { timeout: 200_000 }, () => {
  let world: LyingHost;

  before(async () => {
    world = await new LyingHost(VMS).start();
  });
  after(() => world.stop());

  /** Live bytes. */
  function kept(): number {
    collectGarbage();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  }

  /** Peak of the resident memory over what it was at first, while the work is done; what is kept of it is checked. */
  async function growthOf(work: () => Promise<void>): Promise<number> {
    const keptBefore = kept();
    const baseBytes = process.memoryUsage.rss();
    let peakBytes = baseBytes;
    const watch = setInterval(() => (peakBytes = Math.max(peakBytes, process.memoryUsage.rss())), 10);
    await work();
    clearInterval(watch);
    const keptBytes = kept() - keptBefore;
    assert.ok(keptBytes < MAX_KEPT_BYTES, `${keptBytes / MiB} MiB are kept`);
    return peakBytes - baseBytes;
  }

  it(`${EVENTS} true events are all taken, in bounded memory`, async (t) => {
    const before = await world.count('libvirt_events_total', 'lifecycle');
    const taken = async (): Promise<number> =>
      (await world.count('libvirt_events_total', 'lifecycle')) - before;
    const startMs = performance.now();
    const growth = await growthOf(async () => {
      for (let sent = 0; sent < EVENTS; sent += EVENTS_AT_ONCE) {
        eventBurst(world.host, EVENTS_AT_ONCE);
        await setImmediate();
      }
      while ((await taken()) < EVENTS) await delay(5);
    });
    const tookSec = (performance.now() - startMs) / 1000;
    const wellSec = await world.untilWell(WELL_AFTER_SEC / SPEED);
    assert.equal(await taken(), EVENTS);
    t.diagnostic(
      `${tookSec.toFixed(1)} s, ${(growth / MiB).toFixed(0)} MiB, well ${wellSec.toFixed(1)} s after`,
    );
    assert.ok(growth < MAX_GROWTH_BYTES, `${growth / MiB} MiB`);
  });

  it(`${EVENTS} events of as many domains that there are not cost few calls and bounded memory`, async (t) => {
    const before = await world.count('vm_events_unknown_total');
    const callsBefore = await world.count('libvirt_calls_total', 'priority');
    const startMs = performance.now();
    world.lie = (packet) => {
      const { type, program } = readHeader(packet);
      if (type !== PacketType.event || program !== Program.remote) return packet;
      return Buffer.concat([packet, ...Array.from({ length: EVENTS_AT_ONCE / 2 }, eventOfNobody)]);
    };
    const growth = await growthOf(async () => {
      for (let sent = 0; sent < EVENTS; sent += EVENTS_AT_ONCE) {
        world.flicker();
        await setImmediate();
      }
      while ((await world.count('vm_events_unknown_total')) - before < EVENTS) await delay(5);
    });
    world.lie = undefined;
    const tookSec = (performance.now() - startMs) / 1000;
    const wellSec = await world.untilWell(WELL_AFTER_SEC / SPEED);
    const calls = (await world.count('libvirt_calls_total', 'priority')) - callsBefore;
    t.diagnostic(
      `${tookSec.toFixed(1)} s, ${(growth / MiB).toFixed(0)} MiB, ${calls} calls, well ${wellSec.toFixed(1)} s after`,
    );
    assert.equal(world.registry.size, VMS);
    assert.ok(growth < MAX_GROWTH_BYTES, `${growth / MiB} MiB`);
    assert.ok(calls < EVENTS / 5, `${calls} calls`);
  });

  it('a call that hangs in a QEMU is not taken for one whose reply was lost', async () => {
    const [id] = world.ids;
    assert.ok(id);
    const lostBefore = await world.count('libvirt_lost_replies_total');
    world.server.hang(id);
    const startMs = performance.now();
    while (world.hypervisor.stuckCalls === 0) {
      assert.ok(performance.now() - startMs < 10_000, 'no call hangs');
      await delay(20);
    }
    // Four looks of the audit.
    for (let look = 0; look < 40; look++) {
      await delay(1500 / SPEED);
      assert.ok(world.hypervisor.stuckCalls > 0, 'the call is not counted any more');
    }
    assert.equal(await world.count('libvirt_lost_replies_total'), lostBefore);
    world.server.release(id);
    await world.untilWell(WELL_AFTER_SEC / SPEED);
  });

  it('any mutation of any share of the packets is over when it is over', async (t) => {
    const worst = { sec: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(phase, { minLength: 1, maxLength: 4 }), fc.nat(), async (phases, seed) => {
        const random = new SeededRandom(seed);
        for (const each of phases) {
          world.lie = mutator(each, random);
          for (let turn = 0; turn < each.turns; turn++) {
            eventBurst(world.host, 2 * VMS);
            for (const id of world.ids) world.registry.doubt(id);
            await delay(40);
          }
        }
        world.lie = undefined;
        worst.sec = Math.max(worst.sec, await world.untilWell(WELL_AFTER_SEC / SPEED));
      }),
      { numRuns: 3, interruptAfterTimeLimit: 25_000, markInterruptAsFailure: false, endOnFailure: true },
    );
    const counts = await Promise.all(
      (['libvirt_malformed_total', 'libvirt_unknown_total', 'libvirt_lost_replies_total'] as const).map(
        async (name) => `${name} ${await world.count(name)}`,
      ),
    );
    t.diagnostic(`well after ${worst.sec.toFixed(0)} s at most; ${counts.join(', ')}`);
  });
});
