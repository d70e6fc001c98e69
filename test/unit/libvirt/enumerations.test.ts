import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  domainStates,
  lifecycleDetails,
  lifecycleEvents,
  nameOf,
  reasonName,
  stateName,
  stateReasons,
} from '../../../src/libvirt/enumerations.js';
import { versionText } from '../../../src/libvirt/host-info.js';

describe('enumerations', () => {
  it('name every state and its reasons', () => {
    assert.deepEqual([0, 1, 3, 5, 7].map(stateName), [
      'nostate',
      'running',
      'paused',
      'shutoff',
      'pmsuspended',
    ]);
    assert.equal(reasonName('paused', 5), 'ioerror');
    assert.equal(reasonName('paused', 8), 'shutting-down');
    assert.equal(reasonName('running', 10), 'postcopy');
    assert.equal(reasonName('shutoff', 2), 'destroyed');
    assert.deepEqual(Object.keys(stateReasons), [...domainStates]);
  });

  it('name every lifecycle event and its details', () => {
    assert.deepEqual(Object.keys(lifecycleDetails), [...lifecycleEvents]);
    assert.equal(nameOf(lifecycleDetails.stopped, 3), 'migrated');
    assert.equal(nameOf(lifecycleDetails.suspended, 2), 'ioerror');
    assert.equal(nameOf(lifecycleDetails.shutdown, 1), 'guest');
  });

  it('call numbers of newer libvirts unknown', () => {
    assert.equal(stateName(99), 'nostate');
    assert.equal(reasonName('running', 99), 'unknown');
    assert.equal(nameOf(lifecycleDetails.stopped, -1), 'unknown');
  });
});

describe('versionText', () => {
  it('takes libvirt’s coded version apart', () => {
    assert.equal(versionText(7_002_022), '7.2.22');
    assert.equal(versionText(10_000_000), '10.0.0');
  });
});
