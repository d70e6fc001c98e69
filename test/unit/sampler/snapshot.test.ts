import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { VmId } from '../../../src/domain/ids.js';
import type { Span } from '../../../src/sampler/record-bytes.js';
import { Snapshot } from '../../../src/sampler/snapshot.js';
import { vmId } from './fixtures.js';

/** In memory that is written to again, as a record is. */
const memory = Buffer.alloc(200_000);
const bytes = (value: unknown): Span => {
  memory.fill('.');
  return { bytes: memory, length: memory.write(JSON.stringify(value)) };
};
const parse = (snapshot: Snapshot): unknown =>
  JSON.parse(Buffer.concat([...snapshot.pages()]).toString('utf8'));

describe('a snapshot', () => {
  it('is an empty array without VMs', () => {
    const snapshot = new Snapshot(() => undefined);
    assert.deepEqual(parse(snapshot), []);
    snapshot.set(vmId(1), bytes(1));
    snapshot.delete(vmId(1));
    assert.deepEqual(parse(snapshot), []);
  });

  it('joins only the page whose record changed', () => {
    const snapshot = new Snapshot(() => undefined);
    for (let n = 0; n < 200; n++) snapshot.set(vmId(n), bytes(n));
    const before = snapshot.pages();
    snapshot.set(vmId(70), bytes('changed'));
    const after = snapshot.pages();
    assert.deepEqual(
      after.map((page, index) => page.buffer === before[index]!.buffer),
      [true, true, false, true, true, true],
    );
    assert.equal(snapshot.pages(), after);
    assert.equal(snapshot.record(vmId(70))?.toString(), '"changed"');
  });

  it('never changes bytes that it handed out', () => {
    const snapshot = new Snapshot(() => undefined);
    for (let n = 0; n < 10; n++) snapshot.set(vmId(n), bytes('old'));
    const pages = snapshot.pages();
    const record = snapshot.record(vmId(3))!;
    const copies = [...pages, record].map((buffer) => Buffer.from(buffer));
    for (let n = 0; n < 10; n++) snapshot.set(vmId(n), bytes('new'));
    snapshot.pages();
    assert.deepEqual([...pages, record], copies);
  });

  it('never changes bytes that it handed out while page after page becomes new, whatever the texts’ length', () => {
    const snapshot = new Snapshot(() => undefined);
    const seen: { readonly pages: readonly Buffer[]; readonly copy: Buffer }[] = [];
    for (let round = 0; round < 5; round++) {
      for (let n = 0; n < 200; n++) {
        snapshot.set(vmId(n), bytes(`${round} ${n} `.repeat(n === 70 ? 20_000 : 200)));
        if (n % 50 !== 0) continue;
        const pages = snapshot.pages();
        seen.push({ pages, copy: Buffer.concat([...pages]) });
        assert.equal((parse(snapshot) as string[])[n], `${round} ${n} `.repeat(200));
      }
    }
    for (const { pages, copy } of seen) assert.ok(Buffer.concat([...pages]).equals(copy));
  });

  it('holds no more of a record that changes often than its last text', () => {
    const snapshot = new Snapshot(() => undefined);
    for (let n = 0; n < 3; n++) snapshot.set(vmId(n), bytes('first'));
    for (let n = 0; n < 1000; n++) snapshot.set(vmId(1), bytes(`${n} `.repeat(1000)));
    assert.deepEqual(parse(snapshot), ['first', '999 '.repeat(1000), 'first']);
    const held = new Set(snapshot.pages().map((page) => page.buffer));
    assert.ok([...held].reduce((sum, { byteLength }) => sum + byteLength, 0) < 20_000);
  });

  it('renders what is stale before it is read, once for many changes', () => {
    const rendered: VmId[] = [];
    const snapshot = new Snapshot((id) => {
      rendered.push(id);
      return id === vmId(2) ? undefined : bytes('fresh');
    });
    for (const n of [1, 2, 3]) snapshot.set(vmId(n), bytes('stale'));
    for (const n of [1, 2, 1, 2]) snapshot.markStale(vmId(n));
    assert.equal(snapshot.record(vmId(1))?.toString(), '"fresh"');
    assert.deepEqual(parse(snapshot), ['fresh', 'stale']);
    assert.deepEqual(rendered, [vmId(1), vmId(2)]);
  });

  it('renders stale records a few at a time where nobody reads', () => {
    const snapshot = new Snapshot((id) => bytes(id));
    for (let n = 0; n < 5; n++) snapshot.markStale(vmId(n));
    assert.equal(snapshot.renderStale(3), true);
    assert.equal(snapshot.size, 3);
    assert.equal(snapshot.renderStale(3), false);
    assert.equal(snapshot.size, 5);
  });

  it('holds the records of a plain map after any sequence of changes', () => {
    const id = fc.integer({ min: 0, max: 300 });
    const change = fc.oneof(
      fc.record({ kind: fc.constant('set' as const), id, value: fc.string() }),
      fc.record({ kind: fc.constant('delete' as const), id }),
      fc.record({ kind: fc.constant('read' as const), id }),
    );
    fc.assert(
      fc.property(fc.array(change, { maxLength: 600, size: 'max' }), (changes) => {
        const snapshot = new Snapshot(() => undefined);
        const model = new Map<VmId, string>();
        for (const step of changes) {
          if (step.kind === 'set') {
            snapshot.set(vmId(step.id), bytes(step.value));
            model.set(vmId(step.id), step.value);
          } else if (step.kind === 'delete') {
            snapshot.delete(vmId(step.id));
            model.delete(vmId(step.id));
          } else {
            const expected = model.get(vmId(step.id));
            const text = snapshot.record(vmId(step.id))?.toString();
            assert.equal(text, expected === undefined ? undefined : JSON.stringify(expected));
            snapshot.pages();
          }
        }
        assert.deepEqual((parse(snapshot) as string[]).sort(), [...model.values()].sort());
      }),
      { numRuns: 60 },
    );
  });
});
