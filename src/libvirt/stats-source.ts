/**
 * Statistics of many domains as columns: libvirt's bulk call where it answers fully, per-domain calls where it
 * does not. libvirt's test driver and daemons without cgroups leave out the CPU time of running domains although
 * asked; that is noticed once and remembered.
 */
import { HypervisorError } from '../domain/hypervisor.js';
import type { CallOptions, StatsRequest } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import { Scalar, SCALARS, StatsBatchBuilder, StatsGroup } from '../domain/stats.js';
import type { StatsBatch } from '../domain/stats.js';
import type { Metrics } from '../util/metrics.js';
import { BulkStatsDecoder } from './bulk-stats.js';
import type { DomainHandles } from './domain-handles.js';
import { domainStates, ListFlag, StatsFlag } from './enumerations.js';
import type { Lane } from './lanes.js';
import type { PacketPool } from './packet-pool.js';
import { perDomainStats } from './per-domain-stats.js';
import { HEADER_BYTES } from './wire.js';

const RUNNING = domainStates.indexOf('running');

export class StatsSource {
  readonly #decoder: BulkStatsDecoder;
  /** Whether the bulk call answers all that it is asked for. */
  #bulk: 'unknown' | 'full' | 'partial' = 'unknown';

  constructor(
    private readonly handles: DomainHandles,
    private readonly metrics: Metrics,
    private readonly packets: PacketPool,
  ) {
    this.#decoder = new BulkStatsDecoder({ onLayoutMiss: () => metrics.stats_layout_misses_total.inc() });
  }

  async stats(lane: Lane, request: StatsRequest, options?: CallOptions): Promise<StatsBatch> {
    // The bulk call takes no ids for all domains, running or not.
    if (request.ids?.length === 0) return new StatsBatchBuilder(0);
    if (this.#bulk === 'unknown') {
      const { type } = await lane.call('CONNECT_GET_TYPE', undefined, options);
      if (type.toLowerCase() === 'test') this.#bulk = 'partial';
    }
    if (this.#bulk !== 'partial') {
      const batch = await this.#bulkStats(lane, { ...request, groups: withState(request.groups) }, options);
      if (!this.#lacksCpuTime(request.groups, batch)) return batch;
    }
    const ids = request.ids ?? (await this.#activeIds(lane, options));
    return perDomainStats(lane.call, ids, request.groups, options);
  }

  async #bulkStats(lane: Lane, request: StatsRequest, options?: CallOptions): Promise<StatsBatch> {
    const { groups, ids } = request;
    const flags = ids ? StatsFlag.nowait : StatsFlag.nowait + StatsFlag.active;
    const doms = ids?.map((id) => this.handles.get(id)) ?? [];
    const packet = await lane.callRaw(
      'CONNECT_GET_ALL_DOMAIN_STATS',
      { doms, stats: groups, flags },
      options,
    );
    try {
      return this.#decoder.decode(packet, HEADER_BYTES);
    } catch (error) {
      this.metrics.libvirt_malformed_total.inc({ kind: 'stats' });
      throw new HypervisorError('failed', "libvirt's bulk statistics are garbled", { cause: error });
    } finally {
      // A batch holds nothing of the packet.
      this.packets.give(packet);
    }
  }

  /** One running domain tells for ever; a host that has none is looked at again next time. */
  #lacksCpuTime(groups: number, batch: StatsBatch): boolean {
    if (this.#bulk === 'full' || (groups & StatsGroup.cpu) === 0) return false;
    for (let vm = 0; vm < batch.vmCount; vm++) {
      if (batch.scalars[vm * SCALARS + Scalar.state] !== RUNNING) continue;
      this.#bulk = Number.isNaN(batch.scalars[vm * SCALARS + Scalar.cpuTime]) ? 'partial' : 'full';
      return this.#bulk === 'partial';
    }
    return false;
  }

  async #activeIds(lane: Lane, options?: CallOptions): Promise<VmId[]> {
    const request = { needResults: 1, flags: ListFlag.active };
    const { domains } = await lane.call('CONNECT_LIST_ALL_DOMAINS', request, options);
    return domains.map(({ uuid }) => uuid);
  }
}

/** The state says which domains must have CPU time; it costs nothing and touches no monitor. */
function withState(groups: number): number {
  return groups & StatsGroup.cpu ? groups | StatsGroup.state : groups;
}
