/** A hypervisor for the sampler's tests: counters that run with the clock, guests that get stuck, calls that hang. */
import {
  HypervisorError,
  type CallOptions,
  type ControlInfo,
  type CpuTime,
  type HypervisorListener,
  type HypervisorStatus,
  type StatsRequest,
} from '../../../src/domain/hypervisor.js';
import type { VmId } from '../../../src/domain/ids.js';
import { StatsGroup, type StatsBatch } from '../../../src/domain/stats.js';
import type { SamplerOptions } from '../../../src/sampler/sampler.js';
import type { ManualClock } from '../../support/manual-clock.js';
import { batchOf, type Fields } from './fixtures.js';

type Port = SamplerOptions['hypervisor'];

export class ScriptedHypervisor implements Port {
  status: HypervisorStatus = { state: 'open', sinceMs: 0, uri: 'test:///', readOnly: false };
  readonly requests: (StatsRequest & { readonly atMs: number })[] = [];
  controlInfoCalls = 0;
  /** Domains that exist; the answer to a call without ids. */
  readonly running = new Set<VmId>();
  /** A backed call that names one of them hangs, as the first call that touches a stuck monitor does. */
  readonly stuck = new Set<VmId>();
  /** Domains whose monitor is busy with another call: their backed fields are left out. */
  readonly busy = new Set<VmId>();
  /** Calls of these lanes hang. */
  readonly hungLanes = new Set<StatsRequest['lane']>();
  /** Ms that an answer takes; 0 is the next turn. */
  latencyMs = 0;
  /** Ms that each of these adds to a backed answer: its QEMU is slow, but answers. */
  readonly slow = new Map<VmId, number>();
  /** Backed calls that their callers gave up and that hang on, and thaw() ends. */
  stuckCalls = 0;
  /** The most of them there ever were. */
  peakStuckCalls = 0;
  cpuTimeCalls = 0;
  /** Domains that use no CPU, as a stopped process uses none; the stuck ones do not either. */
  readonly idle = new Set<VmId>();
  /** True: stuck domains use CPU all the same, their monitor alone is stuck. */
  stuckUseCpu = false;
  /** What a part of the hypervisor throws in the next calls: a programming error. */
  bug: Error | undefined;
  failure: HypervisorError | undefined;
  /** Per cent of a core that every domain uses. */
  cpuPercent = 50;
  pending = 0;
  readonly #touchedAtMs = new Map<VmId, number>();
  readonly #still = new Map<VmId, { readonly sinceMs: number }>();
  readonly #lostMs = new Map<VmId, number>();
  readonly #listeners = new Set<HypervisorListener>();

  constructor(
    private readonly clock: ManualClock,
    ...ids: VmId[]
  ) {
    for (const id of ids) this.running.add(id);
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }

  addListener(listener: HypervisorListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  setState(state: HypervisorStatus['state']): void {
    this.status = { ...this.status, state, sinceMs: this.clock.nowMs() };
    for (const listener of this.#listeners) {
      if (state === 'open') listener.connected?.({ gap: true });
      else listener.disconnected?.('gone');
    }
  }

  /** Requests of a lane, as lists of ids; undefined stands for all domains. */
  idsAsked(lane: StatsRequest['lane']): (readonly VmId[] | undefined)[] {
    return this.requests.filter((request) => request.lane === lane).map((request) => request.ids);
  }

  async stats(request: StatsRequest, options: CallOptions = {}): Promise<StatsBatch> {
    this.requests.push({ ...request, atMs: this.clock.nowMs() });
    this.pending++;
    try {
      const ids = request.ids ?? [...this.running];
      const culprits = request.lane === 'backed' ? ids.filter((id) => this.stuck.has(id)) : [];
      if (culprits.length > 0 || this.hungLanes.has(request.lane)) {
        // The daemon meets one after the other and gets no further than the first whose monitor is free.
        const free = culprits.find((id) => !this.#touchedAtMs.has(id));
        if (free !== undefined || this.hungLanes.has(request.lane)) {
          if (free !== undefined) this.#touchedAtMs.set(free, this.clock.nowMs());
          return await this.#hang(options, request.lane === 'backed');
        }
      }
      if (this.bug) throw this.bug;
      const slowMs = request.lane === 'backed' ? ids.reduce((ms, id) => ms + (this.slow.get(id) ?? 0), 0) : 0;
      if (slowMs > 0) await this.#answerSlowly(slowMs, options);
      else if (this.latencyMs > 0) await this.#wait(this.latencyMs, options);
      else await new Promise<void>((resolve) => setImmediate(resolve));
      if (this.failure) throw this.failure;
      const found = ids.filter((id) => this.running.has(id));
      return batchOf(...found.map((id) => [id, this.#fields(id, request.groups)] as const));
    } finally {
      this.pending--;
    }
  }

  async cpuTime(id: VmId): Promise<CpuTime> {
    this.cpuTimeCalls++;
    await Promise.resolve();
    return { totalNs: this.#ranMs(id) * this.cpuPercent * 1e4, userNs: 0, systemNs: 0 };
  }

  /** The QEMUs answer again: the calls that hang in them end. */
  thaw(...ids: VmId[]): void {
    for (const id of ids) {
      this.#ranMs(id);
      this.stuck.delete(id);
      this.#ranMs(id);
      if (this.#touchedAtMs.delete(id)) this.stuckCalls--;
    }
  }

  async controlInfo(id: VmId): Promise<ControlInfo> {
    this.controlInfoCalls++;
    await Promise.resolve();
    const touchedAtMs = this.stuck.has(id) ? this.#touchedAtMs.get(id) : undefined;
    return touchedAtMs === undefined
      ? { state: 'ok', sinceMs: 0 }
      : { state: 'occupied', sinceMs: this.clock.nowMs() - touchedAtMs };
  }

  /** For how long it has used CPU; stands still from the moment that it is first seen to use none. */
  #ranMs(id: VmId): number {
    const nowMs = this.clock.nowMs();
    const still = this.#still.get(id) ?? { sinceMs: nowMs };
    const frozen = this.idle.has(id) || (this.stuck.has(id) && !this.stuckUseCpu);
    if (frozen) this.#still.set(id, still);
    else if (this.#still.delete(id))
      this.#lostMs.set(id, (this.#lostMs.get(id) ?? 0) + nowMs - still.sinceMs);
    return (frozen ? still.sinceMs : nowMs) - (this.#lostMs.get(id) ?? 0);
  }

  #fields(id: VmId, groups: number): Fields {
    const runMs = this.clock.nowMs();
    const all: Fields = { 'state.state': 1, 'state.reason': 1 };
    const backed = !this.busy.has(id) && !this.stuck.has(id);
    if (groups & StatsGroup.cpu) all['cpu.time'] = this.#ranMs(id) * this.cpuPercent * 1e4;
    if (groups & StatsGroup.cpu) Object.assign(all, { 'cpu.user': 0, 'cpu.system': 0 });
    if (groups & StatsGroup.interface) Object.assign(all, { 'net.0.name': 'vnet0', 'net.0.rx.bytes': runMs });
    if (groups & StatsGroup.balloon) all['balloon.current'] = 1024;
    if (groups & StatsGroup.vcpu) all['vcpu.current'] = 2;
    if (groups & StatsGroup.block) all['block.0.name'] = 'sda';
    if (groups & StatsGroup.block && backed) {
      Object.assign(all, { 'block.0.rd.reqs': 0, 'block.0.rd.bytes': runMs });
    }
    return all;
  }

  /** Its caller gave up; the daemon does not. */
  #hangsOn(): void {
    this.stuckCalls++;
    this.peakStuckCalls = Math.max(this.peakStuckCalls, this.stuckCalls);
  }

  #hang({ deadlineMs = Infinity, signal }: CallOptions, backed: boolean): Promise<never> {
    return new Promise((_, reject) => {
      const cancel = this.clock.after(deadlineMs, () => {
        if (backed) this.#hangsOn();
        reject(new HypervisorError('timeout', 'no answer'));
      });
      signal?.addEventListener('abort', () => {
        cancel();
        if (backed) this.#hangsOn();
        reject(new HypervisorError('aborted', 'aborted'));
      });
    });
  }

  #wait(ms: number, options: CallOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = this.clock.after(ms, resolve);
      options.signal?.addEventListener('abort', () => {
        cancel();
        reject(new HypervisorError('aborted', 'aborted'));
      });
    });
  }

  /** An answer that comes after its deadline keeps its worker busy until then. */
  async #answerSlowly(ms: number, options: CallOptions): Promise<void> {
    const { deadlineMs = Infinity } = options;
    await this.#wait(Math.min(ms, deadlineMs), options);
    if (ms <= deadlineMs) return;
    this.#hangsOn();
    this.clock.after(ms - deadlineMs, () => this.stuckCalls--);
    throw new HypervisorError('timeout', 'no answer yet');
  }
}
