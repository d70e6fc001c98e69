/**
 * Jobs of this host that verbs begin and that outlive their answer (VDSM: jobs.py). The end of a job is told by an event
 * `|jobs|status|<jobId>`; ended jobs stay listed for an hour, as VDSM's do.
 */
import { randomUUID } from 'node:crypto';
import { VerbError } from '../domain/errors.js';
import type { AgentEvent } from '../domain/vm.js';
import type { Logger } from '../util/log.js';
import { engineTime } from '../util/time.js';
import type { Clock } from '../util/time.js';
import { textOf } from '../util/text.js';

/** VDSM's form on the wire. */
export interface Job {
  readonly id: string;
  readonly status: 'pending' | 'running' | 'done' | 'aborted' | 'failed';
  readonly description: string;
  readonly job_type: string;
  /** Per cent. */
  readonly progress?: number;
  readonly error?: { readonly code: number; readonly message: string };
}

export interface JobSeed {
  /** Absent: made up. */
  readonly id?: string | undefined;
  readonly type: string;
  readonly description: string;
}

export interface JobsParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly publish: (event: AgentEvent) => void;
}

/** VDSM: jobs.autodelete_delay. */
const KEPT_MS = 3_600_000;

export class Jobs {
  readonly #jobs = new Map<string, Job>();
  readonly #timers = new Map<string, () => void>();

  constructor(private readonly parts: JobsParts) {}

  /** @param ids empty: all */
  list(type?: string, ids: readonly string[] = []): Record<string, Job> {
    const wanted = [...this.#jobs.values()].filter(
      (job) => (type === undefined || job.job_type === type) && (ids.length === 0 || ids.includes(job.id)),
    );
    return Object.fromEntries(wanted.map((job) => [job.id, job]));
  }

  /**
   * Runs the task as a job; its end becomes the job's.
   * @param task may report per cent
   * @returns the job's id at once
   * @throws VerbError invalidParameter where a job of that id is known
   */
  start(seed: JobSeed, task: (report: (progress: number) => void) => Promise<void>): string {
    const id = seed.id ?? randomUUID();
    if (this.#jobs.has(id)) throw new VerbError('invalidParameter', `there is a job ${id} already`);
    this.#jobs.set(id, { id, status: 'running', description: seed.description, job_type: seed.type });
    void this.#run(id, task);
    return id;
  }

  /** Drops what is listed; no event follows. */
  stop(): void {
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
    this.#jobs.clear();
  }

  async #run(id: string, task: (report: (progress: number) => void) => Promise<void>): Promise<void> {
    try {
      await task((progress) => this.#change(id, { progress }));
      this.#end(id, { status: 'done' });
    } catch (error) {
      const code = error instanceof VerbError ? error.code : 100;
      this.#end(id, { status: 'failed', error: { code, message: textOf(error) } });
    }
  }

  #change(id: string, change: Partial<Job>): Job | undefined {
    const job = this.#jobs.get(id);
    if (!job) return undefined;
    const changed = { ...job, ...change };
    this.#jobs.set(id, changed);
    return changed;
  }

  #end(id: string, change: Partial<Job>): void {
    const job = this.#change(id, change);
    if (!job) return;
    const { clock, log, publish } = this.parts;
    log.info({ job }, 'a job has ended');
    this.#timers.set(
      id,
      clock.after(KEPT_MS, () => {
        this.#jobs.delete(id);
        this.#timers.delete(id);
      }),
    );
    const topic = `|jobs|status|${id}`;
    publish({ topic, params: { ...job }, notifyTime: engineTime(clock.nowMs()) });
  }
}
