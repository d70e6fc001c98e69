/**
 * What is wrong, in words: `Agent.getHealth` and /healthz. Pure but for the clock; it asks its sources, never libvirt.
 */
import type { HypervisorStatus } from '../domain/hypervisor.js';
import type { VmSource } from '../domain/vm.js';
import type { VerbResult } from '../protocol/verbs.js';
import type { Clock } from '../util/time.js';
import type { HealthSource } from './call.js';
import type { Finding } from './finding.js';
import { samplingFindings, type SamplingState } from './sampling-health.js';

type Health = VerbResult<'Agent.getHealth'>;
type Problem = Health['problems'][number];

export interface HealthParts {
  readonly hypervisor: () => HypervisorStatus;
  readonly vms: VmSource;
  readonly isReady: () => boolean;
  readonly sampler: SamplingState & {
    /** Of the last cycle that ended: when, monotonic ms, and how long it took. */
    readonly lastCycle: { readonly endedMs: number; readonly tookMs: number } | undefined;
    /** 0 without a VM to sample. */
    oldestSampleAgeMs(): number;
  };
  readonly periodMs: number;
  /** VMs that were accepted and do not run yet. */
  readonly starts: () => Health['starts'];
  readonly sessions: () => number;
  /** The last long standstill of the event loop, while it is recent. */
  readonly stall?: () => { readonly atMs: number; readonly tookMs: number } | undefined;
  /** Why log lines are lost now. */
  readonly logProblem?: () => string | undefined;
  readonly version: string;
  readonly epoch: string;
  readonly clock: Clock;
}

/** A missed cycle is a problem when the last one is older than this many periods. */
const MISSED_PERIODS = 2.5;
/** In line; a storm of starts takes less. */
const LONG_WAIT_SEC = 60;

export class HealthReport implements HealthSource {
  readonly #startedMs: number;
  #stopping = false;
  /** For problems that do not tell: when they were first seen here, by their sentence. */
  readonly #since = new Map<string, number>();

  constructor(private readonly parts: HealthParts) {
    this.#startedMs = parts.clock.nowMs();
  }

  stopping(): void {
    this.#stopping = true;
  }

  /** Whether the host as a whole does its work; one VM in trouble does not count. For /healthz. */
  get serving(): boolean {
    return (
      !this.#stopping && this.parts.isReady() && [...this.#findProblems()].every(({ tolerable }) => tolerable)
    );
  }

  health(): Health {
    const { parts } = this;
    const nowMs = parts.clock.nowMs();
    const problems = this.#problems(nowMs);
    const hypervisor = parts.hypervisor();
    const cycle = parts.sampler.lastCycle;
    return {
      status: this.#stopping
        ? 'stopping'
        : problems.length > 0
          ? 'degraded'
          : parts.isReady()
            ? 'ok'
            : 'starting',
      problems,
      libvirt: {
        state: hypervisor.state,
        sinceSec: seconds(nowMs - hypervisor.sinceMs),
        uri: hypervisor.uri,
        readOnly: hypervisor.readOnly,
        ...(hypervisor.reason !== undefined && { reason: hypervisor.reason }),
      },
      sampler: {
        lastTickAgeSec: cycle ? seconds(nowMs - cycle.endedMs) : null,
        lastTickSec: cycle ? seconds(cycle.tookMs) : null,
        oldestSampleAgeSec: cycle ? seconds(parts.sampler.oldestSampleAgeMs()) : null,
      },
      starts: parts.starts(),
      vms: parts.vms.size,
      sessions: parts.sessions(),
      version: parts.version,
      uptimeSec: seconds(nowMs - this.#startedMs),
      epoch: parts.epoch,
    };
  }

  #problems(nowMs: number): Problem[] {
    const found = [...this.#findProblems()];
    const present = new Set(found.map(({ what }) => what));
    for (const what of this.#since.keys()) if (!present.has(what)) this.#since.delete(what);
    const wallMs = this.parts.clock.wallMs();
    return found.map(({ what, action, sinceMs }) => {
      const seenMs = sinceMs ?? this.#since.get(what) ?? nowMs;
      this.#since.set(what, seenMs);
      return { what, action, since: new Date(wallMs - (nowMs - seenMs)).toISOString() };
    });
  }

  *#findProblems(): Generator<Finding> {
    const { hypervisor, vms, sampler, clock } = this.parts;
    const stall = this.parts.stall?.();
    if (stall) {
      yield {
        what: `the agent itself stood still for ${seconds(stall.tookMs)} s`,
        action: 'see whether the machine has CPU time left; if so, report a fault of the agent with its log',
        sinceMs: stall.atMs,
        tolerable: true,
      };
    }
    const logProblem = this.parts.logProblem?.();
    if (logProblem !== undefined) {
      yield {
        what: `the log cannot be written (${logProblem})`,
        action:
          'make room for it or read it; the agent serves without, and says afterwards how many lines were lost',
        tolerable: true,
      };
    }
    const status = hypervisor();
    if (status.state !== 'open') {
      yield {
        what: `libvirt (${status.uri}) is not connected${status.reason === undefined ? '' : `: ${status.reason}`}`,
        action: 'check that libvirtd or virtqemud runs; the agent keeps trying and needs no restart',
        sinceMs: status.sinceMs,
      };
    } else if (status.readOnly) {
      yield {
        what: 'only the read-only libvirt socket was granted: statistics work, verbs that change VMs are denied',
        action: 'run the agent as root or in the group that may use the read-write socket',
        sinceMs: status.sinceMs,
      };
    }
    const { periodMs } = this.parts;
    const endedMs = sampler.lastCycle?.endedMs ?? this.#startedMs;
    if (clock.nowMs() - endedMs > MISSED_PERIODS * periodMs) {
      yield {
        what: `no sampling cycle has finished within ${MISSED_PERIODS} periods of ${seconds(periodMs)} s`,
        action: 'see the log; statistics are served as they were',
        sinceMs: endedMs,
      };
    }
    const { longestWaitSec } = this.parts.starts();
    if (longestWaitSec > LONG_WAIT_SEC) {
      yield {
        what: `VMs have been waiting for more than ${LONG_WAIT_SEC} s to be started`,
        action:
          'see `starts` and the log for starts that hang; parallelStarts sets how many are started at a time',
        sinceMs: clock.nowMs() - (longestWaitSec - LONG_WAIT_SEC) * 1000,
        tolerable: true,
      };
    }
    yield* samplingFindings(sampler, vms, clock);
  }
}

const seconds = (ms: number): number => Math.round(ms) / 1000;
