/**
 * The hypervisor port over libvirt's RPC.
 *
 * How it works:
 * 1. The events lane stays connected; on each new connection it registers all events, then `connected` is told.
 *    Its state is the adapter's state. The other lanes connect when they are needed.
 * 2. Each method picks the lane that fits what its procedure may wait for (see lanes.ts) and makes one call.
 * 3. Statistics go through stats-source.ts, XML of many domains through domain-xml-many.ts; the groups of calls that
 *    verbs need are in files of their own (power-calls.ts ... metadata-calls.ts).
 *
 * It keeps no state of domains but their names for messages. Events may arrive before `connected` is told.
 */
import type { DomainDescription } from '../domain/devices.js';
import { HypervisorError } from '../domain/hypervisor.js';
import type {
  CallOptions,
  ControlInfo,
  CpuTime,
  DiskError,
  DomainRef,
  DomainState,
  Hypervisor,
  HypervisorHostInfo,
  HypervisorListener,
  HypervisorStatus,
  StatsRequest,
} from '../domain/hypervisor.js';
import type {
  DeviceCalls,
  DiskCalls,
  GuestCalls,
  MetadataCalls,
  PowerCalls,
  SaveCalls,
  TuningCalls,
} from '../domain/hypervisor-verbs.js';
import type { VmId } from '../domain/ids.js';
import type { StatsBatch } from '../domain/stats.js';
import { RateLimiter } from '../util/log.js';
import type { Logger } from '../util/log.js';
import type { Metrics } from '../util/metrics.js';
import type { Clock } from '../util/time.js';
import type { WorkerPool } from '../util/workers.js';
import { cpuBandwidth } from './cpu-bandwidth.js';
import type { CpuBandwidth } from './cpu-bandwidth.js';
import { cpuTime } from './cpu-time.js';
import { describeMany } from './describe-many.js';
import { deviceCalls } from './device-calls.js';
import { diskCalls } from './disk-calls.js';
import { DomainCalls, refusesFlags } from './domain-calls.js';
import { DomainHandles } from './domain-handles.js';
import { DomainList } from './domain-list.js';
import { parseDomainXml } from './domain-xml.js';
import {
  AffectFlag,
  controlStates,
  CreateFlag,
  DestroyFlag,
  diskErrors,
  jobOperations,
  nameOf,
  reasonName,
  stateName,
  UndefineFlag,
} from './enumerations.js';
import { EventLane } from './event-lane.js';
import { readHostInfo } from './host-info.js';
import { guestCalls } from './guest-calls.js';
import { HangAudit } from './hang-audit.js';
import { LaneSet } from './lane-set.js';
import { metadataCalls } from './metadata-calls.js';
import type { DomainHandle } from './objects.js';
import { PacketPool } from './packet-pool.js';
import { powerCalls } from './power-calls.js';
import { saveCalls } from './save-calls.js';
import { StatsSource } from './stats-source.js';
import { tuningCalls } from './tuning-calls.js';
import type { LibvirtTarget } from './uri.js';

export interface LibvirtHypervisorDeps {
  readonly target: LibvirtTarget;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** From domainXmlWorkers(), for describeMany; the caller closes them. */
  readonly workers?: WorkerPool;
}

const MAX_DISK_ERRORS = 256;

export class LibvirtHypervisor implements Hypervisor {
  readonly #handles = new DomainHandles();
  readonly #events: EventLane;
  readonly #lanes: LaneSet;
  readonly #stats: StatsSource;
  readonly #list: DomainList;
  readonly #audit: HangAudit;
  readonly power: PowerCalls;
  readonly saving: SaveCalls;
  readonly devices: DeviceCalls;
  readonly tuning: TuningCalls;
  readonly disks: DiskCalls;
  readonly guest: GuestCalls;
  readonly metadata: MetadataCalls;

  constructor(private readonly deps: LibvirtHypervisorDeps) {
    const { target, clock, log, metrics } = deps;
    const packets = new PacketPool();
    const connectionDeps = { clock, log, metrics, limiter: new RateLimiter(clock), packets };
    this.#events = new EventLane(target, connectionDeps, this.#handles);
    this.#lanes = new LaneSet(target, connectionDeps);
    const lanes = this.#lanes.all.filter((lane) => lane !== this.#lanes.agent);
    this.#audit = new HangAudit({ ...connectionDeps, lanes, priority: this.#lanes.priority });
    this.#stats = new StatsSource(this.#handles, connectionDeps);
    this.#list = new DomainList(this.#handles, metrics);
    const domains = new DomainCalls(this.#lanes, this.#handles);
    this.power = powerCalls(domains);
    this.saving = saveCalls(domains);
    this.devices = deviceCalls(domains);
    this.tuning = tuningCalls(domains);
    this.disks = diskCalls(domains);
    this.guest = guestCalls(domains);
    this.metadata = metadataCalls(domains);
  }

  get status(): HypervisorStatus {
    return this.#events.status;
  }

  get stuckCalls(): number {
    return this.#lanes.hangingCalls;
  }

  addListener(listener: HypervisorListener): () => void {
    return this.#events.addListener(listener);
  }

  /** Resolves after the first attempt to connect, whatever came of it. */
  async start(signal: AbortSignal): Promise<void> {
    const onAbort = (): void => void this.stop();
    signal.addEventListener('abort', onAbort, { once: true });
    this.#audit.start();
    await this.#events.start();
    signal.removeEventListener('abort', onAbort);
  }

  async stop(): Promise<void> {
    this.#audit.stop();
    await Promise.all([this.#events, ...this.#lanes.all].map((lane) => lane.stop()));
  }

  listDomains(options?: CallOptions): Promise<DomainRef[]> {
    return this.#list.read(this.#lanes.priority, options);
  }

  async domainState(id: VmId, options?: CallOptions): Promise<DomainState> {
    const reply = await this.#lanes.priority.call('DOMAIN_GET_STATE', this.#on(id), options);
    const state = stateName(reply.state);
    return { state, reason: reasonName(state, reply.reason) };
  }

  async describe(id: VmId, options?: CallOptions): Promise<DomainDescription> {
    const description = this.parseXml(await this.#xml(id, options));
    if (description.id === id) return description;
    throw new HypervisorError('failed', `libvirt answered with the XML of ${description.id}, not of ${id}`);
  }

  describeMany(ids: readonly VmId[], options?: CallOptions): Promise<DomainDescription[]> {
    return describeMany((id) => this.#xml(id, options), ids, this.deps);
  }

  async controlInfo(id: VmId, options?: CallOptions): Promise<ControlInfo> {
    const reply = await this.#lanes.priority.call('DOMAIN_GET_CONTROL_INFO', this.#on(id), options);
    return { state: controlStates[reply.state] ?? 'error', sinceMs: reply.stateTime };
  }

  async cpuTime(id: VmId, options?: CallOptions): Promise<CpuTime> {
    return cpuTime(this.#lanes.free.call, this.#handles.get(id), options);
  }

  async diskErrors(id: VmId, options?: CallOptions): Promise<DiskError[]> {
    const request = { ...this.#on(id), maxErrors: MAX_DISK_ERRORS };
    const { errors } = await this.#lanes.backed.call('DOMAIN_GET_DISK_ERRORS', request, options);
    return errors.map(({ disk, error }) => ({ disk, error: diskErrors[error] ?? 'unspecified' }));
  }

  async activeJob(id: VmId, options?: CallOptions): Promise<string | undefined> {
    const { type, params } = await this.#lanes.backed.call('DOMAIN_GET_JOB_STATS', this.#on(id), options);
    if (type === 0) return undefined;
    const operation = params.find(({ field }) => field === 'operation')?.value;
    return nameOf(jobOperations, Number(operation));
  }

  scheduler(id: VmId, options?: CallOptions): Promise<CpuBandwidth> {
    return cpuBandwidth(this.#lanes.free.call, this.#on(id).dom, options);
  }

  stats(request: StatsRequest, options?: CallOptions): Promise<StatsBatch> {
    return this.#stats.stats(
      request.lane === 'free' ? this.#lanes.free : this.#lanes.backed,
      request,
      options,
    );
  }

  async suspend(id: VmId, options?: CallOptions): Promise<void> {
    await this.#lanes.verbs.call('DOMAIN_SUSPEND', this.#on(id), options);
  }

  async resume(id: VmId, options?: CallOptions): Promise<void> {
    await this.#lanes.verbs.call('DOMAIN_RESUME', this.#on(id), options);
  }

  async destroy(id: VmId, how: { readonly graceful: boolean }, options?: CallOptions): Promise<void> {
    const flags = how.graceful ? DestroyFlag.graceful : 0;
    await this.#lanes.destroy.call('DOMAIN_DESTROY_FLAGS', this.#on(id, flags), options);
  }

  async define(xml: string, options?: CallOptions): Promise<DomainRef> {
    const { dom } = await this.#lanes.priority.call('DOMAIN_DEFINE_XML_FLAGS', { xml, flags: 0 }, options);
    this.#handles.put(dom);
    return refOf(dom);
  }

  async launch(id: VmId, how: { readonly paused: boolean }, options?: CallOptions): Promise<void> {
    const request = this.#on(id, how.paused ? CreateFlag.paused : 0);
    const { dom } = await this.#lanes.starts.call('DOMAIN_CREATE_WITH_FLAGS', request, options);
    this.#handles.put(dom);
  }

  /** Drivers that know neither NVRAM nor checkpoints refuse the flags; there is nothing to remove then. */
  async undefine(id: VmId, options?: CallOptions): Promise<void> {
    const request = this.#on(id, UndefineFlag.nvram | UndefineFlag.checkpointsMetadata);
    try {
      await this.#lanes.priority.call('DOMAIN_UNDEFINE_FLAGS', request, options);
    } catch (error) {
      if (!refusesFlags(error)) throw error;
      await this.#lanes.priority.call('DOMAIN_UNDEFINE', this.#on(id), options);
    }
    this.#handles.forget(id);
  }

  async setMemoryStatsPeriod(id: VmId, periodSec: number, options?: CallOptions): Promise<void> {
    const request = { ...this.#on(id, AffectFlag.live), period: periodSec };
    await this.#lanes.backed.call('DOMAIN_SET_MEMORY_STATS_PERIOD', request, options);
  }

  parseXml(xml: string): DomainDescription {
    try {
      return parseDomainXml(xml);
    } catch (error) {
      if (error instanceof HypervisorError) throw error;
      const fault = error instanceof Error ? error.message : String(error);
      throw new HypervisorError('failed', `this is no domain XML: ${fault}`, { cause: error });
    }
  }

  hostInfo(options?: CallOptions): Promise<HypervisorHostInfo> {
    return readHostInfo(this.#lanes.priority.call, this.#lanes.verbs.call, options);
  }

  async #xml(id: VmId, options?: CallOptions): Promise<string> {
    const { xml } = await this.#lanes.free.call('DOMAIN_GET_XML_DESC', this.#on(id), options);
    return xml;
  }

  #on(id: VmId, flags = 0): { readonly dom: DomainHandle; readonly flags: number } {
    return { dom: this.#handles.get(id), flags };
  }
}

function refOf({ uuid, name, id }: DomainHandle): DomainRef {
  return { id: uuid, name, active: id !== -1 };
}
