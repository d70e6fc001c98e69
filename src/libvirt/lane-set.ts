/** The lanes of an adapter but that of events; what each is for says lanes.ts. */
import type { ConnectionDeps } from './connection.js';
import { Lane } from './lanes.js';
import type { LibvirtTarget } from './uri.js';

/** Statistics may have twice as many; see lanes.ts. */
const MAX_HANGING = 4;

export class LaneSet {
  readonly priority: Lane;
  readonly destroy: Lane;
  readonly free: Lane;
  readonly backed: Lane;
  readonly verbs: Lane;
  readonly starts: Lane;
  readonly agent: Lane;
  readonly jobs: Lane;

  constructor(target: LibvirtTarget, deps: ConnectionDeps) {
    this.priority = new Lane({ name: 'priority', target }, deps);
    this.destroy = new Lane({ name: 'destroy', target }, deps);
    this.free = new Lane({ name: 'free', target }, deps);
    this.backed = new Lane({ name: 'backed', target, wide: true }, deps);
    this.verbs = new Lane({ name: 'verbs', target, maxHanging: MAX_HANGING }, deps);
    this.starts = new Lane({ name: 'starts', target, maxHanging: MAX_HANGING, wide: true }, deps);
    this.agent = new Lane({ name: 'agent', target, maxHanging: MAX_HANGING }, deps);
    this.jobs = new Lane({ name: 'jobs', target, maxHanging: MAX_HANGING }, deps);
  }

  get all(): readonly Lane[] {
    const { priority, destroy, free, backed, verbs, starts, agent, jobs } = this;
    return [priority, destroy, free, backed, verbs, starts, agent, jobs];
  }

  /** Calls that their callers gave up and that are still unanswered. */
  get hangingCalls(): number {
    return this.all.reduce((sum, { hangingCalls }) => sum + hangingCalls, 0);
  }
}
