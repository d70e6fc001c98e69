import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { hostAgentIdentity } from '../../../../src/vms/verbs/agent-identity.js';

function identityOf(pid: number): string {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ');
  return `${pid}:${fields[19] ?? ''}`;
}

describe("an agent's identity", () => {
  it('is of this process', () => {
    assert.equal(hostAgentIdentity.self, identityOf(process.pid));
    assert.equal(hostAgentIdentity.isOtherRunning(hostAgentIdentity.self), false);
  });

  it('tells another process that runs from one that has ended', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => 0, 1000)'], { stdio: 'ignore' });
    const identity = identityOf(child.pid ?? 0);
    assert.equal(hostAgentIdentity.isOtherRunning(identity), true);
    assert.equal(
      hostAgentIdentity.isOtherRunning(`${child.pid ?? 0}:1`),
      false,
      'another process of that id',
    );
    child.kill();
    await once(child, 'exit');
    assert.equal(hostAgentIdentity.isOtherRunning(identity), false);
  });

  it('is nobody for other texts', () => {
    for (const text of ['', 'self', '1', ':', '99999999999:1', `${process.pid}:`]) {
      assert.equal(hostAgentIdentity.isOtherRunning(text), false, text);
    }
  });
});
