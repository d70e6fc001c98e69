import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseCpuset } from '../../../../src/vms/verbs/cpuset.js';

describe('a list of host CPUs', () => {
  it('has single CPUs, ranges, and CPUs that are taken away again', () => {
    assert.deepEqual(parseCpuset('0'), [0]);
    assert.deepEqual(parseCpuset('0-3,8'), [0, 1, 2, 3, 8]);
    assert.deepEqual(parseCpuset('4, 0-3 ,^2'), [0, 1, 3, 4]);
    assert.deepEqual(parseCpuset('0,0-1,1'), [0, 1]);
  });

  it('is none where it is malformed, names no CPU, or one that no host has', () => {
    for (const text of [
      '',
      ',',
      '0,',
      '3-1',
      '-1',
      '0-',
      'all',
      '^0',
      '0,^0',
      '0x1',
      '1-2-3',
      '9999',
      '0-99999',
    ]) {
      assert.equal(parseCpuset(text), undefined, text);
    }
  });

  it('is read back as it was written', () => {
    const cpus = fc.uniqueArray(fc.integer({ min: 0, max: 8191 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(cpus, (numbers) => {
        const sorted = numbers.toSorted((a, b) => a - b);
        assert.deepEqual(parseCpuset(numbers.join(',')), sorted);
      }),
    );
  });

  it('never makes more of any text than there are CPUs', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'0123456789,-^ '.split('')) }), (text) => {
        const cpus = parseCpuset(text) ?? [];
        assert.ok(cpus.length <= 8192);
        assert.ok(cpus.every((cpu, index) => cpu >= 0 && (index === 0 || cpu > cpus[index - 1]!)));
      }),
    );
  });
});
