import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { OperationLocks } from '../../../src/vms/locks.js';
import { fakeId } from '../../support/fake-domain.js';

const id = fakeId(1);

describe('the lock of a VM', () => {
  it('is held by one operation at a time, and others are told which', () => {
    const locks = new OperationLocks();
    const release = locks.take(id, 'web', 'VM.pause');
    assert.throws(() => locks.take(id, 'web', 'VM.cont'), {
      code: 40,
      message: `Resource unavailable: VM web (${id}) is busy: running VM.pause; try again when it has ended`,
    });
    locks.take(fakeId(2), 'db', 'VM.cont');
    release();
    assert.equal(locks.running(id), undefined);
    locks.take(id, 'web', 'VM.cont');
    assert.equal(locks.running(id), 'VM.cont');
  });

  it('that was seized is not freed by the one it was taken from', () => {
    const locks = new OperationLocks();
    const late = locks.take(id, 'web', 'VM.pause');
    const release = locks.seize(id, 'VM.destroy');
    late();
    assert.equal(locks.running(id), 'VM.destroy');
    assert.throws(() => locks.take(id, 'web', 'VM.cont'), /running VM.destroy/);
    release();
    assert.equal(locks.running(id), undefined);
  });

  it('is released once: a second release does not free the next holder', () => {
    const locks = new OperationLocks();
    const release = locks.take(id, 'web', 'VM.pause');
    release();
    locks.take(id, 'web', 'VM.cont');
    release();
    assert.equal(locks.running(id), 'VM.cont');
  });
});
