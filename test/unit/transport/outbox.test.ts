import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Outbox, type Wire } from '../../../src/transport/outbox.js';

/** A wire that takes bytes to the "kernel" only when told. */
class FakeWire implements Wire {
  readonly frames: { data: Buffer; fin: boolean; done: (error?: Error) => void }[] = [];
  corked = 0;
  uncorked = 0;
  #flushed = 0;

  get bufferedAmount(): number {
    return this.frames.slice(this.#flushed).reduce((sum, { data }) => sum + data.length, 0);
  }
  send(data: Buffer, { fin }: { fin: boolean }, done: (error?: Error) => void): void {
    assert.ok(this.corked > this.uncorked, 'sent while corked');
    this.frames.push({ data, fin, done });
  }
  cork(): void {
    this.corked++;
  }
  uncork(): void {
    this.uncorked++;
  }
  /** False where nothing is left. */
  flushOne(error?: Error): boolean {
    const frame = this.frames[this.#flushed];
    if (!frame) return false;
    this.#flushed++;
    frame.done(error);
    return true;
  }
  messages(): string[] {
    const whole: string[] = [];
    let begun = '';
    for (const { data, fin } of this.frames) {
      begun += data.toString('latin1');
      if (!fin) continue;
      whole.push(begun);
      begun = '';
    }
    return whole;
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const MiB = 1024 * 1024;

describe('the outbox', () => {
  it('sends all that one turn queued under one cork', async () => {
    const wire = new FakeWire();
    const outbox = new Outbox(wire, wire, () => undefined);
    outbox.push([Buffer.from('a')]);
    outbox.push([Buffer.from('b')]);
    assert.equal(outbox.unsentBytes, 2);
    await turn();
    assert.deepEqual([wire.messages(), wire.corked, wire.uncorked, outbox.empty], [['a', 'b'], 1, 1, true]);
  });

  it('joins tiny pieces, and passes large ones on uncopied as fragments', async () => {
    const wire = new FakeWire();
    const outbox = new Outbox(wire, wire, () => undefined);
    const page = Buffer.alloc(20_000, 'x');
    outbox.push([Buffer.from('['), Buffer.from(']')]);
    outbox.push([Buffer.from('['), page, Buffer.from(']')]);
    await turn();
    assert.deepEqual(
      wire.frames.map(({ data, fin }) => [data.length, fin]),
      [
        [2, true],
        [1, false],
        [20_000, false],
        [1, true],
      ],
    );
    assert.equal(wire.frames[2]?.data, page);
  });

  it('hands over a window at a time and goes on as the kernel takes it', async () => {
    const wire = new FakeWire();
    let flushes = 0;
    const outbox = new Outbox(wire, wire, () => flushes++);
    outbox.push(Array.from({ length: 5 }, () => Buffer.alloc(MiB / 2)));
    await turn();
    assert.equal(wire.frames.length, 2);
    assert.equal(outbox.empty, false);
    while (wire.flushOne());
    assert.deepEqual([wire.frames.length, outbox.unsentBytes, outbox.flushedBytes], [5, 0, 2.5 * MiB]);
    assert.equal(flushes, 5);
  });

  it('forgets what was not handed over', async () => {
    const wire = new FakeWire();
    const outbox = new Outbox(wire, wire, () => undefined);
    outbox.push([Buffer.alloc(MiB)]);
    outbox.push([Buffer.alloc(MiB)]);
    await turn();
    assert.equal(outbox.unsentBytes, 2 * MiB);
    outbox.clear();
    assert.deepEqual([outbox.unsentBytes, outbox.empty], [MiB, true]);
    while (wire.flushOne());
    assert.equal(wire.frames.length, 1);
  });

  it('counts no byte as flushed that failed', async () => {
    const wire = new FakeWire();
    const outbox = new Outbox(wire, wire, () => assert.fail('not flushed'));
    outbox.push([Buffer.from('a')]);
    await turn();
    wire.flushOne(new Error('gone'));
    assert.equal(outbox.flushedBytes, 0);
  });

  it('keeps messages whole and in order for any sizes and any pace of the kernel', async () => {
    const sizes = fc.array(
      fc.array(fc.constantFrom<number[]>(0, 1, 9000, 600_000), { minLength: 1, maxLength: 4 }),
      {
        maxLength: 8,
      },
    );
    await fc.assert(
      fc.asyncProperty(sizes, fc.array(fc.nat(3), { maxLength: 8 }), async (messages, flushes) => {
        const wire = new FakeWire();
        const outbox = new Outbox(wire, wire, () => undefined);
        const expected: string[] = [];
        for (const [index, pieces] of messages.entries()) {
          const letter = String.fromCharCode(97 + index);
          outbox.push(pieces.map((size) => Buffer.alloc(size, letter)));
          expected.push(letter.repeat(pieces.reduce((sum, size) => sum + size, 0)));
          if (flushes[index]) await turn();
          for (let n = 0; n < (flushes[index] ?? 0); n++) wire.flushOne();
        }
        await turn();
        while (wire.flushOne());
        assert.deepEqual(wire.messages(), expected);
        assert.equal(outbox.unsentBytes, 0);
      }),
      { numRuns: 50 },
    );
  });
});
