import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HypervisorErrorKind } from '../../../src/domain/hypervisor.js';
import { kind } from './connection-fixture.js';
import { code, DriverFixture, id } from './driver-fixture.js';
import { DaemonFault } from './fake-daemon.js';

const fixture = DriverFixture.use();

describe('calls to the guest agent', () => {
  it('tell what the agent says', async () => {
    fixture.daemon.answer('DOMAIN_GET_GUEST_INFO', ({ types }) => ({
      params: [{ field: 'hostname', type: 'string', value: `guest ${types}` }],
    }));
    const addresses = [
      { type: 0, address: '10.0.0.1', prefix: 8 },
      { type: 1, address: 'fe80::1', prefix: 64 },
    ];
    fixture.daemon.answer('DOMAIN_INTERFACE_ADDRESSES', () => ({
      interfaces: [
        { name: 'eth0', mac: '52:54:00:00:00:01', addresses },
        { name: 'lo', mac: undefined, addresses: [] },
      ],
    }));
    fixture.daemon.answer('DOMAIN_FSFREEZE', () => ({ filesystems: 3 }));
    fixture.daemon.answer('DOMAIN_FSTHAW', () => ({ filesystems: 2 }));
    fixture.daemon.answer('DOMAIN_AGENT_COMMAND', ({ command }) => ({
      result: JSON.stringify({ return: [command] }),
    }));
    const { guest } = fixture.hypervisor;
    assert.deepEqual(await guest.info(id, ['users', 'hostname', 'disks']), { hostname: 'guest 41' });
    assert.deepEqual(await guest.interfaces(id), [
      { name: 'eth0', mac: '52:54:00:00:00:01', ipv4: ['10.0.0.1'], ipv6: ['fe80::1'] },
      { name: 'lo', mac: '', ipv4: [], ipv6: [] },
    ]);
    assert.deepEqual([await guest.freeze(id), await guest.thaw(id)], [3, 2]);
    const command = { execute: 'guest-exec', arguments: { path: '/bin/true' } };
    assert.deepEqual(await guest.command(id, command), [JSON.stringify(command)]);
  });

  const outcomes: readonly [what: string, number: number, text: string, expected: HypervisorErrorKind][] = [
    ['no agent is configured', code.argumentUnsupported, 'QEMU guest agent is not configured', 'agent'],
    ['no agent is connected', code.agentUnresponsive, 'QEMU guest agent is not connected', 'agent'],
    [
      'the agent does not know the command',
      code.failed,
      'The command guest-x has not been found',
      'unsupported',
    ],
    [
      'the command is forbidden',
      code.failed,
      'Command guest-x has been disabled: the command is not allowed',
      'unsupported',
    ],
    [
      'the guest is frozen',
      code.failed,
      'Command guest-x has been disabled: the agent is in frozen state',
      'failed',
    ],
    ['the command fails', code.failed, 'failed to open file', 'failed'],
  ];
  for (const [what, number, text, expected] of outcomes) {
    it(`are told apart where ${what}: ${expected}`, async () => {
      fixture.daemon.answer('DOMAIN_AGENT_COMMAND', () => {
        throw new DaemonFault(number, text);
      });
      const command = fixture.hypervisor.guest.command(id, { execute: 'guest-x' });
      await assert.rejects(command, kind(expected, new RegExp(`^DOMAIN_AGENT_COMMAND of [-\\w]+: ${text}$`)));
    });
  }

  it('that return no JSON have failed', async () => {
    fixture.daemon.answer('DOMAIN_AGENT_COMMAND', () => ({ result: 'nonsense' }));
    await assert.rejects(
      fixture.hypervisor.guest.command(id, { execute: 'guest-ping' }),
      kind('failed', /no JSON/),
    );
  });

  it('are not parsed where a guest sends megabytes', async () => {
    const result = JSON.stringify({ return: 'x'.repeat(2 ** 20) });
    fixture.daemon.answer('DOMAIN_AGENT_COMMAND', () => ({ result }));
    await assert.rejects(
      fixture.hypervisor.guest.command(id, { execute: 'guest-ping' }),
      kind('failed', /guest-ping is longer than/),
    );
  });

  it('delay no others, however many agents are silent', async () => {
    fixture.daemon.silence('DOMAIN_GET_GUEST_INFO');
    const asked = Array.from({ length: 6 }, () =>
      assert.rejects(fixture.hypervisor.guest.info(id, ['os'], { deadlineMs: 1000 })),
    );
    await fixture.daemon.receives('DOMAIN_GET_GUEST_INFO', 4);
    fixture.daemon.answer('DOMAIN_SUSPEND', () => undefined);
    await fixture.hypervisor.suspend(id);
    await fixture.clock.advance(2000);
    await Promise.all(asked);
    assert.equal(fixture.daemon.calls('DOMAIN_GET_GUEST_INFO').length, 4);
  });
});

describe('long jobs', () => {
  it('are four at a time, the others follow, and none keeps verbs waiting', async () => {
    fixture.daemon.silence('DOMAIN_SAVE_FLAGS');
    const saves = Array.from({ length: 5 }, (_, i) => fixture.hypervisor.saving.save(id, `/f${i}`));
    const sent = await fixture.daemon.receives('DOMAIN_SAVE_FLAGS', 4);
    for (const name of ['DOMAIN_SUSPEND', 'DOMAIN_ABORT_JOB'] as const)
      fixture.daemon.answer(name, () => undefined);
    await fixture.hypervisor.suspend(id);
    await fixture.hypervisor.saving.abortJob(id);
    assert.equal(fixture.daemon.calls('DOMAIN_SAVE_FLAGS').length, 4);
    for (const call of sent) fixture.daemon.reply(call, 'DOMAIN_SAVE_FLAGS', undefined);
    const [, , , , last] = await fixture.daemon.receives('DOMAIN_SAVE_FLAGS', 5);
    assert.ok(last);
    fixture.daemon.reply(last, 'DOMAIN_SAVE_FLAGS', undefined);
    await Promise.all(saves);
  });
});
