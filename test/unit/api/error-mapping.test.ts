import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deadlineError, toVerbError } from '../../../src/api/error-mapping.js';
import { errorCatalogue, VerbError, type ErrorKey } from '../../../src/domain/errors.js';
import { HypervisorError, type HypervisorErrorKind } from '../../../src/domain/hypervisor.js';
import { Fixture, idA } from './fixture.js';

const codes: Readonly<Record<HypervisorErrorKind, number>> = {
  unavailable: 40,
  busy: 40,
  timeout: 40,
  'no-domain': 1,
  'no-device': 100,
  'invalid-state': 16,
  exists: 4,
  denied: 75,
  unsupported: 75,
  agent: 19,
  aborted: 40,
  failed: 100,
};

describe('toVerbError', () => {
  for (const [kind, code] of Object.entries(codes) as [HypervisorErrorKind, number][]) {
    it(`gives a hypervisor error of kind ${kind} the code ${code}, with its text`, () => {
      const error = toVerbError(new HypervisorError(kind, 'domain web is\n  odd'), 'VM.pause');
      assert.equal(error.code, code);
      assert.match(error.message, /: domain web is odd$/);
    });
  }

  it('gives VM.create 9 and VM.destroy 42 for a failure without a name, host verbs -32603', () => {
    const failed = new HypervisorError('failed', 'no');
    assert.deepEqual(
      ['VM.create', 'VM.destroy', 'Host.getStats', 'Agent.getHealth'].map(
        (verb) => toVerbError(failed, verb).code,
      ),
      [9, 42, -32603, -32603],
    );
  });

  it('never leads to 1100, which an engine takes for a dead network', () => {
    for (const kind of Object.keys(codes) as HypervisorErrorKind[]) {
      for (const verb of ['VM.create', 'VM.destroy', 'VM.pause', 'Host.getCapabilities']) {
        assert.notEqual(toVerbError(new HypervisorError(kind, ''), verb).code, 1100);
      }
    }
  });

  it('keeps the text of unknown errors to itself', () => {
    for (const thrown of [new Error('secret path'), 'secret', undefined, { message: 'secret' }]) {
      const inVm = toVerbError(thrown, 'VM.pause');
      assert.equal(inVm.message, 'General Exception: VM.pause met a fault of the agent; its log tells more');
      assert.deepEqual([inVm.code, inVm.cause, inVm.expected], [100, thrown, false]);
      assert.equal(toVerbError(thrown, 'Host.getStats').code, -32603);
    }
  });

  it('cuts long texts', () => {
    assert.ok(toVerbError(new HypervisorError('failed', 'x'.repeat(9999)), 'VM.pause').message.length < 600);
  });

  it('a missed deadline names the verb and what may follow', () => {
    assert.match(deadlineError('VM.cont', 1500).message, /VM\.cont did not finish within 1\.5 s/);
  });
});

describe('errors on the wire', () => {
  for (const key of Object.keys(errorCatalogue) as ErrorKey[]) {
    it(`${key} arrives with its code and text, and nothing else`, async () => {
      const fixture = new Fixture();
      const error = new VerbError(key, { vmId: idA });
      fixture.replace('VM.cont', () => Promise.reject(error));
      assert.deepEqual(await fixture.error('VM.cont', { vmID: idA }), {
        code: errorCatalogue[key].code,
        message: `${errorCatalogue[key].message}: {'vmId': '${idA}'}`,
      });
    });
  }

  it('what a handler throws at once is answered like what it rejects with', async () => {
    const fixture = new Fixture();
    fixture.health = {
      health: () => {
        throw new TypeError('internal detail');
      },
    };
    const error = await fixture.error('Agent.getHealth');
    assert.equal(error.code, -32603);
    assert.doesNotMatch(error.message, /internal detail/);
  });

  it('an unknown method is named', async () => {
    assert.deepEqual(await new Fixture().error('Host.nope'), {
      code: -32601,
      message: "The method does not exist or is not available: {'method': 'Host.nope'}",
    });
  });

  it('parameters that do not fit are named', async () => {
    assert.deepEqual(await new Fixture().error('VM.getStats'), {
      code: -32602,
      message: 'Invalid method parameter(s): VM.getStats: the parameter vmID is missing',
    });
  });
});
