/**
 * An in-memory hypervisor for unit tests: the whole port, with domains that can also be changed behind the agent's
 * back (`act`), events that can be delivered late or lost (`events`), calls that fail or hang (fake-calls.ts). The
 * groups of calls are in files of their own, with what a test can do to them.
 *
 * Details, reasons, refusals and orders of events are those of real libvirt: test/contract holds it to that. It knows
 * neither deadlines nor signals, and of statistics only states.
 */
import type { DomainDescription } from '../../src/domain/devices.js';
import { HypervisorError } from '../../src/domain/hypervisor.js';
import type {
  ControlInfo,
  CpuTime,
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
import { FakeCalls } from './fake-calls.js';
import type { FakeCall, Method } from './fake-calls.js';
import { FakeDevices } from './fake-devices.js';
import { FakeDisks } from './fake-disks.js';
import { describeXml, domainXml, FakeDomain, fakeHost, fakeId } from './fake-domain.js';
import type { DomainXmlOptions } from './fake-domain.js';
import { FakeGuest } from './fake-guest.js';
import { FakeMetadata } from './fake-metadata.js';
import { FakePower } from './fake-power.js';
import { FakeSaving } from './fake-saving.js';
import { FakeTuning } from './fake-tuning.js';
import { wrongState } from './fake-world.js';
import type { EventBody, FakeWorld } from './fake-world.js';

export class FakeHypervisor extends FakeCalls implements Hypervisor, FakeWorld {
  readonly domains = new Map<VmId, FakeDomain>();
  /** 'now': with the change; 'held': at deliver(); 'lost': never. */
  events: 'now' | 'held' | 'lost' = 'now';
  /** QEMU ignores SIGTERM: graceful destroys fail. */
  stubborn = false;
  #status: HypervisorStatus = { state: 'open', sinceMs: 0, uri: 'fake:///', readOnly: false };
  readonly #listeners = new Set<HypervisorListener>();
  readonly #queue: DomainEvent[] = [];

  readonly guest = new FakeGuest(this);
  readonly power = new FakePower(this, this.guest);
  readonly saving = new FakeSaving(this);
  readonly devices = new FakeDevices(this);
  readonly tuning = new FakeTuning(this);
  readonly disks = new FakeDisks(this, this.guest, this.saving);
  readonly metadata = new FakeMetadata(this);

  readonly stuckCalls = 0;
  get status(): HypervisorStatus {
    return this.#status;
  }
  start(): Promise<void> {
    return Promise.resolve();
  }
  stop(): Promise<void> {
    this.#status = { ...this.#status, state: 'stopped' };
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
    const domain = new FakeDomain(id, `vm-${n}`, domainXml(id, `vm-${n}`, options));
    domain.state = state;
    this.domains.set(id, domain);
    return domain;
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

  // the port

  async listDomains(): Promise<DomainRef[]> {
    await this.enter('listDomains');
    const refs = [...this.domains.values()].map((d) => ({ id: d.id, name: d.name, active: active(d) }));
    return this.answer('listDomains', refs);
  }
  async domainState(id: VmId): Promise<DomainState> {
    return this.answer('domainState', (await this.enterDomain('domainState', id)).state);
  }
  async describe(id: VmId): Promise<DomainDescription> {
    return describeXml((await this.enterDomain('describe', id)).xml);
  }
  async describeMany(ids: readonly VmId[]): Promise<DomainDescription[]> {
    await this.enter('describeMany');
    return ids.flatMap((id) => {
      const domain = this.domains.get(id);
      return domain ? [describeXml(domain.xml)] : [];
    });
  }
  async controlInfo(id: VmId): Promise<ControlInfo> {
    await this.enterActive('controlInfo', id);
    return { state: 'ok', sinceMs: 0 };
  }
  async cpuTime(id: VmId): Promise<CpuTime> {
    await this.enterActive('cpuTime', id);
    return { totalNs: 0, userNs: 0, systemNs: 0 };
  }
  async diskErrors(id: VmId): Promise<DiskError[]> {
    return (await this.enterActive('diskErrors', id)).diskErrors;
  }
  async activeJob(id: VmId): Promise<string | undefined> {
    return (await this.enterActive('activeJob', id)).job;
  }
  async scheduler(id: VmId): Promise<{ vcpuQuota: number; vcpuPeriod: number }> {
    const domain = await this.enterDomain('scheduler', id);
    const { vcpuQuota, vcpuPeriod } = domain;
    return active(domain) ? { vcpuQuota, vcpuPeriod } : { vcpuQuota: 0, vcpuPeriod: 0 };
  }
  async stats(request: StatsRequest): Promise<StatsBatch> {
    await this.enter('stats');
    const batch = new StatsBatchBuilder();
    for (const domain of this.domains.values()) {
      if (request.ids ? !request.ids.includes(domain.id) : !active(domain)) continue;
      batch.beginVm(domain.id);
      batch.setScalar(Scalar.state, stateNumbers.indexOf(domain.state.state));
      batch.setScalar(Scalar.reason, 0);
    }
    return this.answer('stats', batch);
  }
  async suspend(id: VmId): Promise<void> {
    const { state } = (await this.enterDomain('suspend', id)).state;
    if (state !== 'paused') this.#actOrRefuse(id, 'suspend');
  }
  async resume(id: VmId): Promise<void> {
    await this.enterDomain('resume', id);
    this.#actOrRefuse(id, 'resume');
  }
  async destroy(id: VmId, how: { readonly graceful: boolean }): Promise<void> {
    await this.enterActive('destroy', id, how);
    if (how.graceful && this.stubborn) throw new HypervisorError('failed', 'QEMU ignores SIGTERM');
    this.act(id, 'destroy');
  }
  async define(xml: string): Promise<DomainRef> {
    await this.enter('define');
    const { id, name } = describeXml(xml);
    for (const other of this.domains.values()) {
      if ((other.id === id) === (other.name === name)) continue;
      throw new HypervisorError('failed', `domain '${other.name}' is already defined with uuid ${other.id}`);
    }
    const previous = this.domains.get(id);
    const domain = previous ?? new FakeDomain(id, name, xml);
    domain.definition = xml;
    this.domains.set(id, domain);
    this.emit(id, { kind: 'lifecycle', event: 'defined', detail: previous ? 'updated' : 'added' });
    return { id, name, active: active(domain) };
  }
  async launch(id: VmId, how: { readonly paused: boolean }): Promise<void> {
    await this.enterDomain('launch', id);
    this.#actOrRefuse(id, how.paused ? 'startPaused' : 'start');
  }
  async undefine(id: VmId): Promise<void> {
    const domain = await this.enterDomain('undefine', id);
    if (!domain.persistent) throw new HypervisorError('invalid-state', 'cannot undefine transient domain');
    domain.definition = undefined;
    this.emit(id, { kind: 'lifecycle', event: 'undefined', detail: 'removed' });
    if (!active(domain)) this.domains.delete(id);
  }
  async setMemoryStatsPeriod(id: VmId, periodSec: number): Promise<void> {
    const domain = await this.enterActive('setMemoryStatsPeriod', id);
    if (periodSec < 0) throw new HypervisorError('failed', 'the period must be zero or greater');
    domain.balloonPeriodSec = periodSec;
  }
  parseXml(xml: string): DomainDescription {
    return describeXml(xml);
  }
  async hostInfo(): Promise<HypervisorHostInfo> {
    await this.enter('hostInfo');
    return fakeHost;
  }

  protected override refusal(): Error | undefined {
    const open = this.#status.state === 'open';
    return open ? undefined : new HypervisorError('unavailable', 'not connected now');
  }

  #send(event: DomainEvent): void {
    for (const listener of this.#listeners) listener.domainEvent?.(event);
  }

  #actOrRefuse(id: VmId, name: ActionName): void {
    if (!this.act(id, name)) throw new HypervisorError('invalid-state', `domain cannot ${name} now`);
  }

  async enterDomain(method: Method, id: VmId, args?: FakeCall['args']): Promise<FakeDomain> {
    await this.enter(method, id, args);
    const domain = this.domains.get(id);
    if (!domain) throw new HypervisorError('no-domain', `Domain not found: no domain with uuid ${id}`);
    return domain;
  }

  async enterActive(
    method: Method,
    id: VmId,
    args?: FakeCall['args'],
  ): Promise<FakeDomain & { live: string }> {
    const domain = await this.enterDomain(method, id, args);
    if (!active(domain)) throw wrongState('domain is not running');
    return domain as FakeDomain & { live: string };
  }
}
