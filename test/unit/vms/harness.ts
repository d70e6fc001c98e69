/** The vms folder wired over a fake hypervisor and a manual clock, with every published event at hand. */
import type { VmId } from '../../../src/domain/ids.js';
import type { AgentEvent, Vm } from '../../../src/domain/vm.js';
import type { VerbInput, VerbResult } from '../../../src/protocol/verbs.js';
import { ParamsValidator } from '../../../src/protocol/validation.js';
import { createMetrics } from '../../../src/util/metrics.js';
import { silentLogger } from '../../../src/util/log.js';
import { ImageKeeper } from '../../../src/vms/image-keeper.js';
import { Jobs } from '../../../src/vms/jobs.js';
import { MetadataStore } from '../../../src/vms/metadata-store.js';
import { Operations } from '../../../src/vms/operations.js';
import type { ServedVerb } from '../../../src/vms/operations.js';
import { Reconciler } from '../../../src/vms/reconciler.js';
import { Recorder } from '../../../src/vms/recorder.js';
import { Registry } from '../../../src/vms/registry.js';
import type { DomainXmlOptions } from '../../support/fake-domain.js';
import { FakeFiles } from '../../support/fake-files.js';
import { FakeImages } from '../../support/fake-images.js';
import { FakeHypervisor } from '../../support/fake-hypervisor.js';
import { FakeLaunchFiles } from '../../support/fake-launch-files.js';
import { ManualClock, settle } from '../../support/manual-clock.js';

const params = new ParamsValidator();

/** What a VM_status event says of its VM. */
export function payloadOf({ vmId, params }: AgentEvent): Readonly<Record<string, unknown>> {
  return (vmId === undefined ? {} : params[vmId]) as Readonly<Record<string, unknown>>;
}

export class Harness {
  readonly clock = new ManualClock();
  readonly metrics = createMetrics();
  readonly published: AgentEvent[] = [];
  readonly registry: Registry;
  readonly reconciler: Reconciler;
  readonly jobs: Jobs;
  readonly files = new FakeFiles();
  readonly host = new FakeLaunchFiles();
  readonly images = new FakeImages();
  /** Agents beside this one that run. */
  readonly otherAgents = new Set<string>();
  readonly identity = { self: 'self', isOtherRunning: (agent: string) => this.otherAgents.has(agent) };
  /** The host, which goes down when a test says so. */
  readonly hostShutdown = {
    underWay: false,
    isFound: false,
    check: () => Promise.resolve(this.hostShutdown.isFound),
  };
  readonly store: MetadataStore;
  readonly recorder: Recorder;
  readonly #keeper: ImageKeeper;
  readonly operations: Operations;

  constructor(readonly hypervisor = new FakeHypervisor()) {
    const parts = { clock: this.clock, log: silentLogger, metrics: this.metrics, hypervisor };
    this.registry = new Registry({ ...parts, publish: (event) => this.published.push(event) });
    const withRegistry = { ...parts, registry: this.registry };
    this.#keeper = new ImageKeeper({ registry: this.registry, host: this.host });
    this.reconciler = new Reconciler({
      ...withRegistry,
      hostShutdown: this.hostShutdown,
      onReady: () => void this.#keeper.allKnown(),
    });
    this.jobs = new Jobs({ ...parts, publish: (event) => this.published.push(event) });
    this.store = new MetadataStore({ ...parts, vms: this.registry });
    this.recorder = new Recorder({ ...withRegistry, metadata: this.store });
    this.operations = new Operations({
      ...withRegistry,
      jobs: this.jobs,
      metadata: this.store,
      files: this.files,
      host: this.host,
      parallelStarts: 4,
      images: this.images,
      identity: this.identity,
      isReady: () => this.reconciler.ready,
    });
  }

  /** Starts and lets the first pass end; events of the adoption are dropped unless asked for. */
  async start(keepEvents = false): Promise<this> {
    await this.recorder.start();
    await this.#keeper.start();
    await this.reconciler.start();
    await this.operations.start();
    await this.rest();
    if (!keepEvents) this.published.length = 0;
    return this;
  }

  /** As a stop of the agent. */
  async stop(): Promise<void> {
    const parts = [this.operations, this.reconciler, this.#keeper, this.recorder];
    for (const part of parts) await part.stop();
  }

  /** Calls a verb as the API does; what has a default may be left out. */
  async run<V extends ServedVerb>(
    verb: V,
    id: VmId,
    input: Partial<VerbInput<V>> = {},
  ): Promise<VerbResult<V>> {
    const table = this.operations.verbs as Readonly<
      Record<V, (id: VmId, input: VerbInput<V>) => Promise<VerbResult<V>>>
    >;
    return table[verb](id, params.validate(verb, { vmID: id, ...input }));
  }

  /** Lets everything under way come to its end. */
  async rest(): Promise<void> {
    await settle(20);
  }

  vm(id: VmId): Vm {
    const vm = this.registry.get(id);
    if (!vm) throw new Error(`no VM ${id}`);
    return vm;
  }

  status(id: VmId): string | undefined {
    return this.registry.get(id)?.status;
  }

  /** The payloads of a VM's events so far. */
  payloads(id?: VmId): Readonly<Record<string, unknown>>[] {
    return this.published.filter((event) => id === undefined || event.vmId === id).map(payloadOf);
  }

  statuses(id?: VmId): unknown[] {
    return this.payloads(id).map(({ status }) => status);
  }

  async counted(name: 'reconcile_corrections_total' | 'vm_events_unknown_total'): Promise<number> {
    return (await this.metrics[name].get()).values[0]?.value ?? 0;
  }
}

/** A started harness with one running VM, of id fakeId(1). */
export async function withVm(options?: DomainXmlOptions): Promise<Harness> {
  const harness = new Harness();
  harness.hypervisor.addDomain(1, undefined, options);
  return harness.start();
}
