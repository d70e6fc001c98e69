import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FanOut, PublishedEvent } from '../../../src/transport/fan-out.js';
import { makeFanOut, statusEvent, vmId } from './events.js';

function record(fanOut: FanOut): PublishedEvent[] {
  const seen: PublishedEvent[] = [];
  fanOut.attach({ deliver: (event) => seen.push(event) });
  return seen;
}

const numbers = (events: readonly PublishedEvent[]): unknown[] =>
  events.map(({ bytes }) => {
    const message = JSON.parse(bytes.toString()) as { params: Record<string, { n?: number }> };
    return Object.values(message.params)[0]?.n;
  });

describe('the fan-out', () => {
  it("encodes VDSM's notification with seq beside params and nothing added inside", () => {
    const { fanOut } = makeFanOut();
    const seen = record(fanOut);
    fanOut.publish(statusEvent(1, { pauseCode: 'EIO', name: 'ü' }, 4_000_000_000));
    const text =
      `{"jsonrpc":"2.0","method":"|virt|VM_status|${vmId(1)}","params":{"${vmId(1)}":{"status":"Up",` +
      `"pauseCode":"EIO","name":"ü"},"notify_time":4000000000},"seq":1}`;
    assert.equal(seen[0]?.bytes.toString(), text);
  });

  it('gives the same bytes to fifty subscribers', () => {
    const { fanOut } = makeFanOut();
    const all = Array.from({ length: 50 }, () => record(fanOut));
    fanOut.publish(statusEvent(1));
    assert.equal(new Set(all.map(([event]) => event?.bytes)).size, 1);
  });

  it('gives nothing to a subscriber that was removed', () => {
    const { fanOut } = makeFanOut();
    const seen: PublishedEvent[] = [];
    fanOut.attach({ deliver: (event) => seen.push(event) })();
    fanOut.publish(statusEvent(1));
    assert.deepEqual(seen, []);
  });

  it('holds one VM back in order, while others go on, and numbers its events at the release', () => {
    const { fanOut } = makeFanOut();
    const seen = record(fanOut);
    const release = fanOut.hold(vmId(1));
    fanOut.publish(statusEvent(1, { n: 1 }));
    fanOut.publish(statusEvent(2, { n: 2 }));
    fanOut.publish(statusEvent(1, { n: 3 }));
    assert.deepEqual(numbers(seen), [2]);
    release();
    fanOut.publish(statusEvent(1, { n: 4 }));
    assert.deepEqual(numbers(seen), [2, 1, 3, 4]);
    assert.deepEqual(
      seen.map(({ seq }) => seq),
      [1, 2, 3, 4],
    );
  });

  it('nests holds, and a release counts once however often it is called', () => {
    const { fanOut } = makeFanOut();
    const seen = record(fanOut);
    const outer = fanOut.hold(vmId(1));
    const inner = fanOut.hold(vmId(1));
    fanOut.publish(statusEvent(1));
    inner();
    inner();
    assert.equal(seen.length, 0);
    outer();
    assert.equal(seen.length, 1);
    const next = fanOut.hold(vmId(1));
    outer();
    fanOut.publish(statusEvent(1));
    assert.equal(seen.length, 1);
    next();
    assert.equal(seen.length, 2);
  });

  it('releases a hold that its holder forgot, and counts it', async () => {
    const { fanOut, clock, metrics } = makeFanOut({ maxHoldMs: 5000 });
    const seen = record(fanOut);
    fanOut.hold(vmId(1));
    fanOut.publish(statusEvent(1));
    await clock.advance(4999);
    assert.equal(seen.length, 0);
    await clock.advance(1);
    assert.equal(seen.length, 1);
    assert.match(await metrics.text(), /event_holds_expired_total 1/);
  });

  it('leaves no timer behind, neither after a release nor after stop', async () => {
    const { fanOut, clock } = makeFanOut();
    const release = fanOut.hold(vmId(1));
    fanOut.hold(vmId(2));
    release();
    assert.equal(clock.pendingTimers, 1);
    await fanOut.stop();
    assert.equal(clock.pendingTimers, 0);
  });

  it('never lets notify_time of a VM go back', () => {
    const { fanOut } = makeFanOut();
    const seen = record(fanOut);
    const times = [
      [1, 50],
      [1, 40],
      [2, 30],
      [1, 60],
    ] as const;
    for (const [vm, time] of times) fanOut.publish(statusEvent(vm, {}, time));
    assert.deepEqual(
      seen.map(
        ({ bytes }) =>
          (JSON.parse(bytes.toString()) as { params: { notify_time: number } }).params.notify_time,
      ),
      [50, 50, 30, 60],
    );
  });
});

describe('resuming', () => {
  it('gives exactly what was missed, as it was sent', () => {
    const { fanOut } = makeFanOut();
    for (let n = 1; n <= 3; n++) fanOut.publish(statusEvent(n, { n }));
    assert.deepEqual(fanOut.resume({ epoch: fanOut.epoch, seq: 2 }), [
      {
        seq: 3,
        method: `|virt|VM_status|${vmId(3)}`,
        params: { [vmId(3)]: { status: 'Up', n: 3 }, notify_time: 1000 },
      },
    ]);
    assert.deepEqual(fanOut.resume({ epoch: fanOut.epoch, seq: 3 }), []);
  });

  it('is refused for another run, an overwritten place and the future, and counted', async () => {
    const { fanOut, metrics } = makeFanOut({ ringEvents: 2 });
    for (let n = 1; n <= 4; n++) fanOut.publish(statusEvent(n));
    assert.equal(fanOut.resume({ epoch: 'another', seq: 4 }), undefined);
    assert.equal(fanOut.resume({ epoch: fanOut.epoch, seq: 1 }), undefined);
    assert.equal(fanOut.resume({ epoch: fanOut.epoch, seq: 5 }), undefined);
    assert.equal(fanOut.resume({ epoch: fanOut.epoch, seq: 2 })?.length, 2);
    const text = await metrics.text();
    for (const outcome of ['other-epoch', 'overwritten', 'future', 'resumed']) {
      assert.match(text, new RegExp(`events_resumed_total\\{outcome="${outcome}"\\} 1`));
    }
  });

  it('has another epoch in each run', () => {
    assert.notEqual(makeFanOut().fanOut.epoch, makeFanOut().fanOut.epoch);
  });
});
