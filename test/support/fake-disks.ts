/**
 * Images of the fake hypervisor's disks: sizes, chains, and jobs that progress and end when a test says so.
 */
import { HypervisorError } from '../../src/domain/hypervisor.js';
import type { BlockJob, DiskCalls, DiskSize } from '../../src/domain/hypervisor-verbs.js';
import type { VmId } from '../../src/domain/ids.js';
import type { XmlNodeElement } from '../../src/util/xml-edit.js';
import { chainOf, edited, parsedForEdit, requireDisk, setChain, targetOf } from './fake-xml.js';
import type { FakeDomain } from './fake-domain.js';
import type { FakeGuest } from './fake-guest.js';
import type { FakeSaving } from './fake-saving.js';
import { domainOf, failed, wrongState } from './fake-world.js';
import type { FakeWorld } from './fake-world.js';

function unsupported(what: string): HypervisorError {
  return new HypervisorError('unsupported', `unsupported configuration: ${what}`);
}

const GIB = 2 ** 30;
type LiveDomain = FakeDomain & { live: string };
interface Commit {
  readonly base: string;
  readonly top: string;
  readonly active: boolean;
  readonly bandwidth: number;
}

export class FakeDisks implements DiskCalls {
  /** Bytes that a commit has to copy. */
  jobBytes = 1000;
  readonly #commits = new Map<BlockJob, Commit>();

  constructor(
    private readonly world: FakeWorld,
    private readonly guest: FakeGuest,
    private readonly saving: FakeSaving,
  ) {}

  async size(id: VmId, disk: string): Promise<DiskSize> {
    const domain = await this.world.enterDomain('disks.size', id, { disk });
    requireDisk(parsedForEdit(domain.xml), disk);
    const capacity = domain.capacities.get(disk) ?? GIB;
    return { capacity, physical: capacity };
  }

  async resize(id: VmId, disk: string, bytes: number): Promise<void> {
    const domain = await this.world.enterActive('disks.resize', id, { disk, bytes });
    requireDisk(parsedForEdit(domain.live), disk);
    domain.capacities.set(disk, bytes);
  }

  async snapshot(
    id: VmId,
    xml: string,
    how: {
      readonly diskOnly: boolean;
      readonly reuse: boolean;
      readonly atomic: boolean;
      readonly quiesce: boolean;
    },
  ): Promise<void> {
    const domain = await this.world.enterActive('disks.snapshot', id, { xml, ...how });
    const disks = parsedForEdit(xml).child('disks')?.children('disk') ?? [];
    const taken = disks.filter((disk) => disk.attribute('snapshot') !== 'no');
    for (const disk of taken) this.#requireNewImage(domain, disk, how.reuse);
    if (how.quiesce) this.guest.requireAgent(domain);
    const pauses = !how.diskOnly && this.world.act(id, 'snapshotPause');
    try {
      if (!how.diskOnly) await this.saving.work(id, 'snapshot');
      for (const disk of taken) {
        const [path = ''] = chainOf(disk);
        this.#rechain(domain, disk.attribute('name') ?? '', (chain) => [path, ...chain]);
      }
    } finally {
      if (pauses) this.world.act(id, 'resume');
    }
  }

  #requireNewImage(domain: LiveDomain, disk: XmlNodeElement, reuse: boolean): void {
    const target = disk.attribute('name') ?? '';
    const known = parsedForEdit(domain.live).child('devices')?.children('disk') ?? [];
    const [own] = known.filter((each) => targetOf(each) === target);
    if (!own) throw unsupported(`no disk named '${target}'`);
    const [path] = chainOf(disk);
    if (path === undefined) throw unsupported(`disk '${target}' needs a file for its snapshot`);
    if (!reuse && chainOf(own).includes(path))
      throw unsupported(`external snapshot file ${path} already exists`);
  }

  async commit(id: VmId, disk: string, how: Commit): Promise<void> {
    const domain = await this.world.enterActive('disks.commit', id, { disk, ...how });
    const chain = chainOf(requireDisk(parsedForEdit(domain.live), disk));
    const [top, base] = [chain.indexOf(how.top), chain.indexOf(how.base)];
    if (top < 0 || base <= top) {
      throw failed(`invalid argument: could not find image '${how.base}' beneath '${how.top}' in chain`);
    }
    if (domain.blockJobs.has(disk)) {
      throw failed(`block copy still active: disk '${disk}' already in active block job`);
    }
    if ((top === 0) !== how.active) {
      throw failed(`invalid argument: active commit of '${disk}' needs the active flag, and only that`);
    }
    const type = how.active ? 'active-commit' : 'commit';
    this.#put(domain, disk, { type, cur: 0, end: this.jobBytes, bandwidth: how.bandwidth * 2 ** 20 }, how);
  }

  async job(id: VmId, disk: string): Promise<BlockJob | undefined> {
    const domain = await this.world.enterActive('disks.job', id, { disk });
    requireDisk(parsedForEdit(domain.live), disk);
    return domain.blockJobs.get(disk);
  }

  async endJob(id: VmId, disk: string, how: { readonly pivot: boolean }): Promise<void> {
    const domain = await this.world.enterActive('disks.endJob', id, { disk, ...how });
    requireDisk(parsedForEdit(domain.live), disk);
    const job = domain.blockJobs.get(disk);
    if (!job) throw failed(`invalid argument: disk ${disk} does not have an active block job`);
    if (how.pivot && job.type !== 'active-commit') {
      throw wrongState(`job type of disk ${disk} does not support pivot`);
    }
    if (how.pivot && job.cur < job.end)
      throw failed(`block copy still active: disk '${disk}' not ready for pivot yet`);
    this.#end(domain, disk, how.pivot ? 'completed' : 'cancelled');
  }

  /** A job has copied so many bytes. At its end an active commit is ready, any other completed. */
  progress(id: VmId, disk: string, cur: number): void {
    const domain = domainOf(this.world, id);
    const job = domain.blockJobs.get(disk);
    const commit = job && this.#commits.get(job);
    if (!job || !commit) throw new Error(`no job on ${disk}`);
    const next = { ...job, cur: Math.min(cur, job.end) };
    this.#commits.delete(job);
    this.#put(domain, disk, next, commit);
    if (next.cur < next.end) return;
    if (commit.active) this.world.emit(id, { kind: 'block-job', disk, type: job.type, status: 'ready' });
    else this.#end(domain, disk, 'completed');
  }

  /** A job runs into an error. */
  fail(id: VmId, disk: string): void {
    this.#end(domainOf(this.world, id), disk, 'failed');
  }

  #put(domain: LiveDomain, disk: string, job: BlockJob, commit: Commit): void {
    domain.blockJobs.set(disk, job);
    this.#commits.set(job, commit);
  }

  #end(domain: LiveDomain, disk: string, status: 'completed' | 'cancelled' | 'failed'): void {
    const job = domain.blockJobs.get(disk);
    const commit = job && this.#commits.get(job);
    if (!job || !commit) throw new Error(`no job on ${disk}`);
    domain.blockJobs.delete(disk);
    this.#commits.delete(job);
    if (status === 'completed') {
      this.#rechain(domain, disk, (chain) => [
        ...chain.slice(0, chain.indexOf(commit.top)),
        ...chain.slice(chain.indexOf(commit.base)),
      ]);
    }
    this.world.emit(domain.id, { kind: 'block-job', disk, type: job.type, status });
  }

  /** Live, and in the definition as far as it has that disk. */
  #rechain(domain: LiveDomain, target: string, change: (chain: readonly string[]) => string[]): void {
    const [next] = [change(chainOf(requireDisk(parsedForEdit(domain.live), target)))];
    domain.live = edited(domain.live, (live) => setChain(requireDisk(live, target), next));
    if (domain.definition === undefined) return;
    domain.definition = edited(domain.definition, (definition) => {
      const disk = definition
        .child('devices')
        ?.children('disk')
        .find((each) => targetOf(each) === target);
      if (disk) setChain(disk, next);
    });
  }
}
