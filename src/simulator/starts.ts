/**
 * The making of QEMU processes, which takes time on a real host and happens a few at a time.
 *
 * From the moment it waits for its place a start holds the domain's job: whoever wants to change the domain waits for
 * its outcome. Destroying the domain meanwhile fails the start.
 */
import type { Clock } from '../util/time.js';
import { Reason, State } from './domain.js';
import type { SimulatedDomain } from './domain.js';
import type { DomainConfig } from './domain-config.js';
import { DomainJob, JobOperation } from './domain-job.js';
import { Fault } from './fault.js';
import { requireImage } from './image-file.js';
import type { DomainLifecycle } from './lifecycle.js';

export interface StartOptions {
  /** How long one takes, ms; 0: no time at all. */
  readonly startMs: number;
  /** So many at once; others wait in their order. */
  readonly parallelStarts: number;
}

interface StartsDeps {
  readonly clock: Clock;
  readonly lifecycle: DomainLifecycle;
  readonly forget: (domain: SimulatedDomain) => void;
}

export class Starts {
  readonly #failing = new Set<SimulatedDomain>();
  readonly #queue: (() => void)[] = [];
  #free: number;

  constructor(
    private readonly options: StartOptions,
    private readonly deps: StartsDeps,
  ) {
    this.#free = options.parallelStarts;
  }

  /** The next start of the domain fails as that of a QEMU which does not like its arguments. */
  failNext(domain: SimulatedDomain): void {
    this.#failing.add(domain);
  }

  /** @param config absent: the definition. Undefined where it takes no time. */
  start(domain: SimulatedDomain, paused: boolean, config?: DomainConfig): Promise<void> | undefined {
    if (domain.active) throw new Fault('invalid-state', 'domain is already running');
    if (this.options.startMs > 0) return this.#slowly(domain, paused, config);
    this.#launch(domain, config);
    this.deps.lifecycle.boot(domain, paused);
    return undefined;
  }

  /** Nothing that waits will start; what is starting gives its place back itself. */
  close(): void {
    this.#queue.length = 0;
  }

  async #slowly(domain: SimulatedDomain, paused: boolean, config?: DomainConfig): Promise<void> {
    domain.monitor.beginJob();
    try {
      if (this.#free > 0) this.#free--;
      else await new Promise<void>((resolve) => this.#queue.push(resolve));
      try {
        await this.#inPlace(domain, paused, config);
      } finally {
        const next = this.#queue.shift();
        if (next) next();
        else this.#free++;
      }
    } finally {
      domain.monitor.endJob();
    }
  }

  async #inPlace(domain: SimulatedDomain, paused: boolean, config?: DomainConfig): Promise<void> {
    this.#launch(domain, config);
    const { id } = domain;
    const work = { durationMs: this.options.startMs, bytes: 0 };
    const job = new DomainJob(JobOperation.start, this.deps.clock, work);
    domain.job = job;
    const end = await job.ended;
    if (domain.id !== id) throw new Fault('internal', 'qemu unexpectedly closed the monitor');
    domain.job = undefined;
    if (end === 'done') this.deps.lifecycle.boot(domain, paused);
    else this.deps.lifecycle.failStart(domain);
  }

  #launch(domain: SimulatedDomain, config = domain.definition): void {
    try {
      for (const { path } of config.disks) requireImage(path);
    } catch (error) {
      domain.moveTo(State.shutoff, Reason.shutoff.failed);
      if (!domain.persistent) this.deps.forget(domain);
      throw error;
    }
    this.deps.lifecycle.launch(domain, config);
    if (!this.#failing.delete(domain)) return;
    this.deps.lifecycle.failStart(domain);
    throw new Fault('internal', 'qemu unexpectedly closed the monitor: qemu-system-x86_64: out of luck');
  }
}
