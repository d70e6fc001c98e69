import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../../src/domain/hypervisor.js';
import { steadyBlock } from '../../../../src/domain/vm-record.js';
import type { VerbInput } from '../../../../src/protocol/verbs.js';
import { fakeId } from '../../../support/fake-domain.js';
import { FakeHypervisor } from '../../../support/fake-hypervisor.js';
import { chainOf, parsedForEdit, requireDisk } from '../../../support/fake-xml.js';
import { Harness } from '../harness.js';

const id = fakeId(1);
const JOB = '7c1f1bb2-6d52-4b07-a7b3-0d7a5b7c1d11';
const image = `<ovirt-vm:device devtype="disk" name="vda"><ovirt-vm:imageID>img-1</ovirt-vm:imageID></ovirt-vm:device>`;

function hypervisorWithChain(
  base = `type='file'><format type='qcow2'/><source file='/images/a'/>`,
): FakeHypervisor {
  const hypervisor = new FakeHypervisor();
  const domain = hypervisor.addDomain(1, undefined, { metadata: image });
  domain.live = domain.xml.replace(
    /<source file="\/images\/vda"\/>/,
    "<source file='/images/c'/><backingStore type='file'><format type='qcow2'/><source file='/images/b'/>" +
      `<backingStore ${base}<backingStore/></backingStore></backingStore>`,
  );
  return hypervisor;
}

async function withChain(hypervisor = hypervisorWithChain()): Promise<Harness> {
  return new Harness(hypervisor).start();
}

type Input = Partial<VerbInput<'VM.merge'>>;
const active = { baseVolUUID: 'b', topVolUUID: 'c' };
const inner = { baseVolUUID: '/images/a', topVolUUID: '/images/b' };

async function merge(harness: Harness, input: Input = {}): Promise<void> {
  const given = { drive: { name: 'vda' }, ...active, jobUUID: JOB, ...input };
  assert.equal(await harness.run('VM.merge', id, given), true);
}

const vmJobs = (harness: Harness): unknown => steadyBlock(harness.vm(id)).vmJobs;
const liveXml = ({ hypervisor }: Harness): string => hypervisor.domains.get(id)?.xml ?? '';
const chain = (harness: Harness): string[] => chainOf(requireDisk(parsedForEdit(liveXml(harness)), 'vda'));
const ended = async ({ metrics }: Harness): Promise<Record<string, number>> =>
  Object.fromEntries(
    (await metrics.merges_total.get()).values.map(({ labels, value }) => [String(labels['result']), value]),
  );

describe('VM.merge', () => {
  it('commits what the guest writes to, shows how far it is, and has the guest go on on the base', async () => {
    const harness = await withChain();
    await merge(harness, { bandwidth: 7 });
    assert.deepEqual(harness.hypervisor.callsOf('disks.commit')[0]?.args, {
      disk: 'vda',
      base: '/images/b',
      top: '/images/c',
      active: true,
      bandwidth: 7,
    });
    const entry = {
      id: JOB,
      jobType: 'block',
      blockJobType: 'commit',
      drive: 'vda',
      imgUUID: 'img-1',
      bandwidth: 7,
      cur: '0',
      end: '0',
    };
    assert.deepEqual(vmJobs(harness), { [JOB]: entry });
    assert.equal(harness.registry.locks.running(id), undefined, 'the VM is free meanwhile');
    harness.hypervisor.disks.progress(id, 'vda', 400);
    await harness.clock.advance(5000);
    assert.deepEqual(vmJobs(harness), { [JOB]: { ...entry, cur: '400', end: '1000' } });
    harness.hypervisor.disks.progress(id, 'vda', 1000);
    await harness.rest();
    assert.deepEqual(vmJobs(harness), {});
    assert.deepEqual(chain(harness), ['/images/b', '/images/a']);
    assert.equal(harness.vm(id).domain?.disks[0]?.source, '/images/b');
    assert.deepEqual(await ended(harness), { done: 1 });
    assert.doesNotMatch(liveXml(harness), /ovirt-vm:jobs/);
  });

  it('commits an inner file without a pivot', async () => {
    const harness = await withChain();
    await merge(harness, inner);
    harness.hypervisor.disks.progress(id, 'vda', 1000);
    await harness.rest();
    assert.equal(harness.hypervisor.countCalls('disks.endJob'), 0);
    assert.deepEqual(chain(harness), ['/images/c', '/images/a']);
    assert.deepEqual(vmJobs(harness), {});
    assert.deepEqual(await ended(harness), { done: 1 });
  });

  it('ends also where no event comes', async () => {
    const harness = await withChain();
    await merge(harness);
    await harness.rest();
    harness.hypervisor.events = 'lost';
    harness.hypervisor.disks.progress(id, 'vda', 1000);
    await harness.rest();
    assert.equal(harness.hypervisor.countCalls('disks.endJob'), 0);
    await harness.clock.advance(5000);
    await harness.rest();
    assert.deepEqual(chain(harness), ['/images/b', '/images/a']);
    assert.deepEqual(vmJobs(harness), {});
  });

  it('leaves the VM as it is where the job fails, and says so', async () => {
    const harness = await withChain();
    await merge(harness);
    harness.hypervisor.disks.fail(id, 'vda');
    await harness.rest();
    assert.deepEqual(chain(harness), ['/images/c', '/images/b', '/images/a']);
    assert.deepEqual(vmJobs(harness), {});
    assert.deepEqual(await ended(harness), { failed: 1 });
    assert.equal(harness.status(id), 'Up');
  });

  it('tries a pivot again, and cancels the job when it never works', async () => {
    const harness = await withChain();
    await merge(harness);
    harness.hypervisor.failNext('disks.endJob', new HypervisorError('failed', 'no'), 5);
    harness.hypervisor.disks.progress(id, 'vda', 1000);
    await harness.clock.advance(60_000);
    await harness.rest();
    assert.deepEqual(
      harness.hypervisor.callsOf('disks.endJob').map(({ args }) => args?.['pivot']),
      [true, true, true, true, true, false],
    );
    assert.deepEqual(chain(harness), ['/images/c', '/images/b', '/images/a']);
    assert.deepEqual(await ended(harness), { failed: 1 });
  });

  it('goes on where libvirt was away or slow, however often', async () => {
    const harness = await withChain();
    await merge(harness);
    harness.hypervisor.failNext('disks.endJob', new HypervisorError('timeout', 'no answer'), 9);
    harness.hypervisor.disks.progress(id, 'vda', 1000);
    await harness.clock.advance(20_000);
    harness.hypervisor.disconnect();
    await harness.clock.advance(20_000);
    assert.notDeepEqual(vmJobs(harness), {});
    harness.hypervisor.connect();
    await harness.clock.advance(60_000);
    await harness.rest();
    assert.deepEqual(chain(harness), ['/images/b', '/images/a']);
    assert.deepEqual(await ended(harness), { done: 1 });
  });

  it('leaves a QEMU alone that does not answer, until it answers again', async () => {
    const harness = await withChain();
    await merge(harness);
    harness.registry.setMonitorResponsive(id, false);
    await harness.clock.advance(60_000);
    const asked = harness.hypervisor.countCalls('disks.job');
    await harness.clock.advance(60_000);
    assert.equal(harness.hypervisor.countCalls('disks.job'), asked);
    harness.registry.setMonitorResponsive(id, true);
    await harness.clock.advance(5000);
    assert.equal(harness.hypervisor.countCalls('disks.job'), asked + 1);
  });

  it('is void with its VM', async () => {
    const harness = await withChain();
    await merge(harness);
    harness.hypervisor.act(id, 'kill');
    await harness.rest();
    const asked = harness.hypervisor.countCalls('disks.job');
    await harness.clock.advance(60_000);
    assert.equal(harness.hypervisor.countCalls('disks.job'), asked);
    assert.doesNotMatch(harness.hypervisor.domains.get(id)?.definition ?? '', /ovirt-vm:jobs/);
  });

  it('asked twice for the same job says so once more, and does it once', async () => {
    const harness = await withChain();
    await merge(harness);
    await merge(harness);
    assert.equal(harness.hypervisor.countCalls('disks.commit'), 1);
  });
});

describe('VM.merge refuses', () => {
  const cases: readonly [string, Input, number][] = [
    ['a drive that is not there', { drive: { name: 'vdz' } }, 13],
    ['a drive that is not named', { drive: {} }, 13],
    ['a top that is not in the chain', { topVolUUID: 'x' }, 13],
    ['a base that is not in the chain', { baseVolUUID: 'x' }, 13],
    ['a base above the top', { baseVolUUID: 'c', topVolUUID: 'b' }, 52],
    ['a base that is the top', { baseVolUUID: 'b', topVolUUID: 'b' }, 52],
  ];
  for (const [what, input, code] of cases) {
    it(what, async () => {
      const harness = await withChain();
      await assert.rejects(merge(harness, input), { code });
      assert.equal(harness.hypervisor.countCalls('disks.commit'), 0);
      assert.deepEqual(vmJobs(harness), {});
    });
  }

  it('a second job on a disk, of its own or of others', async () => {
    const harness = await withChain();
    await merge(harness, inner);
    await assert.rejects(merge(harness, { jobUUID: fakeId(9) }), { code: 52, message: /has another job/ });
    const other = await withChain();
    other.hypervisor.domains.get(id)?.blockJobs.set('vda', { type: 'copy', cur: 0, end: 1, bandwidth: 0 });
    await assert.rejects(merge(other), { code: 52 });
  });

  it('a device that cannot hold the data', async () => {
    const hypervisor = hypervisorWithChain(`type='block'><format type='raw'/><source dev='/dev/a'/>`);
    const harness = await withChain(hypervisor);
    const all = { baseVolUUID: '/dev/a', topVolUUID: 'c' };
    harness.images.addDevice('/dev/a', 2 ** 30 - 1);
    await assert.rejects(merge(harness, all), { code: 79, message: /1073741823 bytes/ });
    harness.images.addQcow2('/images/b', '/dev/a', 2 ** 20);
    await merge(harness, { baseVolUUID: '/dev/a', topVolUUID: 'b' });
    const roomy = await withChain(
      hypervisorWithChain(`type='block'><format type='raw'/><source dev='/dev/a'/>`),
    );
    roomy.images.addDevice('/dev/a', 2 ** 30);
    await merge(roomy, all);
  });

  it('what libvirt refuses, and forgets it', async () => {
    const harness = await withChain();
    harness.hypervisor.failNext('disks.commit', new HypervisorError('failed', 'cannot commit'));
    await assert.rejects(merge(harness), { code: 52, message: /cannot commit/ });
    assert.doesNotMatch(liveXml(harness), /ovirt-vm:jobs/);
    assert.deepEqual(vmJobs(harness), {});
    await merge(harness);
  });

  it('nothing where libvirt gave no answer: the job may run, and is followed', async () => {
    const harness = await withChain();
    const { disks } = harness.hypervisor;
    const commit = disks.commit.bind(disks);
    disks.commit = async (...args) => {
      await commit(...args);
      throw new HypervisorError('timeout', 'no answer');
    };
    await assert.rejects(merge(harness), { code: 40 });
    harness.hypervisor.disks.progress(id, 'vda', 1000);
    await harness.clock.advance(5000);
    await harness.rest();
    assert.deepEqual(chain(harness), ['/images/b', '/images/a']);
  });
});

describe('a VM.merge over a restart of the agent', () => {
  async function interrupted(): Promise<Harness> {
    const harness = await withChain();
    await merge(harness);
    await harness.stop();
    return harness;
  }

  it('is not void while nobody follows it, then followed and brought to its end', async () => {
    const { hypervisor } = await interrupted();
    hypervisor.disks.progress(id, 'vda', 600);
    const next = new Harness(hypervisor);
    const seen: unknown[] = [];
    next.registry.onChange((_, vm) => vm && seen.push(steadyBlock(vm).vmJobs));
    await next.start();
    await next.clock.advance(1);
    await next.rest();
    assert.equal(
      seen.some((jobs) => JSON.stringify(jobs) === '{}'),
      false,
      'an engine would take it for ended',
    );
    assert.equal((vmJobs(next) as Record<string, { cur: string }>)[JOB]?.cur, '600');
    hypervisor.disks.progress(id, 'vda', 1000);
    await next.rest();
    assert.deepEqual(chain(next), ['/images/b', '/images/a']);
    assert.deepEqual(vmJobs(next), {});
    assert.doesNotMatch(liveXml(next), /ovirt-vm:jobs/);
  });

  it('is concluded where it ended meanwhile', async () => {
    const { hypervisor } = await interrupted();
    hypervisor.disks.fail(id, 'vda');
    const next = await new Harness(hypervisor).start();
    await next.clock.advance(1);
    await next.rest();
    assert.deepEqual(vmJobs(next), {});
    assert.deepEqual(await ended(next), { failed: 1 });
  });

  it('is nothing where the mark is not understood', async () => {
    const hypervisor = new FakeHypervisor();
    hypervisor.addDomain(1, undefined, { metadata: '<ovirt-vm:jobs>what</ovirt-vm:jobs>' });
    const harness = await new Harness(hypervisor).start();
    await harness.clock.advance(1);
    assert.deepEqual(vmJobs(harness), {});
  });

  it('needs nothing of the agent that has stopped', async () => {
    const harness = await interrupted();
    const asked = harness.hypervisor.countCalls('disks.job');
    harness.hypervisor.disks.progress(id, 'vda', 1000);
    await harness.clock.advance(60_000);
    assert.equal(harness.hypervisor.countCalls('disks.job'), asked);
    assert.equal(harness.hypervisor.listenerCount, 0);
  });
});
