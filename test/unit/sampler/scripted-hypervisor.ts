/** A hypervisor for the sampler's tests: counters that run with the clock, guests that get stuck, calls that hang. */
import {
  HypervisorError,
  type CallOptions,
  type ControlInfo,
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
  failure: HypervisorError | undefined;
  /** Per cent of a core that every domain uses. */
  cpuPercent = 50;
  pending = 0;
  readonly #touchedAtMs = new Map<VmId, number>();
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
        for (const id of culprits) this.#touchedAtMs.set(id, this.clock.nowMs());
        return await this.#hang(options);
      }
      if (this.latencyMs > 0) await this.#wait(this.latencyMs, options);
      else await new Promise<void>((resolve) => setImmediate(resolve));
      if (this.failure) throw this.failure;
      const found = ids.filter((id) => this.running.has(id));
      return batchOf(...found.map((id) => [id, this.#fields(id, request.groups)] as const));
    } finally {
      this.pending--;
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

  #fields(id: VmId, groups: number): Fields {
    const runMs = this.clock.nowMs();
    const all: Fields = { 'state.state': 1, 'state.reason': 1 };
    const backed = !this.busy.has(id);
    if (groups & StatsGroup.cpu) all['cpu.time'] = runMs * this.cpuPercent * 1e4;
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

  #hang({ deadlineMs = Infinity, signal }: CallOptions): Promise<never> {
    return new Promise((_, reject) => {
      const cancel = this.clock.after(deadlineMs, () => reject(new HypervisorError('timeout', 'no answer')));
      signal?.addEventListener('abort', () => {
        cancel();
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
}
