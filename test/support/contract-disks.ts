/** The contract of images of disks: sizes, snapshots, block jobs. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { VmId } from '../../src/domain/ids.js';
import { rejectsWith } from './contract-bench.js';
import { unknownId } from './contract-subject.js';
import type { Bench } from './contract-bench.js';

const MIB = 2 ** 20;
const how = { diskOnly: true, reuse: false, atomic: true, quiesce: false };

function snapshotXml(path: string, target = 'vda', memory = ''): string {
  return (
    `<domainsnapshot>${memory}<disks><disk name='${target}' snapshot='external' type='file'>` +
    `<driver type='qcow2'/><source file='${path}'/></disk></disks></domainsnapshot>`
  );
}

/** Paths of the chain of vda, the image that the guest writes to first, as the XML tells. */
async function chain(bench: Bench, id: VmId): Promise<string[]> {
  const { xml } = await bench.hypervisor.describe(id);
  const [disk = ''] = /<disk [^]*?<\/disk>/.exec(xml.replaceAll(/<mirror[^]*?<\/mirror>/g, '')) ?? [];
  return [...disk.matchAll(/<source file=["']([^"']+)["']/g)].map(([, path = '']) => path);
}

/** A running domain whose disk has so many overlays; with the chain's paths, the guest's first. */
async function withOverlays(bench: Bench, count: number): Promise<{ id: VmId; paths: string[] }> {
  const id = await bench.run(1, true);
  const paths = await chain(bench, id);
  for (let i = 0; i < count; i++) {
    const path = bench.subject.newPath(`overlay-${i}`);
    await bench.hypervisor.disks.snapshot(id, snapshotXml(path), how);
    paths.unshift(path);
  }
  return { id, paths };
}

export function disksContract(started: () => Promise<Bench>): void {
  it('tells a disk’s size, and makes it larger', async () => {
    const bench = await started();
    const { disks } = bench.hypervisor;
    const id = await bench.run(1, true);
    const { capacity, physical } = await disks.size(id, 'vda');
    assert.ok(capacity >= 8 * MIB && physical > 0);
    await disks.resize(id, 'vda', 2 * capacity);
    assert.equal((await disks.size(id, 'vda')).capacity, 2 * capacity);
    await rejectsWith('failed', disks.size(id, 'vdz'));
    await rejectsWith('failed', disks.resize(id, 'vdz', MIB));
    await rejectsWith('no-domain', disks.size(unknownId, 'vda'));
    await rejectsWith('no-domain', disks.resize(unknownId, 'vda', MIB));
    await bench.hypervisor.destroy(id, { graceful: false });
    await rejectsWith('invalid-state', disks.resize(id, 'vda', 4 * capacity));
  });

  it('takes snapshots: the guest writes to the new image, the domain and its definition know the chain', async () => {
    const bench = await started();
    const { id, paths } = await withOverlays(bench, 2);
    assert.equal(paths.length, 3);
    assert.deepEqual(await chain(bench, id), paths);
    assert.deepEqual(bench.lifecycle(id), ['defined added', ...bench.traits.events.launch]);
    assert.equal((await bench.definitionAfterEnd(id)).disks[0]?.source, paths[0]);
  });

  for (const paused of [false, true]) {
    it(`takes a snapshot with memory of a ${paused ? 'paused' : 'running'} domain`, async () => {
      const bench = await started();
      const id = await bench.run(1, true);
      if (paused) await bench.does(id, 'suspend', { state: 'paused', reason: 'user' });
      const events = bench.lifecycle(id);
      const memory = `<memory snapshot='external' file='${bench.subject.newPath('memory')}'/>`;
      const path = bench.subject.newPath('overlay');
      await bench.hypervisor.disks.snapshot(id, snapshotXml(path, 'vda', memory), {
        ...how,
        diskOnly: false,
      });
      const { state } = await bench.hypervisor.domainState(id);
      assert.equal(state, paused ? 'paused' : 'running');
      await bench.eventsAre(id, [...events, ...(paused ? [] : ['suspended paused', 'resumed unpaused'])]);
      assert.equal((await chain(bench, id))[0], path);
    });
  }

  it('refuses snapshots of disks that are not there, into files that are, without an agent to freeze', async () => {
    const bench = await started();
    const { disks } = bench.hypervisor;
    const { id, paths } = await withOverlays(bench, 1);
    const path = bench.subject.newPath('other');
    await rejectsWith('unsupported', disks.snapshot(id, snapshotXml(path, 'vdz'), how));
    await rejectsWith('unsupported', disks.snapshot(id, snapshotXml(paths[0]!), how));
    await rejectsWith('agent', disks.snapshot(id, snapshotXml(path), { ...how, quiesce: true }));
    await rejectsWith('no-domain', disks.snapshot(unknownId, snapshotXml(path), how));
    assert.deepEqual(await chain(bench, id), paths);
  });

  it('commits an image of the chain into another, and tells when that is done', async () => {
    const bench = await started();
    const { disks } = bench.hypervisor;
    const { id, paths } = await withOverlays(bench, 3);
    const [active = '', top = '', base = '', bottom = ''] = paths;
    await disks.commit(id, 'vda', { top, base, active: false, bandwidth: 0 });
    bench.subject.finishJob?.(id, 'vda');
    const { disk, type, status } = await bench.next(id, 'block-job', 0);
    assert.deepEqual([disk, type, status], ['vda', 'commit', 'completed']);
    assert.deepEqual(await chain(bench, id), [active, base, bottom]);
    assert.equal(await disks.job(id, 'vda'), undefined);
  });

  it('commits what the guest writes to, until it is told to pivot', async () => {
    const bench = await started();
    const { disks } = bench.hypervisor;
    const { id, paths } = await withOverlays(bench, 2);
    const [top = '', base = '', bottom = ''] = paths;
    await disks.commit(id, 'vda', { top, base, active: true, bandwidth: 1 });
    bench.subject.finishJob?.(id, 'vda');
    assert.equal((await bench.next(id, 'block-job', 0)).status, 'ready');
    const job = await disks.job(id, 'vda');
    assert.deepEqual([job?.type, job?.bandwidth, job && job.cur === job.end], ['active-commit', MIB, true]);
    assert.deepEqual(await chain(bench, id), paths);
    const again = disks.commit(id, 'vda', { top, base, active: true, bandwidth: 0 });
    await rejectsWith('failed', again, 'a second job on the disk');
    await disks.endJob(id, 'vda', { pivot: true });
    assert.equal((await bench.next(id, 'block-job', 1)).status, 'completed');
    assert.deepEqual(await chain(bench, id), [base, bottom]);
    assert.equal((await bench.definitionAfterEnd(id)).disks[0]?.source, base);
  });

  it('cancels a job, and leaves the chain as it was', async () => {
    const bench = await started();
    const { disks } = bench.hypervisor;
    const { id, paths } = await withOverlays(bench, 1);
    const [top = '', base = ''] = paths;
    await disks.commit(id, 'vda', { top, base, active: true, bandwidth: 0 });
    bench.subject.finishJob?.(id, 'vda');
    await bench.next(id, 'block-job', 0);
    await disks.endJob(id, 'vda', { pivot: false });
    assert.equal((await bench.next(id, 'block-job', 1)).status, 'cancelled');
    assert.deepEqual(await chain(bench, id), paths);
    assert.equal(await disks.job(id, 'vda'), undefined);
    await rejectsWith('failed', disks.endJob(id, 'vda', { pivot: false }), 'cancelling what is not there');
  });

  it('refuses commits that the chain does not allow', async () => {
    const bench = await started();
    const { disks } = bench.hypervisor;
    const { id, paths } = await withOverlays(bench, 2);
    const [top = '', middle = '', bottom = ''] = paths;
    const refused = {
      'into what is not in the chain': { top, base: bench.subject.newPath('absent'), active: true },
      'into itself': { top, base: top, active: true },
      upwards: { top: middle, base: top, active: false },
      'of the active image, unsaid': { top, base: bottom, active: false },
      'of another, said to be active': { top: middle, base: bottom, active: true },
    };
    for (const [what, which] of Object.entries(refused)) {
      await rejectsWith('failed', disks.commit(id, 'vda', { ...which, bandwidth: 0 }), `a commit ${what}`);
    }
    await rejectsWith('failed', disks.job(id, 'vdz'));
    await rejectsWith('no-domain', disks.job(unknownId, 'vda'));
    await bench.hypervisor.destroy(id, { graceful: false });
    await rejectsWith('invalid-state', disks.job(id, 'vda'));
    await rejectsWith('invalid-state', disks.endJob(id, 'vda', { pivot: true }));
  });
}
