import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../src/domain/hypervisor.js';
import type { StatsRequest } from '../../../src/domain/hypervisor.js';
import { Scalar, StatsBatchBuilder } from '../../../src/domain/stats.js';
import type { StatsBatch } from '../../../src/domain/stats.js';
import { readBulkStates } from '../../../src/vms/bulk-states.js';
import { fakeId } from '../../support/fake-domain.js';

const signal = { signal: new AbortController().signal };

/** Answers for all that are named: every third domain is paused. */
function source(requests: StatsRequest[]): { stats(request: StatsRequest): Promise<StatsBatch> } {
  return {
    stats: (request) => {
      requests.push(request);
      const batch = new StatsBatchBuilder();
      for (const [index, id] of (request.ids ?? [fakeId(0)]).entries()) {
        batch.beginVm(id);
        batch.setScalar(Scalar.state, index % 3 === 0 ? 3 : 1);
      }
      return Promise.resolve(batch);
    },
  };
}

describe('the states of all domains', () => {
  it('come by one call that names none where there are few', async () => {
    const requests: StatsRequest[] = [];
    const states = await readBulkStates(source(requests), [fakeId(0)], signal);
    assert.deepEqual([...states], [[fakeId(0), 'paused']]);
    assert.deepEqual(
      requests.map(({ ids }) => ids),
      [undefined],
    );
  });

  it('of thousands that were seen before come by one call as well', async () => {
    const requests: StatsRequest[] = [];
    await readBulkStates(source(requests), undefined, signal);
    assert.equal(requests.length, 1);
  });

  it('of thousands never seen before come by several calls, each for some of them', async () => {
    const requests: StatsRequest[] = [];
    const ids = Array.from({ length: 4000 }, (_, n) => fakeId(n));
    const states = await readBulkStates(source(requests), ids, signal);
    assert.deepEqual([...states.keys()], ids);
    assert.equal(states.get(fakeId(1)), 'running');
    assert.deepEqual(
      requests.flatMap((request) => request.ids),
      ids,
    );
    assert.ok(requests.every((request) => request.ids!.length <= 1000));
  });

  it('are unknown where the hypervisor has no bulk call, an error where it is away', async () => {
    const failing = (kind: 'unsupported' | 'unavailable') => ({
      stats: () => Promise.reject(new HypervisorError(kind, 'no')),
    });
    assert.equal((await readBulkStates(failing('unsupported'), [fakeId(1)], signal)).size, 0);
    await assert.rejects(readBulkStates(failing('unavailable'), [fakeId(1)], signal), {
      kind: 'unavailable',
    });
  });
});
