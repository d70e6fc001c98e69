import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DomainState, LifecycleEventName } from '../../../src/domain/hypervisor.js';
import type { InternalStatus } from '../../../src/domain/vm.js';
import { causeOfLifecycle, causesOfFound, isActive } from '../../../src/domain/vm-found.js';
import { initialState, move } from '../../../src/domain/vm-status.js';
import type { VmState } from '../../../src/domain/vm-status.js';

const NOW = 1000;

describe('a state found at the hypervisor', () => {
  const found = (state: DomainState, job?: string): VmState =>
    causesOfFound(state, job).reduce<VmState>(
      (s, cause) => move(s, cause, { nowMs: NOW }),
      initialState('WaitForLaunch'),
    );

  const alive: readonly (readonly [string, string, InternalStatus, string?])[] = [
    ['running', 'booted', 'Up'],
    ['blocked', 'unknown', 'Up'],
    ['pmsuspended', 'unknown', 'Up'],
    ['shutdown', 'user', 'Up'],
    ['crashed', 'panicked', 'Paused'],
    ['paused', 'user', 'Paused'],
    ['paused', 'ioerror', 'Paused'],
    ['paused', 'postcopy', 'Migration Source'],
    ['paused', 'starting-up', 'WaitForLaunch'],
    ['running', 'unpaused', 'Migration Source', 'migration-out'],
    ['paused', 'migration', 'Migration Destination', 'migration-in'],
    ['paused', 'save', 'Saving State', 'save'],
    ['running', 'booted', 'Up', 'backup'],
  ];
  for (const [state, reason, internal, job] of alive) {
    it(`${state}/${reason}${job === undefined ? '' : ` with a ${job}`} is ${internal}`, () => {
      assert.equal(found({ state, reason } as DomainState, job).internal, internal);
    });
  }

  const off: readonly (readonly [string, string])[] = [
    ['shutdown', '0/7'],
    ['destroyed', '0/6'],
    ['migrated', '0/4'],
    ['saved', '0/5'],
    ['failed', '1/3'],
    ['crashed', '1/2'],
    ['daemon', '1/2'],
    ['unknown', '1/1'],
  ];
  for (const [reason, exit] of off) {
    it(`shut off by reason ${reason} is Down ${exit}`, () => {
      const { exit: record } = found({ state: 'shutoff', reason });
      assert.equal(`${record?.code}/${record?.reason}`, exit);
      assert.equal(isActive({ state: 'shutoff', reason }), false);
    });
  }

  it('prefers the exit record that the metadata kept', () => {
    const exit = { code: 0, reason: 6, message: 'as kept' } as const;
    assert.equal(move({ internal: 'Up', cpuRunning: true }, 'found-off', { nowMs: NOW, exit }).exit, exit);
  });
});

describe('a lifecycle event', () => {
  it('that says nothing of the status is no cause', () => {
    for (const event of [
      'defined',
      'undefined',
      'started',
      'pmsuspended',
      'crashed',
    ] as LifecycleEventName[]) {
      assert.equal(causeOfLifecycle(event, 'booted'), undefined);
    }
    assert.equal(causeOfLifecycle('stopped', 'unknown'), undefined);
    assert.equal(causeOfLifecycle('shutdown', 'finished'), undefined);
  });
});
