/**
 * Reads again what is in doubt: a queue of VM ids with what is needed of each (never states: those would be old by
 * the time they are applied), served a few at a time.
 *
 * An answer is applied only if nothing happened to the VM since it was asked for. While the hypervisor is away the
 * queue waits for resume(). It holds the VMs that there are, and a bounded number of domains that are none.
 */
import { HypervisorError } from '../domain/hypervisor.js';
import type { DomainState, Hypervisor } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import type { Vm } from '../domain/vm.js';
import { causesOfFound, isActive, isStarting } from '../domain/vm-found.js';
import type { Logger } from '../util/log.js';
import { RateLimiter } from '../util/log.js';
import type { Clock } from '../util/time.js';
import { adopt } from './adoption.js';
import type { Found } from './adoption.js';
import { hasComeUp } from './announcement.js';
import { ioErrorOfDisks } from './io-error.js';
import type { Registry } from './registry.js';

const needs = ['state', 'xml', 'disk-errors', 'scheduler', 'balloon'] as const;
export type Need = (typeof needs)[number];

export interface RefresherParts {
  readonly hypervisor: Hypervisor;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly log: Logger;
  /** Seconds; 0 leaves balloons alone. */
  readonly balloonPeriodSec: number;
  /** Too many unknown domains are in doubt to look at each: whoever listens compares all. */
  readonly onFlood?: () => void;
}

const WIDTH = 4;
const JOB_DEADLINE_MS = 2_000;
/** Queued; beyond it domains that are no VMs are left to a compare, which costs one list for all of them. */
const MAX_WITH_UNKNOWN = 1000;
/** What a VM or this connection will not have next time either. */
const lasting: ReadonlySet<string | undefined> = new Set(['unsupported', 'denied']);

export class Refresher {
  readonly #queue = new Map<VmId, Set<Need>>();
  readonly #serving = new Set<VmId>();
  readonly #stopped = new AbortController();
  readonly #removers: (() => void)[] = [];
  readonly #quiet: RateLimiter;
  readonly #readers: Readonly<Record<Need, (id: VmId) => Promise<unknown>>> = {
    state: (id) => this.reload(id),
    xml: (id) => this.#readXml(id),
    'disk-errors': (id) => this.#readDiskErrors(id),
    scheduler: (id) => this.#readScheduler(id),
    balloon: (id) => this.#setBalloonPeriod(id),
  };

  constructor(private readonly parts: RefresherParts) {
    this.#quiet = new RateLimiter(parts.clock);
  }

  /** Follows the registry: a VM that has come up has a scheduler and a balloon, a pause has a reason. */
  start(): void {
    const { registry } = this.parts;
    this.#removers.push(
      registry.onDoubt((id) => this.request(id, 'state')),
      registry.onChange((id, after, before) => {
        if (!after) return;
        if (hasComeUp(before, after)) {
          // What was known before it ran has no ports and no tap names.
          const isOld = before !== undefined && before.domain === after.domain;
          this.request(id, ...(isOld ? (['xml'] as const) : []), 'scheduler', 'balloon');
        }
        if (after.pauseCode === 'EOTHER' && before?.pauseCode !== 'EOTHER') this.request(id, 'disk-errors');
      }),
    );
  }

  stop(): void {
    this.#stopped.abort();
    for (const remove of this.#removers.splice(0)) remove();
    this.#queue.clear();
  }

  request(id: VmId, ...wanted: readonly Need[]): void {
    const queued = this.#queue.get(id) ?? new Set();
    if (queued.size === 0 && this.#queue.size >= MAX_WITH_UNKNOWN && !this.parts.registry.get(id)) {
      this.#quiet.run('flood', (swallowed) =>
        this.parts.log.warn({ swallowed }, 'Too many unknown domains to look at each: comparing all instead'),
      );
      this.parts.onFlood?.();
      return;
    }
    for (const need of wanted) queued.add(need);
    this.#queue.set(id, queued);
    this.resume();
  }

  /** Serves what is queued; called again when the hypervisor is back. */
  resume(): void {
    if (this.#stopped.signal.aborted || this.parts.hypervisor.status.state !== 'open') return;
    for (const [id, wanted] of this.#queue) {
      if (this.#serving.size >= WIDTH) return;
      if (this.#serving.has(id)) continue;
      this.#queue.delete(id);
      this.#serving.add(id);
      void this.#serve(id, wanted);
    }
  }

  /**
   * Reads the domain's state and brings the record to it; adopts a running domain that has no record, or whose record
   * is Down. True where the reported status changed or the VM appeared.
   * @param alsoOff adopts managed domains that are shut off, too
   * @throws HypervisorError
   */
  async reload(id: VmId, alsoOff = false): Promise<boolean> {
    const { registry, hypervisor, clock } = this.parts;
    const watch = registry.watch();
    const isStale = (): boolean => {
      if (!watch.touched(id)) return false;
      this.request(id, 'state');
      return true;
    };
    try {
      const found = await this.read(id);
      if (isStale()) return false;
      const vm = registry.get(id);
      if (vm && vm.internal !== 'Down') return this.#repair(vm, found);
      if (!found || (vm && isStarting(found.state))) return false;
      if (!isActive(found.state) && (vm || !alsoOff)) return false;
      const domain = await hypervisor.describe(id, this.#options);
      return !isStale() && adopt(registry, clock, domain, found) !== undefined;
    } catch (error) {
      if (kindOf(error) === 'no-domain') return false;
      throw error;
    } finally {
      watch.end();
    }
  }

  /**
   * The domain's state, and its job where that decides the status; undefined where there is no such domain.
   * @param state where it is known already
   */
  async read(id: VmId, state?: DomainState): Promise<Found | undefined> {
    const { hypervisor, registry } = this.parts;
    const known = registry.get(id);
    try {
      const found = state ?? (await hypervisor.domainState(id, this.#options));
      if (!isActive(found) || (known && isSettled(known))) return { state: found };
      // A stuck monitor would hold this up for half a minute, and with it the agent's start.
      const options = { ...this.#options, deadlineMs: JOB_DEADLINE_MS };
      const job = await hypervisor.activeJob(id, options).catch((error: unknown) => jobInstead(error, found));
      return { state: found, ...(job !== undefined && { job }) };
    } catch (error) {
      if (kindOf(error) === 'no-domain') return undefined;
      throw error;
    }
  }

  get #options(): { readonly signal: AbortSignal } {
    return { signal: this.#stopped.signal };
  }

  #repair(vm: Vm, found: Found | undefined): boolean {
    const { registry } = this.parts;
    // The operation that starts the VM says itself how the start went.
    if (isBeingStarted(vm) && registry.locks.running(vm.id) !== undefined) return false;
    const causes = found ? causesOfFound(found.state, found.job) : (['vanished'] as const);
    const after = registry.change(vm.id, { causes });
    return after?.status !== vm.status;
  }

  async #serve(id: VmId, wanted: ReadonlySet<Need>): Promise<void> {
    for (const need of needs) {
      if (!wanted.has(need)) continue;
      try {
        await this.#readers[need](id);
      } catch (error) {
        this.#failed(id, need, error);
      }
    }
    this.#serving.delete(id);
    this.resume();
  }

  #failed(id: VmId, need: Need, error: unknown): void {
    const kind = kindOf(error);
    if (this.#stopped.signal.aborted || kind === 'no-domain' || kind === 'aborted') return;
    if (kind === 'unavailable') {
      const queued = this.#queue.get(id) ?? new Set();
      this.#queue.set(id, queued.add(need));
      return;
    }
    const { log, registry } = this.parts;
    if (lasting.has(kind)) {
      log.debug({ vmId: id, need, err: error }, 'Not to be had of this VM');
      return;
    }
    this.#quiet.run(`${need} ${kind}`, (swallowed) =>
      log.warn(
        { vmId: id, name: registry.get(id)?.name, need, err: error, swallowed },
        'A VM could not be read; the next compare tries again',
      ),
    );
  }

  async #readXml(id: VmId): Promise<void> {
    const { registry, hypervisor } = this.parts;
    const vm = registry.get(id);
    if (!vm || vm.internal === 'Down') return;
    const domain = await hypervisor.describe(id, this.#options);
    if (registry.get(id)?.internal !== 'Down') updateDescription(registry, domain);
  }

  async #readDiskErrors(id: VmId): Promise<void> {
    const { registry, hypervisor } = this.parts;
    if (!isStoppedByError(registry.get(id))) return;
    const errors = await hypervisor.diskErrors(id, this.#options);
    const vm = registry.get(id);
    const found = isStoppedByError(vm) ? ioErrorOfDisks(vm, errors) : undefined;
    if (!found) return;
    const { pauseCode, ioerror } = found;
    registry.change(id, { causes: ['disk-errors-read'], detail: { pauseCode }, extra: { ioerror } });
  }

  async #readScheduler(id: VmId): Promise<void> {
    const { registry, hypervisor } = this.parts;
    if (!registry.get(id)) return;
    registry.change(id, { facts: await hypervisor.scheduler(id, this.#options) });
  }

  async #setBalloonPeriod(id: VmId): Promise<void> {
    const { registry, hypervisor, balloonPeriodSec } = this.parts;
    const vm = registry.get(id);
    if (!vm?.domain || vm.internal === 'Down' || balloonPeriodSec === 0) return;
    const { balloonModel, balloonPeriodSec: present = 0 } = vm.domain;
    if (balloonModel === '' || balloonModel === 'none' || present > 0) return;
    await hypervisor.setMemoryStatsPeriod(id, balloonPeriodSec, this.#options);
  }
}

/** Replaces the VM's description where it differs; readers compare by identity. */
export function updateDescription(registry: Registry, domain: Vm['domain'] & object): void {
  if (registry.get(domain.id)?.domain?.xml !== domain.xml) registry.change(domain.id, { facts: { domain } });
}

/** Its status follows from the domain's state alone. */
export function isSettled(vm: Vm): boolean {
  return vm.internal === 'Up' || vm.internal === 'Paused' || vm.internal === 'Powering down';
}

export function isBeingStarted(vm: Vm): boolean {
  return vm.internal === 'WaitForLaunch' || vm.internal === 'Restoring state';
}

/** A pause that the guest's disks may be the reason of. */
function isStoppedByError(vm: Vm | undefined): vm is Vm {
  return vm?.internal === 'Paused' && vm.pauseCode !== 'NOERR' && vm.pauseCode !== 'POSTCOPY';
}

function kindOf(error: unknown): HypervisorError['kind'] | undefined {
  return error instanceof HypervisorError ? error.kind : undefined;
}

/**
 * Not every hypervisor has jobs, and a VM is not less of a VM for a job that cannot be read. libvirt refuses to tell the
 * job of a migration's target: that alone tells it from a domain that was restored from a file and left paused.
 */
function jobInstead(error: unknown, { state, reason }: DomainState): string | undefined {
  if (!concernsOneVm(error) || kindOf(error) === 'no-domain') throw error;
  const isTarget = kindOf(error) === 'invalid-state' && state === 'paused' && reason === 'migration';
  return isTarget ? 'migration-in' : undefined;
}

/** False where the next call would fail as well, whatever VM it is for. */
export function concernsOneVm(error: unknown): boolean {
  const kind = kindOf(error);
  return kind !== undefined && kind !== 'unavailable' && kind !== 'aborted';
}
