/**
 * Jobs of this host that verbs begin and that outlive their answer (VDSM: jobs.py). The end of a job is told by an event
 * `|jobs|status|<jobId>`; ended jobs stay listed for an hour, as VDSM's do, or until there are too many of them.
 *
 * When the agent stops, the jobs under way are told by their signal: they leave the VM as it should be for as long as
 * nobody looks after it. No end is announced then: whether they end, and how, is for the next agent to find out.
 */
import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { VerbError } from '../domain/errors.js';
import type { AgentEvent } from '../domain/vm.js';
import type { Service } from '../util/lifecycle.js';
import type { Logger } from '../util/log.js';
import { textOf } from '../util/text.js';
import { engineTime } from '../util/time.js';
import type { Clock } from '../util/time.js';

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

export interface JobContext {
  /** @param progress per cent */
  readonly report: (progress: number) => void;
  /** Aborted when the agent stops. */
  readonly signal: AbortSignal;
}

export interface JobsParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly publish: (event: AgentEvent) => void;
}

/** VDSM: jobs.autodelete_delay. */
const KEPT_MS = 3_600_000;
const MAX_RUNNING = 200;
const MAX_ENDED = 1000;
/** Of the agent's stop; what is not done by then is left to the next agent. */
const STOP_MS = 1500;

export class Jobs implements Service {
  readonly #jobs = new Map<string, Job>();
  /** Ended jobs, oldest first, with the cancellers of their removal. */
  readonly #ended = new Map<string, () => void>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #stopped = new AbortController();

  constructor(private readonly parts: JobsParts) {
    // Every job listens; Node warns of more than ten.
    setMaxListeners(0, this.#stopped.signal);
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  /** Tells the jobs, waits a little for them, and drops what is listed; no event follows. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    let cancel: () => void = () => undefined;
    const late = new Promise<void>((resolve) => (cancel = this.parts.clock.after(STOP_MS, resolve)));
    await Promise.race([Promise.all(this.#running.values()), late]);
    cancel();
    if (this.#running.size > 0)
      this.parts.log.warn({ jobs: [...this.#running.keys()] }, 'Jobs did not end with the agent');
    for (const cancelRemoval of this.#ended.values()) cancelRemoval();
    this.#ended.clear();
    this.#jobs.clear();
  }

  /** @param ids empty: all; unknown ones are left out */
  list(type?: string, ids: readonly string[] = []): Record<string, Job> {
    const wanted = [...this.#jobs.values()].filter(
      (job) => (type === undefined || job.job_type === type) && (ids.length === 0 || ids.includes(job.id)),
    );
    return Object.fromEntries(wanted.map((job) => [job.id, job]));
  }

  /**
   * Runs the task as a job; its end becomes the job's.
   * @param task throws a VerbError for an end with that code
   * @returns the job's id at once
   * @throws VerbError jobExists where a job of that id is known; resourceUnavailable
   */
  run(seed: JobSeed, task: (context: JobContext) => Promise<void>): string {
    const id = seed.id ?? randomUUID();
    if (this.#jobs.has(id)) throw new VerbError('jobExists', `${id}: ask Host.getJobs for its state`);
    if (this.#running.size >= MAX_RUNNING) {
      throw new VerbError('resourceUnavailable', `${MAX_RUNNING} jobs run already; try again later`);
    }
    this.#jobs.set(id, { id, status: 'running', description: seed.description, job_type: seed.type });
    const running = this.#run(id, task).finally(() => this.#running.delete(id));
    this.#running.set(id, running);
    return id;
  }

  async #run(id: string, task: (context: JobContext) => Promise<void>): Promise<void> {
    const { signal } = this.#stopped;
    try {
      await task({ report: (progress) => void this.#change(id, { progress }), signal });
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
    if (!job || this.#stopped.signal.aborted) return;
    const { clock, log, publish } = this.parts;
    log.info({ job }, 'a job has ended');
    this.#ended.set(
      id,
      clock.after(KEPT_MS, () => this.#forget(id)),
    );
    const [oldest] = this.#ended.keys();
    if (this.#ended.size > MAX_ENDED && oldest !== undefined) this.#forget(oldest);
    const topic = `|jobs|status|${id}`;
    try {
      publish({ topic, params: { ...job }, notifyTime: engineTime(clock.nowMs()) });
    } catch (error) {
      log.error({ job: id, err: error }, "A job's end could not be published");
    }
  }

  #forget(id: string): void {
    this.#ended.get(id)?.();
    this.#ended.delete(id);
    this.#jobs.delete(id);
  }
}
