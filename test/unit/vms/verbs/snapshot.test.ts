import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../../src/domain/hypervisor.js';
import type { VerbInput } from '../../../../src/protocol/verbs.js';
import type { Job } from '../../../../src/vms/jobs.js';
import { fakeId } from '../../../support/fake-domain.js';
import { Harness, withVm } from '../harness.js';

const id = fakeId(1);
const AGENT = 'org.qemu.guest_agent.0';
const JOB = '7c1f1bb2-6d52-4b07-a7b3-0d7a5b7c1d11';
const drives = [{ name: 'vda', path: '/images/vda.1' }];
const second = `<disk type='file' device='disk'><source file='/images/vdb'/><target dev='vdb' bus='virtio'/></disk>`;
const cdrom = `<disk type='file' device='cdrom'><target dev='sdc' bus='sata'/></disk>`;
const image = `<ovirt-vm:device devtype="disk" name="vda"><ovirt-vm:imageID>img-1</ovirt-vm:imageID></ovirt-vm:device>`;

type Input = Partial<VerbInput<'VM.snapshot'>>;

async function withAgent(): Promise<Harness> {
  const harness = await withVm({ channel: AGENT });
  harness.hypervisor.guest.connect(id);
  await harness.rest();
  return harness;
}

/** Begins a snapshot and lets it end. */
async function snapshot(harness: Harness, input: Input = {}): Promise<Job> {
  await begin(harness, input);
  await harness.rest();
  return jobOf(harness);
}

async function begin(harness: Harness, input: Input = {}): Promise<void> {
  const result = await harness.run('VM.snapshot', id, { snapDrives: drives, jobUUID: JOB, ...input });
  assert.equal(result, true);
}

/** Seconds, with time for what each brings. */
async function pass(harness: Harness, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    await harness.clock.advance(1000);
    await harness.rest();
  }
}

function jobOf({ jobs }: Harness): Job {
  const job = jobs.list()[JOB];
  assert.ok(job, 'there is a job');
  return job;
}

function xmlSent({ hypervisor }: Harness): string {
  return String(hypervisor.callsOf('disks.snapshot').at(-1)?.args?.['xml']);
}

function sources(harness: Harness): (string | undefined)[] {
  return (harness.vm(id).domain?.disks ?? []).map(({ source }) => source);
}

/** As libvirt has it when a snapshot was taken. */
function goOnWithNewFile({ hypervisor }: Harness): void {
  const domain = hypervisor.domains.get(id);
  assert.ok(domain);
  domain.live = domain.xml.replace('<source file="/images/vda"', '<source file="/images/vda.1"');
  assert.match(domain.live, /<source file="\/images\/vda\.1"/);
}

const order = ({ hypervisor }: Harness): string[] =>
  hypervisor.calls
    .map(({ method }) => method)
    .filter((method) => ['guest.freeze', 'guest.thaw', 'disks.snapshot'].includes(method));

describe('VM.snapshot', () => {
  it('answers at once, is a job, and has the VM write to the new file', async () => {
    const harness = await withVm({ devices: second + cdrom });
    const hash = harness.vm(id).domain?.devicesHash;
    const release = harness.hypervisor.hold('disks.snapshot');
    await begin(harness);
    await harness.rest();
    assert.deepEqual(jobOf(harness), {
      id: JOB,
      status: 'running',
      description: 'snapshot_vm',
      job_type: 'virt',
    });
    release();
    await harness.rest();
    assert.equal(jobOf(harness).status, 'done');
    assert.deepEqual(sources(harness), ['/images/vda.1', '/images/vdb', '']);
    assert.notEqual(harness.vm(id).domain?.devicesHash, hash);
    assert.match(xmlSent(harness), /<disk name="vdb" snapshot="no"\/><disk name="sdc" snapshot="no"\/>/);
    const how = harness.hypervisor.callsOf('disks.snapshot')[0]?.args;
    assert.equal(how?.['diskOnly'], true);
    assert.equal(how['reuse'], false);
    assert.equal(how['atomic'], true);
    const event = harness.published.find(({ topic }) => topic === `|jobs|status|${JOB}`);
    assert.deepEqual(event?.params, jobOf(harness));
  });

  it('takes a drive by oVirt ids, and the new volume beside the present one', async () => {
    const harness = await withVm({ metadata: image });
    const drive = { imageID: 'img-1', domainID: 'd', volumeID: 'new', baseVolumeID: 'vda' };
    assert.equal((await snapshot(harness, { snapDrives: [drive] })).status, 'done');
    assert.deepEqual(sources(harness), ['/images/new']);
    const again = { ...drive, volumeID: 'newer' };
    await assert.rejects(harness.run('VM.snapshot', id, { snapDrives: [again] }), { code: 13 });
  });

  it('has the VM to itself until it ends', async () => {
    const harness = await withVm();
    const release = harness.hypervisor.hold('disks.snapshot');
    await begin(harness);
    await assert.rejects(harness.run('VM.pause', id), { code: 40, message: /running VM\.snapshot/ });
    await assert.rejects(harness.run('VM.snapshot', id, { snapDrives: drives }), { code: 40 });
    release();
    await harness.rest();
    await harness.run('VM.pause', id);
  });

  it('asked twice with the same job says so once more, and does it once', async () => {
    const harness = await withVm();
    const release = harness.hypervisor.hold('disks.snapshot');
    await begin(harness);
    await begin(harness);
    release();
    await harness.rest();
    assert.equal(harness.hypervisor.countCalls('disks.snapshot'), 1);
    await assert.rejects(begin(harness), { code: 69 });
    const other = '00000000-0000-4000-8000-00000000000f';
    await harness.run('VM.snapshot', id, { snapDrives: drives, jobUUID: other });
    await harness.rest();
    assert.equal(harness.jobs.list()[other]?.status, 'done', 'the disk writes to that file already');
    assert.equal(harness.hypervisor.countCalls('disks.snapshot'), 1);
  });

  it('refuses what makes no sense before it begins', async () => {
    const harness = await withVm({ devices: second + cdrom });
    const cases: readonly [Input, number][] = [
      [{ timeout: 0 }, 91],
      [{ timeout: -5 }, 91],
      [{ freeze_timeout: 0 }, 91],
      [{ snapDrives: [{ name: 'vdz', path: '/x' }] }, 13],
      [{ snapDrives: [{ path: '/x' }] }, 13],
      [{ snapDrives: [{ name: 'vda' }] }, 11],
      [{ snapDrives: [{ name: 'vda', path: 'some/where' }] }, 91],
      [{ snapDrives: [{ name: 'vda', path: '..' }] }, 91],
      [{ snapDrives: [{ name: 'sdc', path: '/x' }] }, 91],
      [{ snapDrives: [...drives, ...drives] }, 91],
      [{ snapDrives: [{ name: 'vda', path: '/images/vdb' }] }, 91],
      [{ snapMemory: 'pool,domain,image,volume,image,volume' }, 91],
      [{ snapMemory: '/images/vda.1' }, 91],
    ];
    for (const [input, code] of cases) {
      await assert.rejects(harness.run('VM.snapshot', id, { snapDrives: drives, ...input }), { code });
    }
    assert.equal(harness.hypervisor.countCalls('disks.snapshot'), 0);
    assert.equal(harness.registry.locks.running(id), undefined);
    assert.deepEqual(harness.jobs.list(), {});
  });

  it("fails with code 48 and libvirt's words, and leaves the VM free", async () => {
    const harness = await withVm();
    harness.hypervisor.failNext('disks.snapshot', new HypervisorError('failed', 'no space left on device'));
    const { status, error } = await snapshot(harness);
    assert.equal(status, 'failed');
    assert.equal(error?.code, 48);
    assert.match(error.message, /no space left on device/);
    assert.equal(harness.registry.locks.running(id), undefined);
    assert.equal(harness.vm(id).domain?.metadata?.snapshotJob, undefined);
  });
});

describe('the files of a VM.snapshot', () => {
  it('may be there already, made on the present one', async () => {
    const harness = await withVm();
    harness.images.addQcow2('/images/vda.1', 'vda');
    assert.equal((await snapshot(harness)).status, 'done');
    assert.equal(harness.hypervisor.callsOf('disks.snapshot')[0]?.args?.['reuse'], true);
  });

  it('may be unreadable for the agent: their maker is trusted', async () => {
    const harness = await withVm();
    harness.images.files.set('/images/vda.1', { device: false, bytes: 1, qcow2: 'unreadable' });
    assert.equal((await snapshot(harness)).status, 'done');
  });

  const wrong: readonly [string, (harness: Harness) => void, RegExp][] = [
    [
      'based on another',
      ({ images }) => images.addQcow2('/images/vda.1', 'other'),
      /based on other, not on \/images\/vda/,
    ],
    ['based on nothing', ({ images }) => images.addQcow2('/images/vda.1', undefined), /based on nothing/],
    [
      'too small',
      ({ images }) => images.addQcow2('/images/vda.1', 'vda', 512),
      /fewer than the 1073741824 of vda/,
    ],
    ['a blank device', ({ images }) => images.addDevice('/images/vda.1', 2 ** 30), /is no qcow2 image/],
  ];
  for (const [what, prepare, message] of wrong) {
    it(`that are there must not be ${what}`, async () => {
      const harness = await withVm();
      prepare(harness);
      const { error } = await snapshot(harness);
      assert.equal(error?.code, 48);
      assert.match(error.message, message);
      assert.equal(harness.hypervisor.countCalls('disks.snapshot'), 0);
    });
  }

  it('are all there or all to be made', async () => {
    const harness = await withVm({ devices: second });
    harness.images.addQcow2('/images/vda.1', 'vda');
    const { error } = await snapshot(harness, {
      snapDrives: [...drives, { name: 'vdb', path: '/images/vdb.1' }],
    });
    assert.match(error?.message ?? '', /make all or none/);
  });
});

describe('the guest of a VM.snapshot', () => {
  it('is frozen meanwhile where its agent is connected', async () => {
    const harness = await withAgent();
    assert.equal((await snapshot(harness)).status, 'done');
    assert.deepEqual(order(harness), ['guest.freeze', 'disks.snapshot', 'guest.thaw']);
    assert.equal(harness.hypervisor.guest.frozen.size, 0);
  });

  it('is left alone where it is frozen already, paused, or its memory is written too', async () => {
    for (const prepare of ['frozen', 'paused', 'memory']) {
      const harness = await withAgent();
      if (prepare === 'paused') harness.hypervisor.act(id, 'suspend');
      const memory = prepare === 'memory' ? { snapMemory: '/images/memory' } : {};
      assert.equal((await snapshot(harness, { frozen: prepare === 'frozen', ...memory })).status, 'done');
      assert.deepEqual(order(harness), ['disks.snapshot'], prepare);
    }
  });

  it('is thawed after a failure', async () => {
    const harness = await withAgent();
    harness.hypervisor.failNext('disks.snapshot');
    assert.equal((await snapshot(harness)).status, 'failed');
    assert.deepEqual(order(harness), ['guest.freeze', 'disks.snapshot', 'guest.thaw']);
  });

  it('is taken as it is where it cannot be frozen, and thawed in case it is', async () => {
    const harness = await withAgent();
    harness.hypervisor.failNext('guest.freeze', new HypervisorError('agent', 'command timed out'));
    assert.equal((await snapshot(harness)).status, 'done');
    assert.deepEqual(order(harness), ['guest.freeze', 'guest.thaw', 'disks.snapshot']);
  });

  it('is thawed by as many attempts as it takes', async () => {
    const harness = await withAgent();
    harness.hypervisor.failNext('guest.thaw', new HypervisorError('agent', 'not connected'), 3);
    await begin(harness);
    await pass(harness, 10);
    assert.equal(jobOf(harness).status, 'done');
    assert.equal(harness.hypervisor.countCalls('guest.thaw'), 4);
  });

  it('that cannot be thawed at all is counted', async () => {
    const harness = await withAgent();
    harness.hypervisor.failNext('guest.thaw', new HypervisorError('agent', 'not connected'), 100);
    await begin(harness);
    await pass(harness, 40);
    assert.equal(jobOf(harness).status, 'done');
    assert.equal((await harness.metrics.guests_left_frozen_total.get()).values[0]?.value, 1);
  });

  it('stays frozen no longer than freeze_timeout; the snapshot counts as failed then', async () => {
    const harness = await withAgent();
    const release = harness.hypervisor.hold('disks.snapshot');
    await begin(harness, { freeze_timeout: 2 });
    await harness.rest();
    assert.equal(harness.hypervisor.guest.frozen.size, 1);
    await harness.clock.advance(119_000);
    assert.equal(harness.hypervisor.guest.frozen.size, 1);
    await harness.clock.advance(2000);
    assert.equal(harness.hypervisor.guest.frozen.size, 0);
    release();
    await harness.rest();
    assert.equal(jobOf(harness).error?.code, 48);
    assert.match(jobOf(harness).error?.message ?? '', /thawed after 2 minutes/);
    assert.deepEqual(sources(harness), ['/images/vda.1'], 'the record tells what the VM writes to');
  });

  it('is thawed when the agent stops, and what is open is left to the next one', async () => {
    const harness = await withAgent();
    const release = harness.hypervisor.hold('disks.snapshot');
    await begin(harness);
    await harness.rest();
    assert.equal(harness.hypervisor.guest.frozen.size, 1);
    const stopping = harness.jobs.stop();
    await harness.rest();
    assert.equal(harness.hypervisor.guest.frozen.size, 0);
    await harness.clock.advance(1500);
    await stopping;
    assert.match(harness.hypervisor.domains.get(id)?.xml ?? '', /snapshot_job/);
    release();
    await harness.rest();
    assert.deepEqual(
      harness.published.filter(({ topic }) => topic.startsWith('|jobs|')),
      [],
    );
  });
});

describe('the time of a VM.snapshot', () => {
  it('ends a memory that takes too long', async () => {
    const harness = await withVm();
    harness.hypervisor.saving.slow = true;
    await begin(harness, { snapMemory: '/images/memory', timeout: 3 });
    await harness.clock.advance(3 * 60_000);
    await harness.rest();
    assert.equal(harness.hypervisor.countCalls('saving.abortJob', id), 1);
    assert.equal(jobOf(harness).error?.code, 48);
    assert.match(jobOf(harness).error?.message ?? '', /did not end within 3 minutes and was aborted/);
    assert.deepEqual(sources(harness), ['/images/vda']);
  });

  it('does not matter for what libvirt has done without an answer', async () => {
    const harness = await withVm();
    const release = harness.hypervisor.hold('disks.snapshot');
    harness.hypervisor.failNext('disks.snapshot', new HypervisorError('timeout', 'no answer'));
    await begin(harness);
    await harness.rest();
    goOnWithNewFile(harness);
    release();
    await harness.rest();
    assert.equal(jobOf(harness).status, 'done');
  });

  it('is over with the VM', async () => {
    const harness = await withAgent();
    const release = harness.hypervisor.hold('disks.snapshot');
    await begin(harness);
    await harness.rest();
    harness.hypervisor.act(id, 'kill');
    release();
    await harness.clock.advance(60_000);
    await harness.rest();
    assert.equal(jobOf(harness).status, 'failed');
    assert.equal(harness.status(id), 'Down');
    assert.equal(harness.registry.locks.running(id), undefined);
  });
});

describe('a VM.snapshot that an earlier agent left open', () => {
  const mark = (values: object): string =>
    `<ovirt-vm:snapshot_job>${JSON.stringify({
      jobUUID: JOB,
      agent: 'earlier',
      until: 4_000_000_000,
      frozen: true,
      files: { vda: '/images/vda.1' },
      ...values,
    }).replaceAll('"', '&quot;')}</ovirt-vm:snapshot_job>`;

  async function restarted(
    values: object,
    prepare: (harness: Harness) => void = () => undefined,
  ): Promise<Harness> {
    const harness = new Harness();
    harness.hypervisor.addDomain(1, undefined, { channel: AGENT, metadata: mark(values) });
    harness.hypervisor.guest.connect(id);
    harness.hypervisor.guest.frozen.add(id);
    prepare(harness);
    await harness.start(true);
    await harness.rest();
    return harness;
  }

  it('is failed where the VM writes to the old file, and its guest is thawed', async () => {
    const harness = await restarted({});
    assert.equal(harness.hypervisor.guest.frozen.size, 0);
    assert.equal(jobOf(harness).error?.code, 48);
    assert.match(jobOf(harness).error?.message ?? '', /does not write to the new files/);
    assert.doesNotMatch(harness.hypervisor.domains.get(id)?.xml ?? '', /snapshot_job/);
    assert.equal(harness.registry.locks.running(id), undefined);
    assert.equal(
      harness.published.some(({ topic }) => topic === `|jobs|status|${JOB}`),
      true,
    );
    await harness.clock.advance(60_000);
    assert.equal(harness.hypervisor.countCalls('guest.thaw'), 1, 'it is looked after once');
  });

  it('is done where the VM writes to the new one', async () => {
    const harness = await restarted({}, goOnWithNewFile);
    assert.equal(jobOf(harness).status, 'done');
    assert.equal(harness.hypervisor.guest.frozen.size, 0);
  });

  it('is waited for while libvirt is at it, and has the VM meanwhile', async () => {
    const harness = await restarted({ frozen: false }, ({ hypervisor }) => {
      const domain = hypervisor.domains.get(id);
      if (domain) domain.job = 'snapshot';
    });
    assert.equal(jobOf(harness).status, 'running');
    await assert.rejects(harness.run('VM.pause', id), { code: 40 });
    const domain = harness.hypervisor.domains.get(id);
    assert.ok(domain);
    goOnWithNewFile(harness);
    delete domain.job;
    await harness.clock.advance(2000);
    await harness.rest();
    assert.equal(jobOf(harness).status, 'done');
    assert.deepEqual(sources(harness), ['/images/vda.1']);
  });

  it('is not touched while the agent runs that has it, and looked after when that has ended', async () => {
    const harness = await restarted({}, ({ otherAgents }) => otherAgents.add('earlier'));
    await pass(harness, 20);
    assert.equal(harness.hypervisor.guest.frozen.size, 1);
    assert.deepEqual(harness.jobs.list(), {});
    harness.otherAgents.clear();
    await pass(harness, 6);
    assert.equal(harness.hypervisor.guest.frozen.size, 0);
    assert.equal(jobOf(harness).status, 'failed');
  });

  it('is none where the mark comes while the VM is known: another agent writes it', async () => {
    const harness = await withAgent();
    const live = harness.hypervisor.domains.get(id);
    assert.ok(live);
    live.live = live.xml.replace('</ovirt-vm:vm>', `${mark({})}</ovirt-vm:vm>`);
    harness.hypervisor.emit(id, { kind: 'metadata-change', uri: 'http://ovirt.org/vm/1.0' });
    await pass(harness, 10);
    assert.equal(harness.vm(id).domain?.metadata?.snapshotJob === undefined, false);
    assert.deepEqual(harness.jobs.list(), {});
  });

  it('is aborted when its time is over', async () => {
    const harness = await restarted({ frozen: false, until: 1 }, ({ hypervisor }) => {
      const domain = hypervisor.domains.get(id);
      if (domain) domain.job = 'snapshot';
    });
    await harness.clock.advance(4000);
    await harness.rest();
    assert.equal(harness.hypervisor.countCalls('saving.abortJob', id), 1);
    assert.equal(jobOf(harness).status, 'failed');
  });

  it('is left alone where its mark is not understood', async () => {
    const harness = await restarted({ jobUUID: 7 });
    assert.deepEqual(harness.jobs.list(), {});
    assert.equal(harness.status(id), 'Up');
  });
});
