import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { mergesText, parseMerges } from '../../../../src/vms/verbs/merge-record.js';
import type { Merge } from '../../../../src/vms/verbs/merge-record.js';
import { parseSnapshotRecord, snapshotRecordText } from '../../../../src/vms/verbs/snapshot-record.js';

const text = fc.string({ minLength: 1 });
const merge: fc.Arbitrary<Merge> = fc
  .record({
    drive: text,
    imageId: fc.option(text, { nil: undefined }),
    base: text,
    top: text,
    active: fc.boolean(),
    bandwidthMiB: fc.nat(),
  })
  .map(({ imageId, ...rest }) => ({ id: '', ...rest, ...(imageId !== undefined && { imageId }) }));

describe('what is remembered of work on disks', () => {
  it('comes back as it was written: merges', () => {
    fc.assert(
      fc.property(fc.array(merge, { maxLength: 5 }), (some) => {
        const merges = some.map((each, index) => ({ ...each, id: `job-${index}` }));
        const written = mergesText(merges);
        if (merges.length === 0) assert.equal(written, undefined);
        else assert.deepEqual(parseMerges(written ?? ''), merges);
      }),
    );
  });

  it('comes back as it was written: snapshots', () => {
    const files = fc.dictionary(
      text.filter((key) => key !== '__proto__'),
      fc.string(),
      { noNullPrototype: true },
    );
    const record = fc.record(
      { jobId: text, agent: text, untilSec: fc.nat(), frozen: fc.boolean(), files },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(record, (each) => {
        assert.deepEqual(parseSnapshotRecord(snapshotRecordText(each)), each);
      }),
    );
  });

  it('is nothing where others wrote it', () => {
    assert.equal(parseMerges('no JSON'), undefined);
    assert.equal(parseMerges('null'), undefined);
    assert.deepEqual(parseMerges('{"a":{"id":"a"},"b":7,"c":null}'), []);
    for (const other of ['', 'null', '[]', '{}', '{"jobUUID":"a","until":1,"frozen":false,"files":["x"]}'])
      assert.equal(parseSnapshotRecord(other), undefined, other);
  });

  it('never fails, whatever the text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (any) => {
        for (const each of parseMerges(any) ?? []) assert.equal(typeof each.top, 'string');
        const record = parseSnapshotRecord(any);
        assert.notEqual(record?.jobId, '');
      }),
    );
  });
});
