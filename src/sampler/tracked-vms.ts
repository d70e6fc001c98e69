/**
 * The VMs as the sampler sees them: follows the registry, keeps each VM's samples and renders its record.
 *
 * Makes no calls. A status change renders that VM's record only; everything else waits for the next cycle.
 */
import type { VmId } from '../domain/ids.js';
import type { Vm, VmSource } from '../domain/vm.js';
import type { Quarantine } from './quarantine.js';
import type { Metrics } from '../util/metrics.js';
import type { Clock } from '../util/time.js';
import type { ResetTally } from './rates.js';
import type { Span } from './record-bytes.js';
import { recordTextOf, type RecordText } from './record-text.js';
import { VmSamples } from './sample-window.js';
import { Snapshot } from './snapshot.js';
import type { Turns } from './turns.js';
import { RecordEncoder } from './vm-stats.js';

export interface TrackedVm {
  readonly id: VmId;
  vm: Vm;
  text: RecordText | undefined;
  readonly samples: VmSamples;
  /** Monotonic ms since when the domain runs as far as known here; older samples are another run's. */
  sinceMs: number;
  /** Monotonic stamp of the last complete monitor-backed sample, or sinceMs. */
  lastGoodMs: number;
  /** Monitor-backed calls that name it and that are unanswered. */
  inFlight: number;
  /** Its QEMU does not answer, and is left alone; see quarantine.ts. */
  quarantine: Quarantine | undefined;
  /** How long its monitor-backed answer took lately, ms; 0 while that is not known. */
  serviceMs: number;
  /** Number of the cycle in which it was last answered for without what its monitor tells, good samples aside. */
  partialCycle: number;
  /** The vcpu group was asked for at least once. */
  vcpuAsked: boolean;
  /** Number of the cycle that rendered its record last. */
  cycle: number;
}

/** Records per turn when many VMs changed at once. */
const RECORDS_PER_SLICE = 100;

export class TrackedVms {
  readonly snapshot = new Snapshot((id) => this.#rendered(id));
  readonly #vms = new Map<VmId, TrackedVm>();
  readonly #tally: ResetTally = { resets: 0 };
  readonly #encoder = new RecordEncoder(this.#tally);
  #rendering = false;
  #unsubscribe: (() => void) | undefined;

  constructor(
    private readonly parts: {
      readonly vms: VmSource;
      readonly clock: Clock;
      readonly metrics: Metrics;
      readonly turns: Turns;
      /** Called for each VM that began to run. */
      readonly started: (id: VmId) => void;
      /** Called for each VM that is gone, or runs anew. */
      readonly ended: (id: VmId) => void;
    },
  ) {}

  start(): void {
    this.#unsubscribe = this.parts.vms.onChange((id, vm) => this.#changed(id, vm));
    for (const vm of this.parts.vms.all()) this.#changed(vm.id, vm);
  }

  stop(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
  }

  get(id: VmId): TrackedVm | undefined {
    return this.#vms.get(id);
  }

  all(): TrackedVm[] {
    return [...this.#vms.values()];
  }

  /** VMs whose domain runs, paused ones included. */
  active(): TrackedVm[] {
    return this.all().filter(({ vm }) => isActive(vm));
  }

  /** Renders the record from the samples as they are now. */
  render(tracked: TrackedVm): void {
    this.snapshot.set(tracked.id, this.#encode(tracked));
  }

  /** Adds what rendering found since the last call to the metrics. */
  flushTally(): void {
    if (this.#tally.resets > 0) this.parts.metrics.sampler_counter_resets_total.inc(this.#tally.resets);
    this.#tally.resets = 0;
  }

  #changed(id: VmId, vm: Vm | undefined): void {
    const tracked = this.#vms.get(id);
    if (!vm) {
      this.#vms.delete(id);
      this.snapshot.delete(id);
      this.parts.ended(id);
      return;
    }
    const begins = isActive(vm) && !(tracked && isActive(tracked.vm));
    if (!tracked) this.#vms.set(id, newlyTracked(vm, this.parts.clock.nowMs()));
    else {
      tracked.vm = vm;
      if (begins) this.#restarted(tracked);
    }
    this.snapshot.markStale(id);
    this.#renderSoon();
    if (begins) this.parts.started(id);
  }

  #restarted(tracked: TrackedVm): void {
    tracked.samples.clear();
    tracked.sinceMs = this.parts.clock.nowMs();
    tracked.lastGoodMs = tracked.sinceMs;
    tracked.quarantine = undefined;
    tracked.serviceMs = 0;
    this.parts.ended(tracked.id);
    tracked.vcpuAsked = false;
  }

  #renderSoon(): void {
    if (this.#rendering) return;
    this.#rendering = true;
    void this.parts.turns.run(1, 1, () => {
      this.#rendering = false;
      if (this.snapshot.renderStale(RECORDS_PER_SLICE)) this.#renderSoon();
    });
  }

  #rendered(id: VmId): Span | undefined {
    const tracked = this.#vms.get(id);
    return tracked && this.#encode(tracked);
  }

  #encode(tracked: TrackedVm): Span {
    if (tracked.text?.vm !== tracked.vm) tracked.text = recordTextOf(tracked.vm);
    const { clock } = this.parts;
    const time = { nowMs: clock.nowMs(), wallMs: clock.wallMs() };
    return this.#encoder.encode(tracked.text, tracked.samples, time);
  }
}

function newlyTracked(vm: Vm, nowMs: number): TrackedVm {
  return {
    id: vm.id,
    vm,
    text: undefined,
    samples: new VmSamples(),
    sinceMs: nowMs,
    lastGoodMs: nowMs,
    inFlight: 0,
    quarantine: undefined,
    serviceMs: 0,
    partialCycle: 0,
    vcpuAsked: false,
    cycle: 0,
  };
}

/** Whether the VM has a running or paused domain that can be sampled. */
export function isActive(vm: Vm): boolean {
  return vm.internal !== 'Down' && vm.internal !== 'WaitForLaunch';
}
