/**
 * An in-memory hypervisor for unit tests: the whole port, with domains that can also be changed behind the agent's
 * back (`act`), events that can be delivered late or lost (`events`), calls that fail (`failNext`) or hang (`hold`).
 *
 * Calls answer after one turn of the event loop. Details, reasons and orders of events are those of real libvirt.
 */
import type { DomainDescription } from '../../src/domain/devices.js';
import { HypervisorError } from '../../src/domain/hypervisor.js';
import type {
  ControlInfo,
  DiskError,
  DomainEvent,
  DomainRef,
  DomainState,
  Hypervisor,
  HypervisorHostInfo,
  HypervisorListener,
  HypervisorStatus,
  StatsRequest,
} from '../../src/domain/hypervisor.js';
import type { VmId } from '../../src/domain/ids.js';
import { Scalar, StatsBatchBuilder } from '../../src/domain/stats.js';
import type { StatsBatch } from '../../src/domain/stats.js';
import { actions, active, stateNumbers } from './fake-actions.js';
import type { ActionName } from './fake-actions.js';
import { describeXml, domainXml, fakeHost, fakeId } from './fake-domain.js';
import type { DomainXmlOptions, FakeDomain } from './fake-domain.js';

type Method = keyof Omit<Hypervisor, 'status' | 'addListener' | 'start' | 'stop' | 'parseXml'>;

export class FakeHypervisor implements Hypervisor {
  readonly domains = new Map<VmId, FakeDomain>();
  readonly calls: { readonly method: Method; readonly id?: VmId }[] = [];
  /** 'now': with the change; 'held': at deliver(); 'lost': never. */
  events: 'now' | 'held' | 'lost' = 'now';
  /** QEMU ignores SIGTERM: graceful destroys fail. */
  stubborn = false;
  /** The most calls that waited at the same time. */
  peakCalls = 0;
  #status: HypervisorStatus = { state: 'open', sinceMs: 0, uri: 'fake:///', readOnly: false };
  #pendingCalls = 0;
  readonly #listeners = new Set<HypervisorListener>();
  readonly #queue: DomainEvent[] = [];
  readonly #failures = new Map<Method, Error[]>();
  readonly #holds = new Map<Method, Promise<void>>();
  readonly #answerHolds = new Map<Method, Promise<void>>();

  get status(): HypervisorStatus {
    return this.#status;
  }
  start(): Promise<void> {
    return Promise.resolve();
  }
  stop(): Promise<void> {
    return Promise.resolve();
  }
  addListener(listener: HypervisorListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
  get listenerCount(): number {
    return this.#listeners.size;
  }

  // what a test does

  /** Adds the n-th domain, running unless told otherwise, without an event. */
  addDomain(n: number, state: DomainState = actions.start.to, options: DomainXmlOptions = {}): FakeDomain {
    const id = fakeId(n);
    return this.#put(id, `vm-${n}`, domainXml(id, `vm-${n}`, options), state, true);
  }

  /** Changes a domain as libvirt's other clients, the guest or fate would. False where it cannot happen now. */
  act(id: VmId, name: ActionName): boolean {
    const domain = this.domains.get(id);
    const { to, events, allowed } = actions[name];
    if (!domain || !allowed(domain)) return false;
    domain.state = to;
    for (const [event, detail] of events) this.emit(id, { kind: 'lifecycle', event, detail });
    if (!active(domain) && !domain.persistent) this.domains.delete(id);
    return true;
  }

  emit(id: VmId, event: EventBody): void {
    if (this.events === 'lost') return;
    const whole = { id, domainName: this.domains.get(id)?.name ?? '', ...event } as DomainEvent;
    if (this.events === 'held') this.#queue.push(whole);
    else this.#send(whole);
  }

  /** Delivers held events, in order or as `order` arranges them. */
  deliver(order: (events: DomainEvent[]) => DomainEvent[] = (events) => events): void {
    for (const event of order(this.#queue.splice(0))) this.#send(event);
  }

  disconnect(reason = 'libvirtd is gone'): void {
    this.#status = { ...this.#status, state: 'lost', reason };
    for (const listener of this.#listeners) listener.disconnected?.(reason);
  }
  connect(gap = true): void {
    const { reason: _, ...status } = this.#status;
    this.#status = { ...status, state: 'open' };
    for (const listener of this.#listeners) listener.connected?.({ gap });
  }

  failNext(method: Method, error: Error = new HypervisorError('failed', 'it failed'), times = 1): void {
    const errors = Array.from({ length: times }, () => error);
    this.#failures.set(method, [...(this.#failures.get(method) ?? []), ...errors]);
  }

  /** Calls of the method wait until the returned function is called; what they do is done after that. */
  hold(method: Method): () => void {
    return held(this.#holds, method);
  }

  /** Answers of listDomains, stats or domainState are made at once but arrive when the returned function is called. */
  holdAnswer(method: 'listDomains' | 'stats' | 'domainState'): () => void {
    return held(this.#answerHolds, method);
  }

  countCalls(method: Method, id?: VmId): number {
    return this.calls.filter((call) => call.method === method && (id === undefined || call.id === id)).length;
  }

  // the port

  async listDomains(): Promise<DomainRef[]> {
    await this.#enter('listDomains');
    const refs = [...this.domains.values()].map((d) => ({ id: d.id, name: d.name, active: active(d) }));
    return this.#answer('listDomains', refs);
  }
  async domainState(id: VmId): Promise<DomainState> {
    return this.#answer('domainState', (await this.#enterDomain('domainState', id)).state);
  }
  async describe(id: VmId): Promise<DomainDescription> {
    return this.#description(await this.#enterDomain('describe', id));
  }
  async describeMany(ids: readonly VmId[]): Promise<DomainDescription[]> {
    await this.#enter('describeMany');
    return ids.flatMap((id) => {
      const domain = this.domains.get(id);
      return domain ? [this.#description(domain)] : [];
    });
  }
  async controlInfo(id: VmId): Promise<ControlInfo> {
    await this.#enterDomain('controlInfo', id);
    return { state: 'ok', sinceMs: 0 };
  }
  async diskErrors(id: VmId): Promise<DiskError[]> {
    return (await this.#enterDomain('diskErrors', id)).diskErrors;
  }
  async activeJob(id: VmId): Promise<string | undefined> {
    return (await this.#enterDomain('activeJob', id)).job;
  }
  async scheduler(id: VmId): Promise<{ vcpuQuota: number; vcpuPeriod: number }> {
    const { vcpuQuota, vcpuPeriod } = await this.#enterDomain('scheduler', id);
    return { vcpuQuota, vcpuPeriod };
  }
  async stats(request: StatsRequest): Promise<StatsBatch> {
    await this.#enter('stats');
    const batch = new StatsBatchBuilder();
    for (const domain of this.domains.values()) {
      if (!active(domain) || request.ids?.includes(domain.id) === false) continue;
      batch.beginVm(domain.id);
      batch.setScalar(Scalar.state, stateNumbers.indexOf(domain.state.state));
      batch.setScalar(Scalar.reason, 0);
    }
    return this.#answer('stats', batch);
  }
  async suspend(id: VmId): Promise<void> {
    await this.#actOrRefuse('suspend', id, 'suspend');
  }
  async resume(id: VmId): Promise<void> {
    await this.#actOrRefuse('resume', id, 'resume');
  }
  async destroy(id: VmId, how: { readonly graceful: boolean }): Promise<void> {
    await this.#enterDomain('destroy', id);
    if (how.graceful && this.stubborn) throw new HypervisorError('failed', 'QEMU ignores SIGTERM');
    if (!this.act(id, 'destroy')) throw new HypervisorError('invalid-state', 'domain is not running');
  }
  async define(xml: string): Promise<DomainRef> {
    await this.#enter('define');
    const { id, name } = describeXml(xml);
    const previous = this.domains.get(id);
    this.#put(id, name, xml, previous?.state ?? { state: 'shutoff', reason: 'unknown' }, true);
    this.emit(id, { kind: 'lifecycle', event: 'defined', detail: 'added' });
    return { id, name, active: false };
  }
  async launch(id: VmId, how: { readonly paused: boolean }): Promise<void> {
    await this.#actOrRefuse('launch', id, how.paused ? 'startPaused' : 'start');
  }
  async undefine(id: VmId): Promise<void> {
    const domain = await this.#enterDomain('undefine', id);
    if (active(domain)) this.#put(id, domain.name, domain.xml, domain.state, false);
    else this.domains.delete(id);
    this.emit(id, { kind: 'lifecycle', event: 'undefined', detail: 'removed' });
  }
  async setMemoryStatsPeriod(id: VmId, periodSec: number): Promise<void> {
    (await this.#enterDomain('setMemoryStatsPeriod', id)).balloonPeriodSec = periodSec;
  }
  parseXml(xml: string): DomainDescription {
    return describeXml(xml);
  }
  async hostInfo(): Promise<HypervisorHostInfo> {
    await this.#enter('hostInfo');
    return fakeHost;
  }

  #put(id: VmId, name: string, xml: string, state: DomainState, persistent: boolean): FakeDomain {
    const domain: FakeDomain = {
      id,
      name,
      xml,
      state,
      persistent,
      diskErrors: [],
      vcpuQuota: -1,
      vcpuPeriod: 100_000,
    };
    this.domains.set(id, domain);
    return domain;
  }

  #description(domain: FakeDomain): DomainDescription {
    const { balloonPeriodSec } = domain;
    return { ...describeXml(domain.xml), ...(balloonPeriodSec !== undefined && { balloonPeriodSec }) };
  }

  #send(event: DomainEvent): void {
    for (const listener of this.#listeners) listener.domainEvent?.(event);
  }

  async #actOrRefuse(method: Method, id: VmId, name: ActionName): Promise<void> {
    await this.#enterDomain(method, id);
    if (!this.act(id, name)) throw new HypervisorError('invalid-state', `domain cannot ${name} now`);
  }

  async #enterDomain(method: Method, id: VmId): Promise<FakeDomain> {
    await this.#enter(method, id);
    const domain = this.domains.get(id);
    if (!domain) throw new HypervisorError('no-domain', `Domain not found: no domain with uuid ${id}`);
    return domain;
  }

  async #answer<T>(method: Method, value: T): Promise<T> {
    await this.#answerHolds.get(method);
    return value;
  }

  async #enter(method: Method, id?: VmId): Promise<void> {
    this.calls.push({ method, ...(id !== undefined && { id }) });
    this.peakCalls = Math.max(this.peakCalls, ++this.#pendingCalls);
    try {
      await (this.#holds.get(method) ?? new Promise((resolve) => setImmediate(resolve)));
      if (this.#status.state !== 'open') throw new HypervisorError('unavailable', 'not connected');
      const failure = this.#failures.get(method)?.shift();
      if (failure) throw failure;
    } finally {
      this.#pendingCalls--;
    }
  }
}

type EventBody = DomainEvent extends infer E
  ? E extends DomainEvent
    ? Omit<E, 'id' | 'domainName'>
    : never
  : never;

function held(holds: Map<Method, Promise<void>>, method: Method): () => void {
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => {
    release = () => {
      holds.delete(method);
      resolve();
    };
  });
  holds.set(method, released);
  return release;
}
