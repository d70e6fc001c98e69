/**
 * Memory to files and back: virDomainSave, virDomainRestore, and the memory part of a snapshot.
 *
 * The guest stands still from the first moment of a save. One that fails or is cancelled leaves no file, and the guest
 * runs on. Orders of events as recorded from libvirt 9.0.
 */
import type { Clock } from '../util/time.js';
import { Reason, State } from './domain.js';
import type { SimulatedDomain } from './domain.js';
import { parseDomain } from './domain-parse.js';
import { DomainJob, JobOperation } from './domain-job.js';
import { Lifecycle } from './events.js';
import type { EventBody } from './events.js';
import { Fault } from './fault.js';
import { createSaved, removeSaved, writeSaved } from './image-file.js';
import type { DomainLifecycle } from './lifecycle.js';

interface SavedMemoryDeps {
  readonly clock: Clock;
  readonly lifecycle: DomainLifecycle;
  readonly emit: (domain: SimulatedDomain, ...events: readonly EventBody[]) => void;
  /** The document of a running domain that is to be saved, passwords included. */
  readonly printSaved: (domain: SimulatedDomain) => string;
  /** How long the writing takes, ms. */
  readonly saveMs: number;
}

const jobNames: Readonly<Record<number, string>> = {
  [JobOperation.save]: 'domain save',
  [JobOperation.snapshot]: 'snapshot',
};

export interface SaveOrder {
  readonly path: string;
  /** In place of the domain's own document. */
  readonly xml?: string | undefined;
  /** virDomainSave's flags: restore as running or paused whatever it is now. */
  readonly running?: boolean | undefined;
}

export class SavedMemory {
  constructor(private readonly deps: SavedMemoryDeps) {}

  /** Writes the domain to a file and ends it. */
  async save(domain: SimulatedDomain, order: SaveOrder): Promise<void> {
    const wasRunning = domain.running;
    const { lifecycle } = this.deps;
    lifecycle.pause(domain, Reason.paused.save, Lifecycle.suspended);
    const goOn = () => {
      if (wasRunning) lifecycle.resume(domain, Reason.running.saveCancelled);
    };
    await this.#write(domain, order, JobOperation.save, { wasRunning, goOn });
    lifecycle.stop(domain, Reason.shutoff.saved, Lifecycle.saved);
  }

  /** Writes the domain's memory beside a snapshot of its disks, which `takeDisks` makes while the guest stands still. */
  async snapshot(domain: SimulatedDomain, path: string, takeDisks: () => void): Promise<void> {
    const wasRunning = domain.running;
    const { lifecycle } = this.deps;
    lifecycle.pause(domain, Reason.paused.snapshot, Lifecycle.suspended);
    const goOn = () => {
      if (wasRunning) lifecycle.resume(domain);
    };
    await this.#write(domain, { path }, JobOperation.snapshot, { wasRunning, goOn });
    try {
      takeDisks();
    } catch (error) {
      removeSaved(path);
      throw error;
    } finally {
      goOn();
    }
  }

  /** Cancels what the domain is in. */
  abort(domain: SimulatedDomain): void {
    if (!domain.job) throw new Fault('invalid-state', 'no job is active on the domain');
    domain.job.cancel();
  }

  async #write(
    domain: SimulatedDomain,
    { path, xml, running }: SaveOrder,
    operation: number,
    guest: { readonly wasRunning: boolean; readonly goOn: () => void },
  ): Promise<void> {
    const { clock, emit, printSaved, saveMs } = this.deps;
    const document = xml ?? printSaved(domain);
    const { id } = domain;
    try {
      createSaved(path);
    } catch (error) {
      guest.goOn();
      throw error;
    }
    const bytes = domain.config.memoryKiB * 1024;
    const job = new DomainJob(operation, clock, { durationMs: saveMs, bytes });
    domain.job = job;
    domain.monitor.beginJob();
    emit(domain, { kind: 'migrationIteration', iteration: 1 });
    const end = await job.ended;
    if (domain.id !== id || domain.state === State.shutoff) {
      removeSaved(path);
      throw new Fault('operation-failed', 'domain is no longer running');
    }
    domain.job = undefined;
    try {
      if (end !== 'done') {
        removeSaved(path);
        guest.goOn();
        throw new Fault('aborted', `job '${jobNames[operation] ?? 'unknown'}' canceled by client`);
      }
      writeSaved(path, { xml: document, running: running ?? guest.wasRunning });
      emit(domain, { kind: 'jobCompleted', params: job.stats() });
    } finally {
      domain.monitor.endJob();
    }
  }
}

/** Other XML than the saved one may change much, but not who it is. @throws Fault 'config-unsupported' */
export function requireSameDomain(xml: string, savedXml: string): void {
  const [wanted, found] = [xml, savedXml].map((each) => parseDomain(each, () => ''));
  for (const what of ['name', 'uuid'] as const) {
    if (wanted?.[what] === found?.[what]) continue;
    const names = `'${wanted?.[what]}' does not match source '${found?.[what]}'`;
    throw new Fault('config-unsupported', `Target domain ${what} ${names}`);
  }
}
