import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Places } from '../../../../src/vms/guest-agent/places.js';
import { settle } from '../../../support/manual-clock.js';

/** Work that ends when the test says so; members with a name in capitals are doubtful. */
class Bench {
  readonly working = new Map<string, (again: boolean) => void>();
  readonly begun: string[] = [];
  readonly places = new Places<string>({
    places: 4,
    forDoubtful: 2,
    isPrompt: (name) => name === name.toLowerCase(),
    work: (name) => {
      assert.equal(this.working.has(name), false, `${name} works twice at a time`);
      this.begun.push(name);
      return new Promise((resolve) => this.working.set(name, resolve));
    },
  });

  add(names: string): void {
    for (const name of names) this.places.add(name);
  }

  async end(name: string, again = false): Promise<void> {
    const resolve = this.working.get(name);
    this.working.delete(name);
    resolve?.(again);
    await settle();
  }

  get doubtful(): number {
    return [...this.working.keys()].filter((name) => name !== name.toLowerCase()).length;
  }
}

describe('places', () => {
  it('are taken by four at a time, first come, first served', async () => {
    const bench = new Bench();
    bench.add('abcdef');
    assert.equal(bench.begun.join(''), 'abcd');
    await bench.end('c');
    await bench.end('a');
    assert.equal(bench.begun.join(''), 'abcdef');
  });

  it('are taken by two of the doubtful at most, even if nobody else waits', async () => {
    const bench = new Bench();
    bench.add('ABCD');
    assert.equal(bench.begun.join(''), 'AB');
    bench.add('xyz');
    assert.equal(bench.begun.join(''), 'ABxy');
    await bench.end('x');
    assert.equal(bench.begun.join(''), 'ABxyz');
  });

  it('always let one of the doubtful in, however many of the prompt wait', async () => {
    const bench = new Bench();
    bench.add('abcdefgh');
    bench.add('X');
    await bench.end('a');
    assert.equal(bench.begun.at(-1), 'X');
  });

  it('let nobody wait or work twice, but come back after its turn', async () => {
    const bench = new Bench();
    bench.add('aabba');
    assert.equal(bench.begun.join(''), 'ab');
    await bench.end('a', true);
    assert.equal(bench.begun.join(''), 'aba');
  });

  it('forget who waits when told so, and at a stop, which waits for the others', async () => {
    const bench = new Bench();
    bench.add('abcdef');
    bench.places.remove('e');
    await bench.end('a');
    assert.equal(bench.begun.join(''), 'abcdf');
    bench.add('gh');
    let stopped = false;
    const stop = bench.places.stop().then(() => (stopped = true));
    await bench.end('b', true);
    assert.equal(stopped, false);
    for (const name of 'cdf') await bench.end(name);
    await stop;
    bench.add('z');
    assert.equal(bench.begun.join(''), 'abcdf');
  });

  it('serve everybody who waits, whatever happens', async () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'A', 'B', 'C', 'D', 'E', 'F');
    const step = fc.tuple(fc.constantFrom('add', 'end', 'again'), name);
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const bench = new Bench();
        for (const [action, who] of steps) {
          if (action === 'add') bench.add(who);
          else await bench.end(who, action === 'again');
          assert.ok(bench.working.size <= 4 && bench.doubtful <= 2);
        }
        const waiting = new Set(steps.flatMap(([action, who]) => (action === 'add' ? [who] : [])));
        while (bench.working.size > 0) for (const who of [...bench.working.keys()]) await bench.end(who);
        for (const who of waiting) assert.ok(bench.begun.includes(who), `${who} never had a turn`);
      }),
      { numRuns: 50 },
    );
  });
});
