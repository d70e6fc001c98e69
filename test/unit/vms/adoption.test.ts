import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../src/domain/hypervisor.js';
import type { DomainState } from '../../../src/domain/hypervisor.js';
import { domainXml, fakeId } from '../../support/fake-domain.js';
import type { DomainXmlOptions } from '../../support/fake-domain.js';
import { Harness } from './harness.js';

const id = fakeId(1);
const off = (reason: string): DomainState => ({ state: 'shutoff', reason });
const startingUp: DomainState = { state: 'paused', reason: 'starting-up' };

/** An agent that finds the domain so when it starts. */
async function found(state: DomainState, options?: DomainXmlOptions): Promise<Harness> {
  const harness = new Harness();
  harness.hypervisor.addDomain(1, state, options);
  return harness.start(true);
}

const int = (name: string, value: number): string =>
  `<ovirt-vm:${name} type="int">${value}</ovirt-vm:${name}>`;
const recorded =
  int('exitCode', 1) + int('exitReason', 1) + '<ovirt-vm:exitMessage>no disk</ovirt-vm:exitMessage>';
const ordered = (code: number, reason: number): string =>
  int('pendingExitCode', code) + int('pendingExitReason', reason);

describe('a managed domain that is off when the agent starts', () => {
  const wallMs = new Harness().clock.wallMs();
  const startTime = wallMs / 1000 - 10;
  const cases: readonly (readonly [string, string, DomainXmlOptions, string, RegExp])[] = [
    ['was shut down by its guest', 'shutdown', {}, '0/7', /within the guest/],
    ['was destroyed', 'destroyed', {}, '0/6', /administrator/],
    ['lost its QEMU', 'crashed', {}, '1/2', /QEMU/],
    ['was ended by a restarted libvirt', 'daemon', {}, '1/2', /QEMU/],
    ['was saved', 'saved', {}, '0/5', /saved/],
    ['was migrated away', 'migrated', {}, '0/4', /migrated/],
    ['could not be started', 'failed', {}, '1/3', /libvirt could not start/],
    ['has an exit record', 'failed', { metadata: recorded }, '1/1', /^no disk$/],
    ['had been told to shut down', 'shutdown', { metadata: ordered(0, 6) }, '0/6', /administrator/],
    ['had rebooted for good', 'destroyed', { metadata: ordered(0, 13) }, '0/13', /reboot/],
    ['was saved all the same', 'saved', { metadata: ordered(0, 6) }, '0/5', /saved/],
    ['has both', 'shutdown', { metadata: recorded + ordered(0, 6) }, '1/1', /^no disk$/],
    ['says what is no reason', 'crashed', { metadata: ordered(0, 2 ** 35) }, '1/2', /QEMU/],
    ['was never started', 'unknown', { startTime }, '1/1', /start of the VM was not completed/],
    ['ran before the host did', 'unknown', { startTime: startTime - 5000 }, '1/1', /host was restarted/],
  ];
  for (const [what, reason, options, exit, message] of cases) {
    it(`is Down ${exit} where it ${what}`, async () => {
      const harness = await found(off(reason), options);
      const { code, reason: exitReason, message: said } = harness.vm(id).exit ?? {};
      assert.equal(`${code}/${exitReason}`, exit);
      assert.match(said ?? '', message);
      assert.deepEqual(harness.statuses(), ['Down']);
      await harness.rest();
      const next = await new Harness(harness.hypervisor).start();
      assert.deepEqual(next.vm(id).exit, harness.vm(id).exit, 'every agent says so until it is destroyed');
      await next.run('VM.destroy', id);
      assert.equal(harness.hypervisor.domains.size, 0);
    });
  }

  it('is not listed where it is external', async () => {
    assert.equal((await found(off('crashed'), { managed: false })).registry.size, 0);
  });
});

describe('a managed domain that runs when the agent starts', () => {
  it('is what it is, whatever ends were recorded or ordered, and the records of these go', async () => {
    const harness = await found(
      { state: 'running', reason: 'booted' },
      { metadata: recorded + ordered(0, 6), startTime: 5 },
    );
    assert.equal(harness.status(id), 'Up');
    assert.equal(harness.vm(id).startedAtMs, 5000);
    assert.doesNotMatch(harness.hypervisor.domains.get(id)?.live ?? '', /[eE]xit/);
    harness.hypervisor.act(id, 'kill');
    assert.equal(harness.vm(id).exit?.reason, 2);
  });

  it('is Paused with the code that was recorded, since when it was', async () => {
    const metadata =
      '<ovirt-vm:pauseCode>EPERM</ovirt-vm:pauseCode><ovirt-vm:pauseTime type="float">7.5</ovirt-vm:pauseTime>';
    const harness = await found({ state: 'paused', reason: 'ioerror' }, { metadata, startTime: 5 });
    assert.deepEqual([harness.status(id), harness.vm(id).pauseCode], ['Paused', 'EPERM']);
    assert.equal(harness.hypervisor.countCalls('metadata.set'), 0);
  });
});

describe('a start that an earlier agent has left under way', () => {
  it('is WaitForLaunch, and Up when libvirt says so', async () => {
    const harness = await found(startingUp);
    assert.deepEqual(harness.statuses(), ['WaitForLaunch']);
    const domain = harness.hypervisor.domains.get(id);
    assert.ok(domain);
    domain.state = { state: 'running', reason: 'booted' };
    harness.hypervisor.emit(id, { kind: 'lifecycle', event: 'started', detail: 'booted' });
    await harness.rest();
    assert.deepEqual(harness.statuses(), ['WaitForLaunch', 'Up']);
  });

  for (const [what, state, status] of [
    ['failed', off('failed'), 'Down'],
    ['succeeded', { state: 'running', reason: 'booted' }, 'Up'],
  ] as const) {
    it(`is looked at until it has ${what}: no event tells of it`, async () => {
      const harness = await found(startingUp);
      await harness.clock.advance(20_000);
      assert.deepEqual(harness.statuses(), ['WaitForLaunch']);
      const domain = harness.hypervisor.domains.get(id);
      assert.ok(domain);
      domain.state = state;
      await harness.clock.advance(3_000);
      assert.deepEqual(harness.statuses(), ['WaitForLaunch', status]);
      const reads = harness.hypervisor.countCalls('domainState');
      await harness.clock.advance(30_000);
      assert.equal(harness.hypervisor.countCalls('domainState'), reads, 'it is settled');
    });
  }

  it('is found out the same way where it was our own, and got no answer', async () => {
    const { hypervisor, ...harness } = await new Harness().start();
    hypervisor.launch = () => {
      const domain = hypervisor.domains.get(id);
      if (domain) domain.state = startingUp;
      return Promise.reject(new HypervisorError('timeout', 'no answer'));
    };
    harness.operations.create({ xml: domainXml(id, 'vm-1') });
    await harness.clock.advance(10_000);
    assert.equal(harness.registry.get(id)?.status, 'WaitForLaunch');
    const domain = hypervisor.domains.get(id);
    assert.ok(domain);
    domain.state = { state: 'running', reason: 'booted' };
    await harness.clock.advance(3_000);
    assert.equal(harness.registry.get(id)?.status, 'Up');
  });
});
