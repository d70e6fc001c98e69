/**
 * Keeps the registry true to the hypervisor: on every connection and once per period it compares all domains with
 * all records, and between those it hands on the events.
 *
 * How a pass works: list; coarse states of all by one call; a record that disagrees is read by itself and repaired; a
 * domain without a record is described and adopted. Whatever an event or an operation touched since the pass began is
 * read again instead of being believed. Passes never overlap. `ready` is set by the first complete one: before it the
 * set of VMs is not known, and a VM that is not listed looks lost to an engine. Losing the hypervisor changes no record.
 */
import type { DomainEvent, DomainRef, DomainState, Hypervisor } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import { isStarting } from '../domain/vm-found.js';
import type { Service } from '../util/lifecycle.js';
import type { Logger } from '../util/log.js';
import type { Metrics } from '../util/metrics.js';
import type { Clock } from '../util/time.js';
import { adopt } from './adoption.js';
import { agrees, readBulkStates } from './bulk-states.js';
import type { CoarseState } from './bulk-states.js';
import { EventHandler } from './event-handler.js';
import type { HostShutdownSource } from './event-handler.js';
import { OrphanStarts } from './orphan-starts.js';
import { chunksOf, forEachLimited, inTurns, nextTurn } from './parallel.js';
import { PauseLimit } from './pause-limit.js';
import { Refresher, concernsOneVm, isBeingStarted, updateDescription } from './refresher.js';
import type { Registry } from './registry.js';
import type { Watch } from './watch.js';

export interface ReconcilerParts {
  readonly hypervisor: Hypervisor;
  readonly hostShutdown: HostShutdownSource;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Pick<Metrics, 'vm_events_unknown_total' | 'reconcile_corrections_total'>;
  /** Default 60,000. */
  readonly comparePeriodMs?: number;
  /** Period of the guests' balloon statistics, seconds; default 10, 0 leaves them alone. */
  readonly balloonPeriodSec?: number;
  /** Called once, when all VMs are known. */
  readonly onReady?: () => void;
}

const COMPARE_PERIOD_MS = 60_000;
const BALLOON_PERIOD_SEC = 10;
/** What a coarse `running` is worth: the job tells the rest. */
const runningState: DomainState = { state: 'running', reason: 'unknown' };
const RETRY_MS = 5_000;
const WIDTH = 4;
/** So many at once that the hypervisor sees which start is a large one. */
const CHUNK = 1000;
/** Events of domains that the first pass has not reached yet; beyond it they are dropped and logged. */
const MAX_EARLY_EVENTS = 10_000;

export class Reconciler implements Service {
  readonly #refresher: Refresher;
  readonly #events: EventHandler;
  readonly #pauseLimit: PauseLimit;
  readonly #orphans: OrphanStarts;
  readonly #stopped = new AbortController();
  readonly #cancels: (() => void)[] = [];
  #cancelRetry: () => void = () => undefined;
  #ready = false;
  #running = false;
  /** What the next pass must do; undefined: none is due. */
  #due: { readonly descriptions: boolean } | undefined;
  #early: DomainEvent[] = [];
  /** Domains that are not to be listed, and whether they were active when that was found out. */
  #skipped = new Map<VmId, boolean>();

  constructor(private readonly parts: ReconcilerParts) {
    const { balloonPeriodSec = BALLOON_PERIOD_SEC } = parts;
    this.#refresher = new Refresher({
      ...parts,
      balloonPeriodSec,
      onFlood: () => this.#request(false),
    });
    this.#events = new EventHandler({ ...parts, refresher: this.#refresher });
    this.#pauseLimit = new PauseLimit(parts);
    this.#orphans = new OrphanStarts({ ...parts, look: (id) => this.#refresher.request(id, 'state') });
  }

  /** False until the world has been seen whole once; verbs answer 99 until then. */
  get ready(): boolean {
    return this.#ready;
  }

  start(): Promise<void> {
    const { hypervisor, clock, comparePeriodMs = COMPARE_PERIOD_MS } = this.parts;
    this.#refresher.start();
    this.#orphans.start();
    this.#pauseLimit.start();
    this.#cancels.push(
      hypervisor.addListener({
        connected: ({ gap }) => this.#connected(gap),
        domainEvent: (event) => this.#event(event),
      }),
      clock.every(comparePeriodMs, () => this.#request(false)),
    );
    if (hypervisor.status.state === 'open') this.#request(false);
    return Promise.resolve();
  }

  /** Stops the registry's timers as well. */
  stop(): Promise<void> {
    this.#stopped.abort();
    this.#cancelRetry();
    for (const cancel of this.#cancels.splice(0)) cancel();
    this.#refresher.stop();
    this.#orphans.stop();
    this.#pauseLimit.stop();
    this.parts.registry.stop();
    return Promise.resolve();
  }

  #connected(gap: boolean): void {
    this.#request(gap && this.#ready);
    this.#refresher.resume();
  }

  #event(event: DomainEvent): void {
    if (event.kind === 'lifecycle') this.#skipped.delete(event.id);
    const isEarly = !this.#ready && event.kind !== 'lifecycle' && !this.parts.registry.get(event.id);
    if (!isEarly) this.#events.handle(event);
    else if (this.#early.length < MAX_EARLY_EVENTS) this.#early.push(event);
    else
      this.parts.log.warn(
        { vmId: event.id, kind: event.kind },
        'Too many events before the first listing: dropped',
      );
  }

  /** @param descriptions read the XML of known VMs again too: device changes may have been missed */
  #request(descriptions: boolean): void {
    this.#due = { descriptions: descriptions || (this.#due?.descriptions ?? false) };
    if (!this.#running) void this.#runPasses();
  }

  async #runPasses(): Promise<void> {
    this.#running = true;
    for (let due = this.#due; due && !this.#stopped.signal.aborted; due = this.#due) {
      this.#due = undefined;
      // Without a connection there is nothing to compare with; `connected` asks again.
      if (this.parts.hypervisor.status.state !== 'open') continue;
      try {
        await this.#pass(due.descriptions);
        this.#passed();
      } catch (error) {
        this.#passFailed(due.descriptions, error);
      }
    }
    this.#running = false;
  }

  #passed(): void {
    if (this.#ready || this.#stopped.signal.aborted) return;
    this.#ready = true;
    for (const event of this.#early.splice(0)) this.#events.handle(event);
    this.parts.log.info({ vms: this.parts.registry.size }, 'All domains are known');
    this.parts.onReady?.();
  }

  #passFailed(descriptions: boolean, error: unknown): void {
    if (this.#stopped.signal.aborted) return;
    this.parts.log.warn({ err: error }, 'Comparing all domains failed; it is tried again');
    this.#cancelRetry();
    this.#cancelRetry = this.parts.clock.after(RETRY_MS, () => this.#request(descriptions));
  }

  async #pass(descriptions: boolean): Promise<void> {
    const { hypervisor, registry } = this.parts;
    const watch = registry.watch();
    try {
      const refs = await hypervisor.listDomains(this.#options);
      const active = refs.filter((ref) => ref.active).map(({ id }) => id);
      const states = await readBulkStates(hypervisor, this.#ready ? undefined : active, this.#options);
      await forEachLimited(await this.#suspects(new Set(active), states), WIDTH, (id) => this.#reload(id));
      await nextTurn();
      for (const chunk of chunksOf(this.#newcomers(refs), CHUNK)) {
        await this.#admit(chunk, states, watch);
        await nextTurn();
      }
      if (descriptions) await this.#readDescriptions();
    } finally {
      watch.end();
    }
  }

  /** Records that the listing contradicts, and Down ones whose domain runs. */
  async #suspects(active: ReadonlySet<VmId>, states: ReadonlyMap<VmId, CoarseState>): Promise<VmId[]> {
    const { registry } = this.parts;
    const suspects: VmId[] = [];
    await inTurns(registry.all(), (vm) => {
      const runs = active.has(vm.id);
      if (vm.internal === 'Down') {
        if (runs) suspects.push(vm.id);
      } else if (!runs || !agrees(vm, states.get(vm.id))) {
        if (!isBeingStarted(vm) || registry.locks.running(vm.id) === undefined) suspects.push(vm.id);
      }
    });
    return suspects;
  }

  #newcomers(refs: readonly DomainRef[]): DomainRef[] {
    const skipped = new Map<VmId, boolean>();
    const newcomers = refs.filter(({ id, active }) => {
      if (this.parts.registry.get(id)) return false;
      if (this.#skipped.get(id) !== active) return true;
      skipped.set(id, active);
      return false;
    });
    this.#skipped = skipped;
    return newcomers;
  }

  async #reload(id: VmId, alsoOff = false): Promise<void> {
    await this.#guarded(id, async () => {
      if (await this.#refresher.reload(id, alsoOff)) this.#noteCorrection(id);
    });
  }

  /** One VM that cannot be read must not keep the others from being compared. */
  async #guarded(id: VmId, task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      if (!concernsOneVm(error)) throw error;
      this.parts.log.warn({ vmId: id, err: error }, 'A VM could not be compared');
    }
  }

  #noteCorrection(id: VmId): void {
    const { metrics, log, registry } = this.parts;
    if (!this.#ready) return;
    metrics.reconcile_corrections_total.inc();
    const vm = registry.get(id);
    log.warn({ vmId: id, name: vm?.name, status: vm?.status }, 'A VM had changed without an event');
  }

  async #admit(
    refs: readonly DomainRef[],
    states: ReadonlyMap<VmId, CoarseState>,
    watch: Watch,
  ): Promise<void> {
    const { hypervisor, registry, clock } = this.parts;
    const ids = refs.map(({ id }) => id);
    const domains = await hypervisor.describeMany(ids, this.#options);
    const active = new Map(refs.map((ref) => [ref.id, ref.active]));
    await forEachLimited(domains, WIDTH, (domain) =>
      this.#guarded(domain.id, async () => {
        const { id } = domain;
        // Shut-off domains are VMs of an earlier life of this agent at most: those that it knew it still lists.
        const runs = active.get(id) ?? false;
        if (!runs && (this.#ready || !domain.metadata)) return void this.#skipped.set(id, false);
        const found = await this.#refresher.read(id, states.get(id) === 'running' ? runningState : undefined);
        if (watch.touched(id)) return this.#reload(id, !this.#ready);
        if (!found) return;
        if (adopt(registry, clock, domain, found)) this.#noteCorrection(id);
        else if (!isStarting(found.state)) this.#skipped.set(id, runs);
      }),
    );
  }

  async #readDescriptions(): Promise<void> {
    const { hypervisor, registry } = this.parts;
    const alive = [...registry.all()].filter(({ internal }) => internal !== 'Down');
    for (const chunk of chunksOf(alive, CHUNK)) {
      const ids = chunk.map(({ id }) => id);
      for (const domain of await hypervisor.describeMany(ids, this.#options)) {
        if (registry.get(domain.id)?.internal !== 'Down') updateDescription(registry, domain);
      }
      await nextTurn();
    }
  }

  get #options(): { readonly signal: AbortSignal } {
    return { signal: this.#stopped.signal };
  }
}
