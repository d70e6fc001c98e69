import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { VmTable } from '../../../src/client/vm-table.js';

const record = (vmId: string, status: string, time: number, more: object = {}): object => ({
  vmId,
  status,
  statusTime: String(time),
  ...more,
});
const statuses = (table: VmTable): Record<string, string> =>
  Object.fromEntries([...table.vms].map(([id, entry]) => [id, entry.status]));
const poll = (table: VmTable, ...records: object[]): unknown => table.applyPoll(records, table.mark);

describe('VmTable', () => {
  it('takes over a snapshot and drops what it lacks', () => {
    const table = new VmTable();
    assert.equal(table.applySnapshot([record('a', 'Up', 1), record('b', 'Down', 1)]).length, 2);
    const changes = table.applySnapshot([record('b', 'Down', 2)]);
    assert.deepEqual(changes, [
      { vmId: 'a', from: 'Up', to: undefined, source: 'snapshot', timeMs: 1, fields: {} },
    ]);
    assert.deepEqual(statuses(table), { b: 'Down' });
  });

  it('lets a snapshot win even where its time is older: it is where the order starts anew', () => {
    const table = new VmTable();
    poll(table, record('a', 'Up', 1000));
    table.applySnapshot([record('a', 'Paused', 10)]);
    table.applyEvent({ a: { status: 'Up' }, notify_time: 11 });
    assert.equal(table.vms.get('a')!.timeMs, 11);
  });

  it('overrides only the fields that an event carries', () => {
    const table = new VmTable();
    poll(table, record('a', 'Up', 10, { cpuUser: '1.00' }));
    const changes = table.applyEvent({ a: { status: 'Paused', pauseCode: 'EIO' }, notify_time: 11 });
    assert.deepEqual(changes, [
      {
        vmId: 'a',
        from: 'Up',
        to: 'Paused',
        source: 'event',
        timeMs: 11,
        fields: { status: 'Paused', pauseCode: 'EIO' },
      },
    ]);
    const { fields } = table.vms.get('a')!;
    assert.equal(fields['cpuUser'], '1.00');
    assert.equal(fields['pauseCode'], 'EIO');
  });

  it('adds a VM that an event names first', () => {
    const table = new VmTable();
    table.applyEvent({ a: { status: 'WaitForLaunch' }, notify_time: 5 });
    assert.deepEqual(statuses(table), { a: 'WaitForLaunch' });
  });

  it('skips an event that is older than what is known, and applies one of the same millisecond', () => {
    const table = new VmTable();
    poll(table, record('a', 'Up', 10));
    table.applyEvent({ a: { status: 'Paused' }, notify_time: 9 });
    assert.deepEqual(statuses(table), { a: 'Up' });
    assert.equal(table.skipped, 1);
    table.applyEvent({ a: { status: 'Paused' }, notify_time: 10 });
    assert.deepEqual(statuses(table), { a: 'Paused' });
  });

  it('lets a polled record replace everything it knew of the VM', () => {
    const table = new VmTable();
    table.applyEvent({ a: { status: 'Paused', pauseCode: 'EIO' }, notify_time: 10 });
    poll(table, record('a', 'Up', 11));
    assert.equal(table.vms.get('a')!.fields['pauseCode'], undefined);
  });

  it('skips a polled record that is older than the last event', () => {
    const table = new VmTable();
    table.applyEvent({ a: { status: 'Paused' }, notify_time: 10 });
    poll(table, record('a', 'Up', 9));
    assert.deepEqual(statuses(table), { a: 'Paused' });
  });

  it('skips a polled record, and keeps a VM that the poll lacks, where an event came after the question', () => {
    const table = new VmTable();
    poll(table, record('a', 'Up', 1));
    const asked = table.mark;
    table.applyEvent({ a: { status: 'Paused' }, notify_time: 5 });
    table.applyEvent({ b: { status: 'WaitForLaunch' }, notify_time: 5 });
    table.applyPoll([record('a', 'Up', 6)], asked);
    assert.deepEqual(statuses(table), { a: 'Paused', b: 'WaitForLaunch' });
    poll(table, record('a', 'Paused', 7));
    assert.deepEqual(statuses(table), { a: 'Paused' });
  });

  it('takes a record without status for Down, as an engine does', () => {
    const table = new VmTable();
    poll(table, { vmId: 'a', statusTime: '5' });
    assert.deepEqual(statuses(table), { a: 'Down' });
  });

  it('voids a whole poll for one record without vmId', () => {
    const table = new VmTable();
    poll(table, record('a', 'Up', 1));
    assert.throws(() => poll(table, record('b', 'Up', 2), { status: 'Up' }), TypeError);
    assert.throws(() => poll(table, record('b', 'Up', 2), null as unknown as object), TypeError);
    assert.deepEqual(statuses(table), { a: 'Up' });
  });

  it('ends with the newest status of each VM, in whatever order polls and events come', () => {
    const news = fc.uniqueArray(
      fc.record({ time: fc.nat(50), poll: fc.boolean(), status: fc.constantFrom('Up', 'Paused', 'Down') }),
      { minLength: 1, selector: (each) => each.time },
    );
    fc.assert(
      fc.property(news, (list) => {
        const table = new VmTable();
        for (const { time, poll: polled, status } of list) {
          if (polled) poll(table, record('a', status, time));
          else table.applyEvent({ a: { status }, notify_time: time });
        }
        const newest = list.reduce((best, each) => (each.time > best.time ? each : best));
        assert.equal(table.vms.get('a')!.status, newest.status);
      }),
    );
  });
});
