import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { asNumber, cpuPercent, memoryKiB, memoryPercent, nicRates } from '../../../src/client/vm-figures.js';

const nic = (rx: string, tx: string, sampleTime: unknown): Record<string, unknown> => ({
  network: { vnet0: { rx, tx, sampleTime } },
});

describe('what an engine computes from records', () => {
  it('divides CPU time by the vCPUs, cuts the fraction off and caps at 100', () => {
    assert.equal(cpuPercent({ cpuUser: '80.00', cpuSys: '20.90', vcpuCount: '2' }), 50);
    assert.equal(cpuPercent({ cpuUser: '113.33', cpuSys: '0.00', vcpuCount: '1' }), 100);
  });

  it('has no CPU figure for a record without samples', () => {
    assert.equal(cpuPercent({ cpuUser: '0.00', cpuSys: '0.00' }), undefined);
    assert.equal(cpuPercent({ status: 'Down' }), undefined);
    assert.equal(cpuPercent({ cpuUser: '1', cpuSys: '1', vcpuCount: '0' }), undefined);
  });

  it("takes the balloon's size for memory, and its maximum where the size is unknown", () => {
    assert.equal(memoryKiB({ balloonInfo: { balloon_cur: '1024', balloon_max: '2048' } }), 1024);
    assert.equal(memoryKiB({ balloonInfo: { balloon_cur: '0', balloon_max: '2048' } }), 2048);
    assert.equal(memoryKiB({}), undefined);
  });

  it('tells 0 % of memory from not known', () => {
    assert.equal(memoryPercent({ memUsage: '0' }), undefined);
    assert.equal(memoryPercent({ memUsage: '0', memoryStats: {} }), 0);
    assert.equal(memoryPercent({ memUsage: '37' }), 37);
  });

  it('computes NIC rates over the difference of sampleTime, be it text or a number', () => {
    const expected = [{ name: 'vnet0', rxBytesPerSec: 100, txBytesPerSec: 20 }];
    assert.deepEqual(nicRates(nic('1000', '0', '10.5'), nic('2500', '300', '25.5')), expected);
    assert.deepEqual(nicRates(nic('1000', '0', 10.5), nic('2500', '300', 25.5)), expected);
  });

  it('leaves out NICs that are new, that were reset, and pairs of one sample', () => {
    assert.deepEqual(nicRates({}, nic('1', '1', '1')), []);
    assert.deepEqual(nicRates(nic('5', '5', '1'), nic('1', '9', '2')), []);
    assert.deepEqual(nicRates(nic('5', '5', '1'), nic('6', '6', '1')), []);
  });

  it('never gives NaN or an infinity, whatever the record holds', () => {
    const record = fc.dictionary(
      fc.constantFrom('cpuUser', 'cpuSys', 'vcpuCount', 'memUsage', 'network'),
      fc.anything(),
    );
    fc.assert(
      fc.property(record, record, (before, after) => {
        const figures = [cpuPercent(after), memoryKiB(after), memoryPercent(after)];
        figures.push(...nicRates(before, after).flatMap((rate) => [rate.rxBytesPerSec, rate.txBytesPerSec]));
        for (const figure of figures) assert.ok(figure === undefined || Number.isFinite(figure));
      }),
    );
    assert.equal(asNumber(' '), undefined);
  });
});
