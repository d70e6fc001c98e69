/**
 * Writes what must outlive the agent of each VM into its domain's metadata: why it is Down, what was ordered for its end,
 * why and since when it is paused, its start, its balloon target. Takes out what an earlier run has left there.
 *
 * How it works: each change of a VM's record is turned into the values that the metadata should have (record-values.ts);
 * where those that they have differ, the VM is due, and is written a few at a time. What changes before its turn is
 * written once. What fails is tried again, without end only while the hypervisor is away. A start and its mark need no
 * write: they are in the XML that defines the domain.
 *
 * A crash before a write costs nothing but detail: libvirt's own reason of the stop stands in (adoption.ts).
 */
import type { Hypervisor } from '../domain/hypervisor.js';
import { HypervisorError } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import type { Vm } from '../domain/vm.js';
import type { Service } from '../util/lifecycle.js';
import type { Logger } from '../util/log.js';
import { RateLimiter } from '../util/log.js';
import type { Metrics } from '../util/metrics.js';
import type { Clock } from '../util/time.js';
import type { MetadataStore } from './metadata-store.js';
import type { MetadataValues } from './ovirt-metadata.js';
import { changedValues, errorPauseCode, recordIn, recordOf } from './record-values.js';
import { isBeingStarted } from './refresher.js';
import type { Registry } from './registry.js';

export interface RecorderParts {
  readonly hypervisor: Pick<Hypervisor, 'addListener' | 'status'>;
  readonly registry: Registry;
  readonly metadata: Pick<MetadataStore, 'setValues'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Pick<Metrics, 'metadata_writes_total'>;
}

interface Entry {
  /** What the metadata have, as far as is known. */
  has: MetadataValues;
  wanted: MetadataValues;
  failures: number;
}

const WIDTH = 4;
const RETRY_MS = 5_000;
/** Some minutes: a QEMU that hangs longer has its record when its state changes next. */
const MAX_FAILURES = 30;

export class Recorder implements Service {
  /** Of all VMs that are recorded. */
  readonly #entries = new Map<VmId, Entry>();
  /** In the order in which they became due; a VM stays in it until its metadata are as wanted. */
  readonly #due = new Set<VmId>();
  readonly #writing = new Set<VmId>();
  /** Those whose last attempt failed; one that hangs delays nobody else. */
  readonly #resting = new Set<VmId>();
  readonly #removers: (() => void)[] = [];
  readonly #quiet: RateLimiter;
  #retry: (() => void) | undefined;

  constructor(private readonly parts: RecorderParts) {
    this.#quiet = new RateLimiter(parts.clock);
  }

  start(): Promise<void> {
    const { registry, hypervisor } = this.parts;
    this.#removers.push(
      registry.onChange((id, after, before) => this.#changed(id, after, before)),
      hypervisor.addListener({ connected: () => this.#wake() }),
    );
    return Promise.resolve();
  }

  /** What is not written then is derived by the next agent. */
  stop(): Promise<void> {
    for (const remove of this.#removers.splice(0)) remove();
    this.#retry?.();
    this.#due.clear();
    this.#resting.clear();
    this.#entries.clear();
    return Promise.resolve();
  }

  /** VMs whose metadata are not as they should be yet. */
  get dueCount(): number {
    return this.#due.size;
  }

  #changed(id: VmId, vm: Vm | undefined, before: Vm | undefined): void {
    const { registry } = this.parts;
    if (vm === undefined || vm.external) {
      this.#entries.delete(id);
      this.#due.delete(id);
      this.#resting.delete(id);
      return;
    }
    if (isBeingStarted(vm)) {
      // Its definition is another one now.
      if (before === undefined || before.internal === 'Down') this.#entries.delete(id);
      return;
    }
    // A migration's target has the source's metadata until it ends; what is being destroyed will have none.
    if (vm.internal === 'Migration Destination' || registry.locks.running(id) === 'VM.destroy') return;
    const entry = this.#entries.get(id) ?? this.#newEntry(vm);
    entry.wanted = recordOf(vm, this.#pausedSec(vm, entry));
    if (!changedValues(entry.has, entry.wanted)) return;
    this.#due.add(id);
    this.#write();
  }

  #newEntry(vm: Vm): Entry {
    const has = recordIn(vm.domain?.metadata);
    const entry: Entry = { has, wanted: has, failures: 0 };
    this.#entries.set(vm.id, entry);
    return entry;
  }

  /** A pause that goes on has begun when the last record of it says. */
  #pausedSec(vm: Vm, { wanted }: Entry): number {
    const { pauseCode, pauseTime } = wanted;
    const goesOn = pauseCode !== undefined && errorPauseCode(vm) !== undefined;
    return goesOn && typeof pauseTime === 'number' ? pauseTime : this.parts.clock.nowMs() / 1000;
  }

  #wake(): void {
    this.#retry?.();
    this.#retry = undefined;
    this.#resting.clear();
    this.#write();
  }

  #write(): void {
    if (this.parts.hypervisor.status.state !== 'open') return;
    for (const id of this.#due) {
      if (this.#writing.size >= WIDTH) return;
      const entry = this.#entries.get(id);
      if (!entry || this.#writing.has(id) || this.#resting.has(id)) continue;
      this.#writing.add(id);
      void this.#writeOne(id, entry).finally(() => {
        this.#writing.delete(id);
        this.#write();
      });
    }
  }

  async #writeOne(id: VmId, entry: Entry): Promise<void> {
    const values = changedValues(entry.has, entry.wanted);
    if (values) {
      try {
        await this.parts.metadata.setValues(id, values);
        this.parts.metrics.metadata_writes_total.inc({ result: 'ok' });
      } catch (error) {
        if (this.#isToRepeat(id, entry, error)) this.#rest(id);
        else this.#settle(id, entry);
        return;
      }
      entry.has = { ...entry.has, ...values };
      entry.failures = 0;
    }
    if (!changedValues(entry.has, entry.wanted)) this.#settle(id, entry);
  }

  /** The entry may have given way to another VM's of the same id meanwhile. */
  #settle(id: VmId, entry: Entry): void {
    if (this.#entries.get(id) === entry) this.#due.delete(id);
  }

  #rest(id: VmId): void {
    this.#resting.add(id);
    this.#retry ??= this.parts.clock.after(RETRY_MS, () => this.#wake());
  }

  #isToRepeat(id: VmId, entry: Entry, error: unknown): boolean {
    const { metrics, log, registry } = this.parts;
    const kind = error instanceof HypervisorError ? error.kind : undefined;
    if (kind === 'unavailable') return true;
    // Destroyed, or never defined: there is nothing left that could outlive the agent.
    if (kind === 'no-domain') return false;
    if (kind !== 'denied' && ++entry.failures < MAX_FAILURES) {
      metrics.metadata_writes_total.inc({ result: 'repeated' });
      return true;
    }
    metrics.metadata_writes_total.inc({ result: 'given-up' });
    this.#quiet.run(`record ${kind}`, (swallowed) =>
      log.warn(
        { vmId: id, name: registry.get(id)?.name, err: error, swallowed },
        'The state of a VM could not be written into its metadata: a restart of the agent would not know it',
      ),
    );
    return false;
  }
}
