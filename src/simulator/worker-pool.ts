/**
 * The daemon's threads: jobs wait for a free worker, and a job that does not end keeps its worker.
 *
 * Priority workers take priority jobs only; ordinary ones take what came first of both kinds. A job that
 * ends at once costs no turn of the event loop.
 */
export interface Job {
  readonly priority: boolean;
  /** Never rejects. */
  run(): Promise<void> | undefined;
}

export class WorkerPool {
  readonly #queue: Job[] = [];
  #freeOrdinary: number;
  #freePriority: number;
  #closed = false;

  constructor(sizes: { readonly ordinary: number; readonly priority: number }) {
    this.#freeOrdinary = sizes.ordinary;
    this.#freePriority = sizes.priority;
  }

  /** Jobs that wait for a worker. */
  get waiting(): number {
    return this.#queue.length;
  }

  submit(job: Job): void {
    this.#queue.push(job);
    this.#work();
  }

  /** The daemon was killed: nothing that waits will run. */
  close(): void {
    this.#closed = true;
    this.#queue.length = 0;
  }

  #work(): void {
    while (!this.#closed && this.#freeOrdinary > 0) {
      const job = this.#queue.shift();
      if (!job) return;
      this.#freeOrdinary--;
      this.#run(job, () => this.#freeOrdinary++);
    }
    while (!this.#closed && this.#freePriority > 0) {
      const index = this.#queue.findIndex((job) => job.priority);
      if (index < 0) return;
      const [job] = this.#queue.splice(index, 1);
      this.#freePriority--;
      this.#run(job!, () => this.#freePriority++);
    }
  }

  #run(job: Job, free: () => void): void {
    const end = job.run();
    if (!end) {
      free();
      return;
    }
    void end.then(() => {
      free();
      this.#work();
    });
  }
}
