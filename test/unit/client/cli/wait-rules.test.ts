import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Told } from '../../../../src/client/cli/wait-rules.js';
import { waitRules } from '../../../../src/client/cli/wait-rules.js';
import { isVerbName } from '../../../../src/protocol/verbs.js';

const down = (exitCode: number, exitReason: number): Told => ({
  status: 'Down',
  fields: { exitCode, exitReason, exitMessage: `reason ${exitReason}` },
});
const told = (...statuses: (string | Told | undefined)[]): Told[] =>
  statuses.map((each) => (typeof each === 'object' ? each : { status: each, fields: {} }));

/** Verb, parameters, what was told, outcome: waiting, arrived, or the reason of a failure. */
const cases: readonly [string, Record<string, unknown>, Told[], string][] = [
  ['VM.create', {}, told('WaitForLaunch'), 'waiting'],
  ['VM.create', {}, told('WaitForLaunch', 'Powering up'), 'waiting'],
  ['VM.create', {}, told('Powering up', 'Up'), 'arrived'],
  ['VM.create', {}, told('Paused'), 'arrived'],
  ['VM.create', {}, told('WaitForLaunch', down(1, 1)), 'reason 1'],
  ['VM.create', {}, told('WaitForLaunch', undefined), 'the VM was forgotten meanwhile'],
  ['VM.shutdown', {}, told('Powering down'), 'waiting'],
  ['VM.shutdown', {}, told('Powering down', down(0, 6)), 'arrived'],
  ['VM.shutdown', {}, told('Powering down', down(1, 2)), 'reason 2'],
  ['VM.shutdown', {}, told('Powering down', undefined), 'arrived'],
  ['VM.shutdown', {}, told('Powering down', 'Up'), 'the guest did not shut down; force=true ends it'],
  ['VM.shutdown', { reboot: true }, told('RebootInProgress'), 'waiting'],
  ['VM.shutdown', { reboot: true }, told('RebootInProgress', 'Up'), 'arrived'],
  ['VM.shutdown', { reboot: 'true' }, told(down(0, 13)), 'reason 13'],
  ['VM.reset', {}, told('Up'), 'waiting'],
  ['VM.reset', {}, told('RebootInProgress', 'Up'), 'arrived'],
  ['VM.hibernate', {}, told('Saving State'), 'waiting'],
  ['VM.hibernate', {}, told('Saving State', down(0, 5)), 'arrived'],
  ['VM.hibernate', {}, told('Saving State', down(1, 2)), 'reason 2'],
  ['VM.hibernate', {}, told('Saving State', 'Up'), 'the memory could not be saved; the VM is Up'],
];

describe('what --wait waits for', () => {
  for (const [verb, params, seen, expected] of cases) {
    it(`${verb} ${JSON.stringify(params)} after ${seen.map(({ status }) => status ?? 'gone').join(', ')}: ${expected}`, () => {
      const outcome = waitRules[verb]?.outcome(seen, params);
      assert.equal(typeof outcome === 'object' ? outcome.failed : outcome, expected);
    });
  }

  it('is known only of verbs that there are', () => {
    assert.deepEqual(
      Object.keys(waitRules).filter((verb) => !isVerbName(verb)),
      [],
    );
  });
});
