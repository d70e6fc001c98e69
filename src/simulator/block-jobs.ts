/**
 * Commits of disk images, and what they leave of a disk's chain. Events and errors as recorded from libvirt 9.0.
 *
 * A commit into an inner image ends by itself. One of the image that the guest writes to becomes ready and goes on
 * until it is pivoted or cancelled. Where the definition has the same image, it changes with the running domain.
 */
import type { Clock } from '../util/time.js';
import { BlockJob } from './block-job.js';
import type { CommitPlan } from './block-job.js';
import type { SimulatedDomain } from './domain.js';
import { findDisk, withDisk } from './domain-config.js';
import type { DiskConfig, DomainConfig, ImageConfig } from './domain-config.js';
import { BlockJobStatus, BlockJobType, blockJob } from './events.js';
import type { EventBody } from './events.js';
import { Fault } from './fault.js';

interface BlockJobsDeps {
  readonly clock: Clock;
  readonly emit: (domain: SimulatedDomain, ...events: readonly EventBody[]) => void;
  /** How long a commit takes without a limit, ms. */
  readonly commitMs: number;
}

export interface CommitOrder {
  /** Paths, or nodes such as `vda[2]`; absent: the lowest image, the one that the guest writes to. */
  readonly base?: string | undefined;
  readonly top?: string | undefined;
  readonly active: boolean;
  /** The base is the image just below the top. */
  readonly shallow: boolean;
  /** Bytes/s; 0 is unlimited. */
  readonly bandwidth: number;
}

/** What a commit of made-up images copies. */
const COMMIT_BYTES = 64 * 2 ** 20;

/** A disk's images, from the one that the guest writes to downwards. */
export function chainOf(disk: DiskConfig): ImageConfig[] {
  const { path, format, index } = disk;
  const type = disk.type === 'block' ? 'block' : 'file';
  return [{ path, type, format, ...(index !== undefined && { index }) }, ...disk.backing];
}

/** The disk with another chain. */
export function withChain(disk: DiskConfig, [top, ...backing]: readonly ImageConfig[]): DiskConfig {
  if (!top) return disk;
  const { index: _old, ...others } = disk;
  const index = top.index === undefined ? {} : { index: top.index };
  return { ...others, ...index, path: top.path, type: top.type, format: top.format, backing };
}

/** @throws Fault 'invalid-argument' */
export function requireDisk(config: DomainConfig, name: string): DiskConfig {
  const disk = findDisk(config, name);
  if (!disk) throw new Fault('invalid-argument', `disk '${name}' not found in domain`);
  return disk;
}

/** @throws Fault 'job-active' */
export function requireNoBlockJob(domain: SimulatedDomain, target: string): void {
  if (domain.blockJobs.has(target)) {
    throw new Fault('job-active', `disk '${target}' already in active block job`);
  }
}

export class BlockJobs {
  constructor(private readonly deps: BlockJobsDeps) {}

  commit(domain: SimulatedDomain, name: string, order: CommitOrder): void {
    const disk = requireDisk(domain.config, name);
    requireNoBlockJob(domain, disk.target);
    const { top, base } = placesOf(disk, order);
    const chain = chainOf(disk);
    const plan: CommitPlan = {
      target: disk.target,
      base: chain[base]?.path ?? '',
      top: chain[top]?.path ?? '',
      type: top === 0 ? BlockJobType.activeCommit : BlockJobType.commit,
      bytes: COMMIT_BYTES,
      durationMs: this.deps.commitMs,
    };
    const job: BlockJob = new BlockJob(plan, this.deps.clock, () => this.#copied(domain, job));
    domain.blockJobs.set(disk.target, job);
    job.runAt(order.bandwidth);
  }

  /** The job of a disk; undefined where it has none. */
  find(domain: SimulatedDomain, name: string): BlockJob | undefined {
    return domain.blockJobs.get(requireDisk(domain.config, name).target);
  }

  setSpeed(domain: SimulatedDomain, name: string, bandwidth: number): void {
    this.#require(domain, name).runAt(bandwidth);
  }

  /** Ends a job; with pivot the guest goes on on the image that received. */
  end(domain: SimulatedDomain, name: string, pivot: boolean): void {
    const job = this.#require(domain, name);
    const { target } = job.plan;
    if (pivot && !job.active) {
      throw new Fault('invalid-state', `job type '${job.plan.type}' does not support pivot`);
    }
    if (pivot && !job.ready) throw new Fault('job-active', `disk '${target}' not ready for pivot yet`);
    if (pivot) this.#shorten(domain, job);
    this.#finish(domain, job, pivot ? BlockJobStatus.completed : BlockJobStatus.cancelled);
  }

  /** Nothing is left to copy. */
  hurry(domain: SimulatedDomain, name: string): void {
    const job = this.find(domain, name);
    if (!job || job.ready) return;
    job.stop();
    this.#copied(domain, job);
  }

  /** QEMU gives the job up, as after an I/O error. */
  fail(domain: SimulatedDomain, name: string): void {
    this.#finish(domain, this.#require(domain, name), BlockJobStatus.failed);
  }

  #require(domain: SimulatedDomain, name: string): BlockJob {
    const job = this.find(domain, name);
    if (!job) throw new Fault('invalid-argument', `disk ${name} does not have an active block job`);
    return job;
  }

  #copied(domain: SimulatedDomain, job: BlockJob): void {
    if (job.active) {
      job.ready = true;
      this.#tell(domain, job, BlockJobStatus.ready);
    } else {
      this.#shorten(domain, job);
      this.#finish(domain, job, BlockJobStatus.completed);
    }
  }

  #finish(domain: SimulatedDomain, job: BlockJob, status: number): void {
    job.stop();
    domain.blockJobs.delete(job.plan.target);
    this.#tell(domain, job, status);
  }

  #tell(domain: SimulatedDomain, { plan }: BlockJob, status: number): void {
    const path = findDisk(domain.config, plan.target)?.path ?? '';
    this.deps.emit(domain, ...blockJob(path, plan.target, plan.type, status));
  }

  /** Takes the committed images out of the chain. */
  #shorten(domain: SimulatedDomain, { plan }: BlockJob): void {
    const shortened = (config: DomainConfig): DomainConfig => {
      const disk = findDisk(config, plan.target);
      const chain = disk ? chainOf(disk) : [];
      const top = chain.findIndex(({ path }) => path === plan.top);
      const base = chain.findIndex(({ path }) => path === plan.base);
      if (!disk || top < 0) return config;
      // A definition may know the top alone.
      const rest =
        base < 0 ? [{ path: plan.base, type: 'file' as const, format: disk.format }] : chain.slice(base);
      return withDisk(config, withChain(disk, [...chain.slice(0, top), ...rest]));
    };
    const disk = findDisk(domain.definition, plan.target);
    const same = disk?.path === findDisk(domain.config, plan.target)?.path;
    domain.changeLive(shortened(domain.config));
    if (same) domain.definition = shortened(domain.definition);
  }
}

/** Where in the chain the two images are; 0 is the one that the guest writes to. */
function placesOf(disk: DiskConfig, order: CommitOrder): { top: number; base: number } {
  const chain = chainOf(disk);
  const place = (name: string) =>
    chain.findIndex(({ path, index }) => path === name || `${disk.target}[${index}]` === name);
  const top = order.top === undefined ? 0 : place(order.top);
  if (top < 0) {
    throw new Fault('invalid-argument', `could not find image '${order.top}' in chain for '${disk.target}'`);
  }
  if (top === 0 && !order.active) {
    throw new Fault('invalid-argument', `commit of '${disk.target}' active layer requires active flag`);
  }
  if (top > 0 && order.active) {
    throw new Fault('invalid-argument', `active commit requested but '${order.top}' is not active`);
  }
  const lowest = order.shallow ? top + 1 : chain.length - 1;
  const base = order.base === undefined ? lowest : place(order.base);
  if (base <= top || base >= chain.length) {
    const wanted = order.base ?? '';
    throw new Fault(
      'invalid-argument',
      `could not find image '${wanted}' beneath '${chain[top]?.path ?? ''}' in chain for '${disk.target}'`,
    );
  }
  return { top, base };
}
