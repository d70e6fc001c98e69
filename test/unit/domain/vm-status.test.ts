import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { GuestEvent, InternalStatus, PauseCode } from '../../../src/domain/vm.js';
import { exitMessages } from '../../../src/domain/vm-exit.js';
import {
  initialState,
  internalStatuses,
  move,
  nextStatusChangeMs,
  reportedStatus,
} from '../../../src/domain/vm-status.js';
import type { CauseDetail, VmState } from '../../../src/domain/vm-status.js';
import { causeNames } from '../../../src/domain/vm-transitions.js';
import type { CauseName } from '../../../src/domain/vm-transitions.js';

const NOW = 1000;
const up: VmState = { internal: 'Up', cpuRunning: true };
const paused: VmState = { internal: 'Paused', cpuRunning: false, pauseCode: 'NOERR' };

function stateIn(internal: InternalStatus): VmState {
  const cpuRunning = ![
    'WaitForLaunch',
    'Paused',
    'Restoring state',
    'Migration Destination',
    'Down',
  ].includes(internal);
  return { internal, cpuRunning };
}

function after(state: VmState, ...causes: CauseName[]): VmState {
  return causes.reduce((s, cause) => move(s, cause, { nowMs: NOW }), state);
}

function exitAfter(state: VmState, ...causes: CauseName[]): string {
  const { internal, exit } = after(state, ...causes);
  return internal === 'Down' ? `${exit?.code}/${exit?.reason}` : `still ${internal}`;
}

/**
 * Rows: from; columns: to, both in the order of internalStatuses. `x` where some single cause leads there; on the
 * diagonal every status but Down is kept by some cause.
 */
const reachable = `
  x x x . . . . . x
  . x x x x x x . x
  . x x . x x x . x
  . x . x x x x . x
  . x x . x . . . x
  . x x . . x . . x
  . x x . . . x . x
  . x x . . . . x x
  . . . . . . . . .`;

describe('the transition table', () => {
  const wanted = reachable
    .trim()
    .split('\n')
    .map((row) => row.trim().split(' '));

  for (const [row, from] of internalStatuses.entries()) {
    for (const [column, to] of internalStatuses.entries()) {
      const may = wanted[row]?.[column] === 'x';
      it(`${may ? 'leads' : 'never leads'} from ${from} to ${to}`, () => {
        const state = stateIn(from);
        const causes = causeNames.filter((cause) => {
          const next = move(state, cause, { nowMs: NOW });
          return next.internal === to && (from !== to || next !== state);
        });
        assert.equal(causes.length > 0, may, causes.join(', '));
      });
    }
  }

  it('changes nothing about a Down VM, whatever comes', () => {
    const down = after(up, 'stopped-shutdown');
    for (const cause of causeNames) assert.equal(move(down, cause, { nowMs: NOW }), down, cause);
  });

  it('returns the same object where a cause changes nothing', () => {
    assert.equal(after(up, 'resumed'), up);
    assert.equal(after(paused, 'suspended'), paused);
    assert.equal(after(up, 'launched'), up);
    assert.equal(after(up, 'found-running'), up);
  });
});

describe('the life of a VM', () => {
  it('starts as Powering up and is Up after 60 s', () => {
    const state = after(initialState('WaitForLaunch'), 'resumed', 'launched');
    assert.equal(reportedStatus(state, NOW), 'Powering up');
    assert.equal(reportedStatus(state, NOW + 59_999), 'Powering up');
    assert.equal(nextStatusChangeMs(state), NOW + 60_000);
    assert.equal(reportedStatus(state, NOW + 60_000), 'Up');
    assert.equal(move(state, 'time-passed', { nowMs: NOW + 60_000 }).guestEvent, undefined);
    assert.equal(state.pauseCode, 'NOERR');
  });

  it('is Up as soon as the guest agent talks, but not while it powers down', () => {
    const starting = after(initialState('WaitForLaunch'), 'launched', 'agent-connected');
    assert.equal(reportedStatus(starting, NOW), 'Up');
    const leaving = after(up, 'shutdown-ordered', 'agent-connected');
    assert.equal(reportedStatus(leaving, NOW), 'Powering down');
  });

  it('shows Powering down for at most 300 s after an ordered shutdown, RebootInProgress for 60 s', () => {
    const leaving = after(up, 'shutdown-ordered');
    assert.equal(reportedStatus(leaving, NOW + 299_999), 'Powering down');
    assert.equal(reportedStatus(leaving, NOW + 300_000), 'Up');
    assert.equal(reportedStatus(after(leaving, 'shutdown-given-up'), NOW), 'Up');
    for (const cause of ['rebooted', 'reset-ordered', 'reboot-ordered'] as const) {
      assert.equal(reportedStatus(after(up, cause), NOW + 59_999), 'RebootInProgress');
      assert.equal(reportedStatus(after(up, cause), NOW + 60_000), 'Up');
    }
  });

  it('shows Paused whenever the CPUs are stopped, also while it powers down or starts', () => {
    assert.equal(reportedStatus(after(up, 'destroy-begun', 'suspended'), NOW), 'Paused');
    assert.equal(reportedStatus(after(up, 'shutdown-ordered', 'suspended'), NOW), 'Paused');
    const started = after(initialState('WaitForLaunch'), 'launched-paused');
    assert.equal(reportedStatus(started, NOW), 'Paused');
    assert.equal(reportedStatus(after(started, 'resumed'), NOW), 'Powering up');
  });

  it('shows a migration source in its post-copy phase as Paused', () => {
    const source = after(up, 'migration-begun');
    assert.equal(reportedStatus(source, NOW), 'Migration Source');
    const postcopy = after(source, 'suspended-postcopy');
    assert.deepEqual(
      [postcopy.internal, postcopy.pauseCode, reportedStatus(postcopy, NOW)],
      ['Migration Source', 'POSTCOPY', 'Paused'],
    );
    assert.equal(after(postcopy, 'migration-failed').pauseCode, 'NOERR');
  });

  it('gives a VM back its place after a failed migration or save, running or paused', () => {
    assert.equal(after(up, 'migration-begun', 'migration-failed').internal, 'Up');
    assert.equal(after(paused, 'migration-begun', 'migration-failed').internal, 'Paused');
    assert.equal(after(up, 'save-begun', 'suspended', 'save-failed').internal, 'Paused');
    assert.equal(after(up, 'destroy-begun', 'destroy-failed').pendingExit, undefined);
  });

  it('ends an incoming migration running, paused or failed', () => {
    const target = initialState('Migration Destination');
    assert.equal(after(target, 'resumed-migrated').internal, 'Up');
    assert.equal(after(target, 'suspended').internal, 'Paused');
    assert.equal(after(target, 'resumed-postcopy').internal, 'Migration Destination');
    assert.equal(exitAfter(target, 'stopped-failed'), '1/8');
    assert.equal(exitAfter(target, 'postcopy-failed', 'stopped-destroyed'), '1/12');
  });
});

describe('the pause code', () => {
  const codeAfter = (state: VmState, cause: CauseName, pauseCode?: PauseCode): PauseCode | undefined =>
    move(state, cause, { nowMs: NOW, ...(pauseCode && { pauseCode }) }).pauseCode;

  it('is NOERR for a pause that no error is the reason of', () => {
    assert.equal(codeAfter(up, 'paused-by-verb'), 'NOERR');
    assert.equal(codeAfter(up, 'suspended-watchdog'), 'NOERR');
  });

  it('is EOTHER for an I/O error until it is known better, and vaguer news do not replace better ones', () => {
    assert.equal(codeAfter(up, 'suspended-io-error'), 'EOTHER');
    const full = move(up, 'suspended-io-error', { nowMs: NOW, pauseCode: 'ENOSPC' });
    assert.equal(full.pauseCode, 'ENOSPC');
    assert.equal(codeAfter(full, 'suspended-io-error'), 'ENOSPC');
    assert.equal(codeAfter(full, 'suspended'), 'ENOSPC');
    assert.equal(codeAfter(full, 'disk-errors-read', 'EIO'), 'EIO');
  });

  it('goes when the CPUs run again', () => {
    assert.equal(codeAfter({ ...paused, pauseCode: 'EIO' }, 'resumed'), undefined);
    assert.equal(codeAfter({ ...paused, pauseCode: 'EIO' }, 'found-running'), undefined);
  });
});

describe('the exit record', () => {
  const rows: readonly (readonly [string, string, readonly CauseName[]])[] = [
    ['a shutdown in the guest', '0/7', ['shutdown-by-guest', 'stopped-shutdown']],
    ['an orderly stop whose beginning was missed', '0/7', ['stopped-shutdown']],
    ['a shutdown by the host', '1/11', ['shutdown-by-host', 'stopped-destroyed']],
    [
      'a shutdown ordered by the engine',
      '0/6',
      ['shutdown-ordered', 'shutdown-by-guest', 'stopped-shutdown'],
    ],
    ['VM.destroy', '0/6', ['destroy-begun', 'shutdown-by-host', 'stopped-destroyed']],
    ['a QEMU that was killed', '1/2', ['stopped-failed']],
    ['a QEMU that crashed', '1/2', ['stopped-crashed']],
    ['a destroy from elsewhere that a stuck QEMU did not announce', '1/2', ['stopped-destroyed']],
    ['a revert to a snapshot without memory', '1/2', ['stopped-snapshot']],
    ['a migration away', '0/4', ['migration-begun', 'suspended-migrated', 'stopped-migrated']],
    ['a save', '0/5', ['save-begun', 'suspended', 'stopped-saved']],
    ['a reboot of a VM that is to be destroyed then', '0/13', ['rebooted-for-good', 'stopped-destroyed']],
    ['a domain that is gone', '1/9', ['vanished']],
    [
      'a guest that was asked to end by its host',
      '1/11',
      ['shutdown-by-guest', 'host-shuts-down', 'stopped-shutdown'],
    ],
    [
      'an ordered shutdown while the host goes down',
      '0/6',
      ['shutdown-ordered', 'shutdown-by-guest', 'host-shuts-down', 'stopped-shutdown'],
    ],
    [
      'a QEMU that is lost after a shutdown that the guest ignored',
      '1/2',
      ['shutdown-ordered', 'shutdown-given-up', 'stopped-failed'],
    ],
    [
      'a guest that ends where a reboot took the place of a shutdown',
      '0/7',
      ['shutdown-ordered', 'reboot-ordered', 'shutdown-by-guest', 'stopped-shutdown'],
    ],
    [
      'a VM that was paused for too long',
      '1/14',
      ['suspended-io-error', 'paused-too-long', 'stopped-destroyed'],
    ],
    [
      'a VM that could not be ended when it rebooted',
      '1/2',
      ['rebooted-for-good', 'kill-failed', 'stopped-failed'],
    ],
    [
      'a guest shutdown that turned out to be a reboot',
      '1/2',
      ['shutdown-by-guest', 'rebooted', 'stopped-failed'],
    ],
    [
      'an ordered shutdown that the guest ignored, then its own',
      '0/6',
      ['shutdown-ordered', 'stopped-shutdown'],
    ],
  ];
  for (const [what, exit, causes] of rows) {
    it(`of ${what} is ${exit}`, () => {
      assert.equal(exitAfter(up, ...causes), exit);
    });
  }

  it('of a start tells how it went, with the text of the error', () => {
    const waiting = initialState('WaitForLaunch');
    const failed = move(waiting, 'launch-failed', { nowMs: NOW, message: 'no such machine type' });
    assert.deepEqual(failed.exit, { code: 1, reason: 1, message: 'no such machine type' });
    assert.equal(exitAfter(waiting, 'launch-cancelled'), '0/10');
    assert.equal(exitAfter(waiting, 'stopped-failed'), 'still WaitForLaunch');
    const restore = move(initialState('Restoring state'), 'restore-failed', {
      nowMs: NOW,
      message: 'no file',
    });
    assert.equal(restore.exit?.message, 'Wake up from hibernation failed: no file');
  });

  it('has a sentence for every reason', () => {
    assert.deepEqual(
      Object.keys(exitMessages),
      Array.from({ length: 15 }, (_, n) => String(n)),
    );
    assert.equal(new Set(Object.values(exitMessages)).size, 15);
  });
});

describe('causes', () => {
  it('may come in any order: invariants hold, and the reported status changes by itself once at most', () => {
    const anyCause = fc.constantFrom(...causeNames);
    const anyCode = fc.constantFrom<PauseCode | undefined>(undefined, 'EIO', 'ENOSPC', 'EOTHER');
    const steps = fc.array(fc.tuple(anyCause, anyCode, fc.nat(100_000)), { maxLength: 30 });
    const starts = fc.constantFrom('WaitForLaunch', 'Migration Destination', 'Restoring state');
    fc.assert(
      fc.property(starts, steps, (internal, list) => {
        let state: VmState = initialState(internal);
        let nowMs = 0;
        for (const [cause, pauseCode, pauseMs] of list) {
          nowMs += pauseMs;
          const detail: CauseDetail = { nowMs, ...(pauseCode && { pauseCode }) };
          const before = state;
          state = move(state, cause, detail);
          checkInvariants(before, state);
          const dueMs = nextStatusChangeMs(state);
          if (dueMs !== undefined) {
            const quiet = move(state, 'time-passed', { nowMs: Math.max(nowMs, dueMs) });
            assert.equal(quiet.guestEvent, undefined);
          }
        }
      }),
    );
  });
});

function checkInvariants(before: VmState, state: VmState): void {
  if (before.internal === 'Down') assert.equal(state, before);
  assert.equal(state.internal === 'Down', state.exit !== undefined);
  if (state.internal === 'Up') assert.equal(state.cpuRunning, true);
  if (state.internal === 'Paused') {
    assert.equal(state.cpuRunning, false);
  }
  // An engine keeps an old pause code where none comes with Paused.
  if (reportedStatus(state, 0) === 'Paused') assert.notEqual(state.pauseCode, undefined);
  const event: GuestEvent['status'] | undefined = state.guestEvent?.status;
  assert.ok(event === undefined || state.internal !== 'Down');
}
