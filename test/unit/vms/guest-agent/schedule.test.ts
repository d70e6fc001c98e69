import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  agentCommands,
  isYoung,
  LOOP_MS,
  nextCommand,
  pauseMs,
  type AgentCommand,
  type PollPeriods,
} from '../../../../src/vms/guest-agent/schedule.js';

const periods: PollPeriods = {
  capabilities: 300,
  users: 10,
  cpus: 60,
  interfaces: 120,
  hostname: 120,
  os: 120,
  timezone: 120,
  filesystems: 300,
  devices: 120,
};

/** Commands asked in each loop over the time, as a poller would that is answered at once. */
function timesAsked(
  loops: number,
  young: boolean,
  supported?: ReadonlySet<string>,
): Map<AgentCommand, number> {
  const asked = new Map<AgentCommand, number>();
  const counts = new Map<AgentCommand, number>();
  for (let loop = 0; loop < loops; loop++) {
    // Timers are late by a little, and never by the same.
    const loopMs = loop * LOOP_MS + (loop % 3) * 7;
    for (;;) {
      const command = nextCommand(periods, { asked, supported }, { loopMs, young });
      if (command === undefined) break;
      asked.set(command, loopMs);
      counts.set(command, (counts.get(command) ?? 0) + 1);
    }
  }
  return counts;
}

describe('the schedule of a guest agent', () => {
  it('asks everything in each loop while the guest is young', () => {
    const counts = timesAsked(24, true);
    assert.deepEqual([...counts.keys()].sort(), [...agentCommands].sort());
    for (const [command, count] of counts) assert.equal(count, 24, command);
  });

  it('asks each command once in its period later', () => {
    const tenMinutes = timesAsked(120, false);
    for (const command of agentCommands) {
      assert.equal(tenMinutes.get(command), 600 / periods[command], command);
    }
  });

  it('asks for capabilities first, and nothing then that the agent does not have', () => {
    const idle = { asked: new Map(), supported: undefined };
    assert.equal(nextCommand(periods, idle, { loopMs: 0, young: true }), 'capabilities');
    const counts = timesAsked(2, true, new Set(['guest-info', 'guest-get-host-name']));
    assert.deepEqual([...counts.keys()], ['capabilities', 'hostname']);
  });

  it('never asks what is switched off', () => {
    const off = Object.fromEntries(agentCommands.map((command) => [command, 0])) as PollPeriods;
    const idle = { asked: new Map(), supported: undefined };
    assert.equal(nextCommand(off, idle, { loopMs: 1e9, young: true }), undefined);
  });

  it('takes a guest for young in its first two minutes', () => {
    assert.equal(isYoung(119_999), true);
    assert.equal(isYoung(120_000), false);
  });

  it('leaves a silent agent alone for a minute, then ever longer, up to ten minutes', () => {
    assert.deepEqual(
      [1, 2, 3, 4, 5, 100].map((failures) => pauseMs(failures) / 1000),
      [60, 120, 240, 480, 600, 600],
    );
  });
});
