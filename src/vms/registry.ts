/**
 * The VMs of this host. The only writer of Vm records: every change goes through the state machine's `move`, replaces
 * the record, tells the listeners, and publishes exactly one VM_status event where there is something to tell.
 *
 * It never asks the hypervisor. Others bring it causes (events, finished operations, states that were read) and facts.
 * Order of a change: record, timer, metrics, listeners, event; whoever gets the event finds the new record.
 */
import type { VmId } from '../domain/ids.js';
import { defaultGuest } from '../domain/guest-info.js';
import type { AgentEvent, Vm, VmSource } from '../domain/vm.js';
import { initialState, move, nextStatusChangeMs, reportedStatus, sameState } from '../domain/vm-status.js';
import type { CauseDetail, VmState } from '../domain/vm-status.js';
import type { CauseName } from '../domain/vm-transitions.js';
import type { Logger } from '../util/log.js';
import type { Metrics } from '../util/metrics.js';
import { engineTime } from '../util/time.js';
import type { Clock } from '../util/time.js';
import { announcement } from './announcement.js';
import type { Payload } from './announcement.js';
import { OperationLocks } from './locks.js';
import { WatchBoard } from './watch.js';
import type { Watch } from './watch.js';

/** Everything of a Vm that is not the state machine's. */
export type VmFacts = Partial<Omit<Vm, keyof VmState | 'id' | 'name' | 'status' | 'external'>>;

export interface VmChange {
  /** Applied in order, announced as one change. */
  readonly causes?: readonly CauseName[];
  readonly detail?: Omit<CauseDetail, 'nowMs'>;
  readonly facts?: VmFacts;
  /** Further members of the event, should there be one. */
  readonly extra?: Payload;
}

export interface NewVm {
  readonly id: VmId;
  readonly name: string;
  readonly external: boolean;
  readonly internal: Parameters<typeof initialState>[0];
}

type ChangeListener = Parameters<VmSource['onChange']>[0];

export class Registry implements VmSource {
  readonly locks = new OperationLocks();
  readonly #vms = new Map<VmId, Vm>();
  readonly #timers = new Map<VmId, () => void>();
  readonly #board = new WatchBoard();
  readonly #changeListeners = new Set<ChangeListener>();
  readonly #doubtListeners = new Set<(id: VmId) => void>();
  #stopped = false;

  constructor(
    private readonly parts: {
      readonly clock: Clock;
      readonly log: Logger;
      readonly metrics: Pick<Metrics, 'vms' | 'vm_transitions_total' | 'internal_faults_total'>;
      readonly publish: (event: AgentEvent) => void;
    },
  ) {}

  get(id: VmId): Vm | undefined {
    return this.#vms.get(id);
  }

  all(): Iterable<Vm> {
    return this.#vms.values();
  }

  get size(): number {
    return this.#vms.size;
  }

  onChange(listener: ChangeListener): () => void {
    this.#changeListeners.add(listener);
    return () => void this.#changeListeners.delete(listener);
  }

  /** Makes a record, in place of a Down one if there is one, and applies the change to it: one announcement. */
  add(seed: NewVm, change: VmChange = {}): Vm {
    const { id, name, external } = seed;
    const fresh: Vm = {
      id,
      name,
      external,
      ...initialState(seed.internal),
      status: seed.internal,
      clientIp: '',
      clientPort: '',
      monitorResponsive: true,
      guest: defaultGuest,
    };
    return this.#commit(this.#vms.get(id), this.#changed(fresh, change), change.extra);
  }

  /** Applies causes and facts; undefined for an unknown VM. An external VM that goes Down is forgotten. */
  change(id: VmId, change: VmChange): Vm | undefined {
    const before = this.#vms.get(id);
    if (!before) return undefined;
    const after = this.#changed(before, change);
    if (after === before) return before;
    return this.#commit(before, after, change.extra);
  }

  /** Shorthand for a change by one cause. */
  move(id: VmId, cause: CauseName, detail?: Omit<CauseDetail, 'nowMs'>): Vm | undefined {
    return this.change(id, { causes: [cause], ...(detail && { detail }) });
  }

  /** Whether the VM's monitor answers; the sampler knows. Announced when it changes. */
  setMonitorResponsive(id: VmId, monitorResponsive: boolean): void {
    const vm = this.#vms.get(id);
    if (vm && vm.internal !== 'Down') this.change(id, { facts: { monitorResponsive } });
  }

  /** Drops the record without an event. */
  forget(id: VmId): void {
    const before = this.#vms.get(id);
    if (!before) return;
    this.touch(id);
    this.#vms.delete(id);
    this.#setTimer(id, undefined);
    this.parts.metrics.vms.dec({ status: before.status });
    this.#tell(id, undefined, before);
  }

  /** Something happened to the VM, known or not: answers that were asked for earlier are out of date. */
  touch(id: VmId): void {
    this.#board.touch(id);
  }

  watch(): Watch {
    return this.#board.watch();
  }

  /** Says that the VM's record may be wrong; the reconciler reads its state again. */
  doubt(id: VmId): void {
    for (const listener of this.#doubtListeners) listener(id);
  }

  onDoubt(listener: (id: VmId) => void): () => void {
    this.#doubtListeners.add(listener);
    return () => void this.#doubtListeners.delete(listener);
  }

  /** Cancels all timers and sets no more; records stay readable. */
  stop(): void {
    this.#stopped = true;
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
  }

  #changed(vm: Vm, { causes = [], detail, facts }: VmChange): Vm {
    const nowMs = this.parts.clock.nowMs();
    let state: VmState = vm;
    for (const cause of causes) state = move(state, cause, { nowMs, ...detail });
    if (sameState(state, vm)) state = vm;
    const status = reportedStatus(state, nowMs);
    if (state === vm && status === vm.status && !differs(vm, facts)) return vm;
    if (state === vm) return { ...vm, ...facts, status };
    return { ...withoutState(vm), ...facts, ...state, status };
  }

  #commit(before: Vm | undefined, after: Vm, extra: Payload | undefined): Vm {
    const { id } = after;
    const { clock, metrics } = this.parts;
    this.touch(id);
    const kept = !(after.external && after.internal === 'Down');
    if (kept) this.#vms.set(id, after);
    else this.#vms.delete(id);
    this.#setTimer(id, kept ? nextStatusChangeMs(after) : undefined);
    if (before) metrics.vms.dec({ status: before.status });
    if (kept) metrics.vms.inc({ status: after.status });
    if (before?.status !== after.status) this.#noteTransition(before, after);
    this.#tell(id, kept ? after : undefined, before);
    const payload = announcement(before, after, clock.wallMs(), extra);
    if (payload) this.#publish(id, payload);
    return after;
  }

  #noteTransition(before: Vm | undefined, { id, name, status, exit }: Vm): void {
    const { log, metrics } = this.parts;
    metrics.vm_transitions_total.inc({ to: status });
    const fields = { vmId: id, name, from: before?.status, to: status, exit };
    // A start of the agent adopts thousands.
    if (before) log.info(fields, 'VM status changed');
    else log.debug(fields, 'VM is known');
  }

  #setTimer(id: VmId, dueMs: number | undefined): void {
    this.#timers.get(id)?.();
    this.#timers.delete(id);
    if (dueMs === undefined || this.#stopped) return;
    const delayMs = Math.max(1, Math.ceil(dueMs - this.parts.clock.nowMs()));
    const cancel = this.parts.clock.after(delayMs, () => {
      this.#timers.delete(id);
      const vm = this.move(id, 'time-passed');
      // A timer may fire a moment early: nothing has changed then.
      if (vm && !this.#timers.has(id)) this.#setTimer(id, nextStatusChangeMs(vm));
    });
    this.#timers.set(id, cancel);
  }

  #publish(id: VmId, payload: Payload): void {
    const notifyTime = engineTime(this.parts.clock.nowMs());
    try {
      this.parts.publish({ topic: `|virt|VM_status|${id}`, vmId: id, params: { [id]: payload }, notifyTime });
    } catch (error) {
      this.parts.metrics.internal_faults_total.inc({ part: 'events' });
      this.parts.log.error({ vmId: id, err: error }, 'An event could not be published');
    }
  }

  #tell(id: VmId, after: Vm | undefined, before: Vm | undefined): void {
    for (const listener of this.#changeListeners) {
      try {
        listener(id, after, before);
      } catch (error) {
        this.parts.metrics.internal_faults_total.inc({ part: 'vm-listener' });
        this.parts.log.error({ vmId: id, err: error }, 'A listener of VM changes failed');
      }
    }
  }
}

function differs(vm: Vm, facts: VmFacts = {}): boolean {
  return (Object.keys(facts) as (keyof VmFacts)[]).some((key) => vm[key] !== facts[key]);
}

/** The optional members of the state would outlive their removal if the new state were only laid over the old one. */
function withoutState(vm: Vm): Omit<Vm, keyof VmState> {
  const {
    internal: _i,
    cpuRunning: _c,
    guestEvent: _g,
    pauseCode: _p,
    exit: _e,
    pendingExit: _x,
    ...rest
  } = vm;
  return rest;
}
