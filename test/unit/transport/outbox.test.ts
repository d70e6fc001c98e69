import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Outbox, textFrameHeader, type RawSocket, type Wire } from '../../../src/transport/outbox.js';

type Done = ((error?: Error | null) => void) | undefined;

/** A socket with a WebSocket on it, which takes bytes to the "kernel" only when told. */
class FakeWire implements Wire, RawSocket {
  readonly OPEN = 1;
  readyState = 1;
  readonly writes: { data: Buffer; done: Done }[] = [];
  corked = 0;
  uncorked = 0;
  #flushed = 0;

  get bufferedAmount(): number {
    return this.writes.slice(this.#flushed).reduce((sum, { data }) => sum + data.length, 0);
  }
  send(data: Buffer, _options: object, done: Done): void {
    this.write(textFrameHeader(data.length));
    this.write(data, done);
  }
  write(data: Buffer, done?: Done): boolean {
    assert.ok(this.corked > this.uncorked, 'written while corked');
    this.writes.push({ data, done });
    return true;
  }
  cork(): void {
    this.corked++;
  }
  uncork(): void {
    this.uncorked++;
  }
  /** False where nothing is left. */
  flushOne(error?: Error): boolean {
    const write = this.writes[this.#flushed];
    if (!write) return false;
    this.#flushed++;
    write.done?.(error);
    return true;
  }
  /** What a reader of the stream would get. */
  messages(): string[] {
    const stream = Buffer.concat(this.writes.map(({ data }) => data));
    const messages: string[] = [];
    for (let at = 0; at < stream.length;) {
      assert.equal(stream[at], 0x81);
      const short = stream[at + 1]!;
      const [begin, length] =
        short < 126
          ? [at + 2, short]
          : short === 126
            ? [at + 4, stream.readUInt16BE(at + 2)]
            : [at + 10, Number(stream.readBigUInt64BE(at + 2))];
      messages.push(stream.toString('latin1', begin, begin + length));
      at = begin + length;
    }
    return messages;
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const MiB = 1024 * 1024;

describe('the outbox', () => {
  it('counts in the budget what was pushed and neither sent, forgotten nor lost with the socket', () => {
    const wire = new FakeWire();
    let counted = 0;
    const outbox = new Outbox(wire, wire, () => undefined, { add: (bytes) => (counted += bytes) });
    outbox.push([Buffer.alloc(10)]);
    outbox.push([Buffer.alloc(20_000), Buffer.alloc(5)]);
    assert.equal(counted, 20_015);
    outbox.clear();
    assert.equal(counted, 0);
    outbox.push([Buffer.alloc(7)]);
    outbox.close();
    assert.equal(counted, 0);
  });

  it('sends all that one turn queued under one cork', async () => {
    const wire = new FakeWire();
    const outbox = new Outbox(wire, wire, () => undefined);
    outbox.push([Buffer.from('a')]);
    outbox.push([Buffer.from('b')]);
    assert.equal(outbox.unsentBytes, 2);
    await turn();
    assert.deepEqual([wire.messages(), wire.corked, wire.uncorked, outbox.empty], [['a', 'b'], 1, 1, true]);
  });

  it('joins tiny pieces, and puts large ones uncopied into one frame', async () => {
    const wire = new FakeWire();
    const outbox = new Outbox(wire, wire, () => undefined);
    const page = Buffer.alloc(20_000, 'x');
    outbox.push([Buffer.from('['), Buffer.from(']')]);
    outbox.push([Buffer.from('['), page, Buffer.from(']')]);
    await turn();
    assert.deepEqual(
      wire.writes.map(({ data }) => data.length),
      [2, 2, 4, 1, 20_000, 1],
    );
    assert.equal(wire.writes[4]?.data, page);
    assert.deepEqual(wire.messages(), ['[]', `[${page.toString()}]`]);
  });

  it('hands over a window of messages at a time and goes on as the kernel takes it', async () => {
    const wire = new FakeWire();
    let flushes = 0;
    const outbox = new Outbox(wire, wire, () => flushes++);
    for (let n = 0; n < 5; n++) outbox.push([Buffer.alloc(MiB / 2)]);
    await turn();
    assert.equal(wire.messages().length, 2);
    assert.equal(outbox.empty, false);
    while (wire.flushOne());
    assert.deepEqual([wire.messages().length, outbox.unsentBytes, outbox.flushedBytes], [5, 0, 2.5 * MiB]);
    assert.equal(flushes, 5);
  });

  it('forgets what was not handed over', async () => {
    const wire = new FakeWire();
    const outbox = new Outbox(wire, wire, () => undefined);
    outbox.push([Buffer.alloc(MiB)]);
    outbox.push([Buffer.alloc(MiB)]);
    await turn();
    outbox.clear();
    assert.deepEqual([outbox.unsentBytes, outbox.empty], [MiB + 10, true]);
    while (wire.flushOne());
    assert.equal(wire.messages().length, 1);
  });

  it('counts no byte as flushed that failed', async () => {
    const wire = new FakeWire();
    const outbox = new Outbox(wire, wire, () => assert.fail('not flushed'));
    outbox.push([Buffer.from('a')]);
    await turn();
    while (wire.flushOne(new Error('gone')));
    assert.equal(outbox.flushedBytes, 0);
  });

  it('writes nothing behind a close frame', async () => {
    const wire = new FakeWire();
    const outbox = new Outbox(wire, wire, () => undefined);
    outbox.push([Buffer.alloc(MiB), Buffer.alloc(MiB)]);
    wire.readyState = 2;
    await turn();
    assert.deepEqual(wire.writes, []);
  });

  it('keeps messages whole and in order for any sizes and any pace of the kernel', async () => {
    const size = fc.constantFrom<number[]>(0, 1, 125, 126, 9000, 65_535, 65_536, 600_000);
    const sizes = fc.array(fc.array(size, { minLength: 1, maxLength: 4 }), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(sizes, fc.array(fc.nat(3), { maxLength: 8 }), async (messages, flushes) => {
        const wire = new FakeWire();
        const outbox = new Outbox(wire, wire, () => undefined);
        const expected: string[] = [];
        for (const [index, pieces] of messages.entries()) {
          const letter = String.fromCharCode(97 + index);
          outbox.push(pieces.map((bytes) => Buffer.alloc(bytes, letter)));
          expected.push(letter.repeat(pieces.reduce((sum, bytes) => sum + bytes, 0)));
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
