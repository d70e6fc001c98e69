import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { monitorAnswered, SampleWindow, VmSamples } from '../../../src/sampler/sample-window.js';
import { batchOf, vmId, type Fields } from './fixtures.js';

const row = (fields: Fields) => batchOf([vmId(0), fields]);

describe('a window of two samples', () => {
  it('has a first sample only when there are two, and then the last two', () => {
    const window = new SampleWindow();
    const batches = [row({}), row({}), row({})] as const;
    const seen = () => [window.first?.batch, window.last?.batch, window.intervalMs];
    window.push(batches[0], 0, 100);
    assert.deepEqual(seen(), [undefined, batches[0], 0]);
    window.push(batches[1], 0, 250);
    assert.deepEqual(seen(), [batches[0], batches[1], 150]);
    window.push(batches[2], 0, 300);
    assert.equal(seen()[0], batches[1]);
    assert.equal(seen()[1], batches[2]);
    assert.equal(seen()[2], 50);
  });

  it('refuses a sample that is not newer than the last', () => {
    const window = new SampleWindow();
    window.push(row({}), 0, 100);
    assert.equal(window.push(row({}), 0, 100), false);
    assert.equal(window.push(row({}), 0, 99), false);
    assert.equal(window.first, undefined);
  });

  it('is emptied when its last sample is too old', () => {
    const window = new SampleWindow();
    window.push(row({}), 0, 100);
    window.push(row({}), 0, 200);
    window.expire(200);
    assert.ok(window.first);
    window.expire(201);
    assert.equal(window.last, undefined);
  });
});

describe("a VM's samples", () => {
  const good = { 'cpu.time': 10, 'block.0.name': 'vda', 'block.0.rd.reqs': 1, 'vcpu.current': 2 };

  it('keep CPU time where the monitor is busy, and say so', () => {
    const samples = new VmSamples();
    assert.equal(samples.pushBacked(row(good), 0, 1), 'good');
    assert.equal(samples.pushBacked(row({ 'cpu.time': 20, 'block.0.name': 'vda' }), 0, 2), 'partial');
    assert.ok(samples.cpu.first);
    assert.equal(samples.monitor.first, undefined);
  });

  it('carry the number of vCPUs on, and forget it with the process', () => {
    const samples = new VmSamples();
    samples.pushBacked(row(good), 0, 1);
    samples.pushBacked(row({ ...good, 'vcpu.current': NaN }), 0, 2);
    assert.equal(samples.vcpuCount, 2);
    samples.pushFree(row({}), 0, 2);
    samples.pushBacked(row({ ...good, 'cpu.time': 1, 'vcpu.current': NaN }), 0, 3);
    assert.ok(Number.isNaN(samples.vcpuCount));
    assert.equal(samples.net.last, undefined);
    assert.equal(samples.cpu.first, undefined);
  });

  it('are not reset by an answer that comes too late', () => {
    const samples = new VmSamples();
    samples.pushBacked(row({ ...good, 'cpu.time': 20 }), 0, 2);
    assert.equal(samples.pushBacked(row(good), 0, 1), 'late');
    assert.equal(samples.cpu.last?.stampMs, 2);
  });
});

describe('whether the monitor answered', () => {
  const cases: readonly [string, Fields, boolean][] = [
    ['disks with counters', { 'block.0.name': 'vda', 'block.0.rd.reqs': 0 }, true],
    ['disks without counters', { 'cpu.time': 1, 'block.0.name': 'vda', 'balloon.rss': 1 }, false],
    ['no disk, balloon statistics', { 'balloon.current': 1, 'balloon.rss': 1 }, true],
    ['no disk, a balloon without statistics', { 'cpu.time': 1, 'balloon.current': 1 }, false],
    ['neither disk nor balloon, CPU time', { 'cpu.time': 1 }, true],
    ['nothing', {}, false],
  ];
  for (const [name, fields, expected] of cases) {
    it(`is ${expected} with ${name}`, () => assert.equal(monitorAnswered(row(fields), 0), expected));
  }
});
