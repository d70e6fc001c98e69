/** What the sampler works on, and how its parts are put together. */
import type { Hypervisor } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import type { VmSource } from '../domain/vm.js';
import type { Logger } from '../util/log.js';
import type { Metrics } from '../util/metrics.js';
import type { Clock } from '../util/time.js';
import { BackedPoll } from './backed-poll.js';
import { CycleRunner } from './cycle-runner.js';
import { FreePoll } from './free-poll.js';
import { Gate } from './gate.js';
import { Intake } from './intake.js';
import { LifeSigns } from './life-signs.js';
import { Pace } from './pace.js';
import type { ProcessLook } from './quarantine.js';
import { StuckBudget } from './stuck-budget.js';
import { TrackedVms } from './tracked-vms.js';
import { Turns } from './turns.js';
import { Ward } from './ward.js';

export interface SamplerOptions {
  readonly hypervisor: Pick<
    Hypervisor,
    'status' | 'stats' | 'controlInfo' | 'cpuTime' | 'stuckCalls' | 'addListener'
  >;
  readonly vms: VmSource;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly periodMs?: number;
  /** VMs per monitor-backed call; default grows with the number of VMs. */
  readonly shardSize?: number;
  /** Monitor-backed calls at a time. */
  readonly parallelism?: number;
  /** A VM whose monitor gave no sample for so long is reported as not responding. */
  readonly commandTimeoutMs?: number;
  /** The QEMU processes, where they are on this machine. */
  readonly processes?: ProcessLook;
  /** Called only when it differs from the VM's `monitorResponsive`. */
  readonly onMonitorHealth: (id: VmId, responsive: boolean) => void;
}

export interface SamplerPieces {
  readonly tracked: TrackedVms;
  readonly turns: Turns;
  readonly ward: Ward;
  readonly free: FreePoll;
  readonly backed: BackedPoll;
  readonly life: LifeSigns;
  readonly runner: CycleRunner;
}

export interface SamplerHooks {
  readonly periodMs: number;
  readonly signal: AbortSignal;
  readonly started: (id: VmId) => void;
  readonly failed: (error: unknown) => void;
}

const DEFAULT_PARALLELISM = 4;
const DEFAULT_COMMAND_TIMEOUT_MS = 60_000;
/** A call for a few VMs takes some 50 ms, and several times that while the host is busy. */
const LEAST_SHARD_DEADLINE_MS = 500;
/** From so long a monitor-free call on, libvirt as a whole is slow; it takes some ms as a rule. */
const LEAST_SLOW_FREE_MS = 1000;

/** A hypervisor whose processes are not to be seen from here. */
const noProcesses: ProcessLook = {
  look: () => 'unknown',
  pid: () => undefined,
  forget: () => undefined,
};

export function assembleSampler(options: SamplerOptions, hooks: SamplerHooks): SamplerPieces {
  const { clock, hypervisor, log, metrics, vms, onMonitorHealth, shardSize } = options;
  const { periodMs, signal, started, failed } = hooks;
  const processes = options.processes ?? noProcesses;
  const parallelism = options.parallelism ?? DEFAULT_PARALLELISM;
  const commandTimeoutMs = options.commandTimeoutMs ?? DEFAULT_COMMAND_TIMEOUT_MS;
  const shardDeadlineMs = Math.max(periodMs / 8, Math.min(LEAST_SHARD_DEADLINE_MS, periodMs / 4));
  const turns = new Turns();
  const ended = (id: VmId): void => processes.forget(id);
  const tracked = new TrackedVms({ vms, clock, metrics, turns, started, ended });
  const intake: Intake = new Intake({
    ...{ tracked, turns, clock, metrics, commandTimeoutMs, onMonitorHealth },
    recovered: (vm) => ward.release(vm),
  });
  const ward = new Ward({
    ...{ clock, log, metrics, periodMs, processes },
    report: (vm, responsive) => intake.report(vm, responsive),
  });
  const budget = new StuckBudget(hypervisor, clock);
  const life = new LifeSigns(hypervisor, clock);
  const gate = new Gate({ hypervisor, processes, ward, budget, life, clock, metrics, shardDeadlineMs });
  const backed = new BackedPoll({
    ...{ hypervisor, clock, metrics, gate, budget, parallelism, shardDeadlineMs },
    patienceMs: commandTimeoutMs / 2,
  });
  const free = new FreePoll(hypervisor, clock);
  const runner = new CycleRunner({
    ...{
      hypervisor,
      tracked,
      turns,
      intake,
      free,
      backed,
      life,
      clock,
      metrics,
      shardSize,
      parallelism,
      signal,
      failed,
    },
    pace: new Pace(Math.max(LEAST_SLOW_FREE_MS, periodMs / 4)),
  });
  return { tracked, turns, ward, free, backed, life, runner };
}
