import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { label, RecordBytes, type Span } from '../../../src/sampler/record-bytes.js';

const textOf = ({ bytes, length }: Span): string => bytes.toString('utf8', 0, length);
const text = (write: (out: RecordBytes) => RecordBytes): string => textOf(write(new RecordBytes()).end());
const integer = (value: number): string => text((out) => out.integer(value));
const fixed2 = (value: number): string => text((out) => out.fixed(value, 2));
const float = (value: number): string => text((out) => out.float(value));

const insane = [NaN, -1, -Infinity, Infinity, 1e21, Number.MAX_VALUE];

describe('numbers in a record', () => {
  it('are decimal digits for every count', () => {
    for (const value of [0, 9, 10, 999_999_999, 1e9, 1e9 + 7, 2 ** 31, 2 ** 53 - 1])
      assert.equal(integer(value), String(value));
    assert.equal(integer(12.9), '12');
    fc.assert(fc.property(fc.maxSafeNat(), (value) => assert.equal(integer(value), String(value))));
  });

  it('have no exponent up to the largest 64-bit counter and beyond', () => {
    assert.equal(integer(2 ** 64), '18446744073709552000');
    assert.equal(float(2 ** 64), '18446744073709552000.0');
    assert.match(integer(9.99e20), /^\d{21}$/);
  });

  it('are zero where there is no sane quantity', () => {
    for (const value of insane) {
      assert.equal(integer(value), '0');
      assert.equal(fixed2(value), '0.00');
      assert.equal(float(value), '0.0');
    }
  });

  it('are rounded to two decimals as percentages', () => {
    assert.deepEqual([113.3333, 80, 0.005, 699.795, 99.999].map(fixed2), [
      '113.33',
      '80.00',
      '0.01',
      '699.80',
      '100.00',
    ]);
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e12, noNaN: true }), (value) =>
        assert.ok(Math.abs(Number(fixed2(value)) - value) <= 0.005 + value * 1e-15),
      ),
    );
  });

  it('always have a fraction as rates, of three digits at most', () => {
    assert.deepEqual([2000, 0.5, 1228444.9057, 1e-9, 0.0449, 1.25, 99.9996].map(float), [
      '2000.0',
      '0.5',
      '1228444.906',
      '0.0',
      '0.045',
      '1.25',
      '100.0',
    ]);
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e30, noNaN: true }), (value) =>
        assert.match(float(value), /^\d+\.\d{1,3}$/),
      ),
    );
  });
});

describe('texts in a row', () => {
  it('come out whole, whatever the length of this one and those before', () => {
    const out = new RecordBytes();
    const lengths = fc.array(fc.integer({ min: 0, max: 300_000 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(lengths, (all) => {
        all.forEach((length, n) => {
          const part = String.fromCharCode(97 + n).repeat(length);
          const span = out.label(label(part)).integer(n).label(label(part)).end();
          assert.equal(textOf(span), `${part}${n}${part}`);
        });
      }),
      { numRuns: 30 },
    );
  });
});
