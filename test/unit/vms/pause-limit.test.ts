import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DiskError } from '../../../src/domain/hypervisor.js';
import { fakeId } from '../../support/fake-domain.js';
import { Harness, withVm } from './harness.js';

const id = fakeId(1);
const behaviour = (word: string): { metadata: string } => ({
  metadata: `<ovirt-vm:resumeBehavior>${word}</ovirt-vm:resumeBehavior>`,
});

/** A VM that its disk has just stopped. */
async function stopped(word: string, error: DiskError['error'] = 'unspecified'): Promise<Harness> {
  const harness = await withVm(behaviour(word));
  harness.hypervisor.domains.get(id)!.diskErrors = [{ disk: 'vda', error }];
  harness.hypervisor.act(id, 'ioError');
  await harness.rest();
  return harness;
}

describe('resumeBehavior kill', () => {
  it('ends a VM that an I/O error stopped 80 s ago, with 1/14', async () => {
    const harness = await stopped('kill');
    assert.equal(harness.vm(id).pauseCode, 'EIO');
    await harness.clock.advance(79_999);
    assert.equal(harness.status(id), 'Paused');
    await harness.clock.advance(1);
    await harness.rest();
    assert.deepEqual([harness.vm(id).exit?.code, harness.vm(id).exit?.reason], [1, 14]);
    assert.equal(harness.hypervisor.domains.get(id)?.state.state, 'shutoff');
  });

  it('leaves alone a VM that has been continued, and counts anew when it stops again', async () => {
    const harness = await stopped('kill');
    await harness.clock.advance(70_000);
    await harness.run('VM.cont', id);
    await harness.clock.advance(70_000);
    assert.equal(harness.status(id), 'Up');
    harness.hypervisor.act(id, 'ioError');
    await harness.clock.advance(79_000);
    assert.equal(harness.status(id), 'Paused');
    await harness.clock.advance(1_000);
    await harness.rest();
    assert.equal(harness.status(id), 'Down');
  });

  it('tries again where the VM cannot be ended, and not after it was continued', async () => {
    const harness = await stopped('kill');
    harness.hypervisor.failNext('destroy', undefined, 2);
    await harness.clock.advance(90_000);
    assert.equal(harness.hypervisor.countCalls('destroy'), 2);
    await harness.run('VM.cont', id);
    await harness.clock.advance(20_000);
    assert.equal(harness.hypervisor.countCalls('destroy'), 2);
    assert.equal(harness.vm(id).pendingExit, undefined);
  });

  it('counts from the pause that an earlier agent has noted', async () => {
    const harness = new Harness();
    const pausedSec = harness.clock.nowMs() / 1000 - 50;
    const domain = harness.hypervisor.addDomain(
      1,
      { state: 'paused', reason: 'ioerror' },
      {
        metadata:
          behaviour('kill').metadata +
          `<ovirt-vm:pauseCode>EIO</ovirt-vm:pauseCode><ovirt-vm:pauseTime>${pausedSec}</ovirt-vm:pauseTime>`,
      },
    );
    domain.diskErrors = [{ disk: 'vda', error: 'unspecified' }];
    await harness.start();
    assert.equal(harness.vm(id).pauseCode, 'EIO');
    await harness.clock.advance(29_000);
    assert.equal(harness.status(id), 'Paused');
    await harness.clock.advance(1_000);
    await harness.rest();
    assert.equal(harness.vm(id).exit?.reason, 14);
  });
});

describe('a VM that stays paused', () => {
  for (const [word, error] of [
    ['leave_paused', 'unspecified'],
    ['auto_resume', 'unspecified'],
    ['kill', 'no-space'],
  ] as const) {
    it(`is left so with resumeBehavior ${word} after the error ${error}`, async () => {
      const harness = await stopped(word, error);
      await harness.clock.advance(600_000);
      assert.equal(harness.status(id), 'Paused');
    });
  }

  it('by a verb is left so', async () => {
    const harness = await withVm(behaviour('kill'));
    await harness.run('VM.pause', id);
    await harness.clock.advance(600_000);
    assert.equal(harness.status(id), 'Paused');
  });
});
