/**
 * Statistics of many domains as columns: libvirt's bulk call where it answers fully, per-domain calls where it
 * does not. libvirt's test driver and daemons without cgroups leave out the CPU time of running domains although
 * asked. That the bulk call is good is remembered; that it is not is believed for one answer, since a domain that was
 * just ending may have looked so, and calls per domain are dear.
 */
import { HypervisorError } from '../domain/hypervisor.js';
import type { CallOptions, StatsRequest } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import { Scalar, SCALARS, StatsBatchBuilder, StatsGroup } from '../domain/stats.js';
import type { StatsBatch } from '../domain/stats.js';
import { BulkStatsDecoder } from './bulk-stats.js';
import type { ConnectionDeps } from './connection.js';
import type { DomainHandles } from './domain-handles.js';
import { domainStates, ListFlag, StatsFlag } from './enumerations.js';
import type { Lane } from './lanes.js';
import { perDomainStats } from './per-domain-stats.js';
import { HEADER_BYTES } from './wire.js';

const RUNNING = domainStates.indexOf('running');

export class StatsSource {
  readonly #decoder: BulkStatsDecoder;
  #bulk: 'unknown' | 'full' | 'partial' = 'unknown';

  constructor(
    private readonly handles: DomainHandles,
    private readonly deps: Pick<ConnectionDeps, 'log' | 'limiter' | 'metrics' | 'packets'>,
  ) {
    this.#decoder = new BulkStatsDecoder({
      onLayoutMiss: () => deps.metrics.stats_layout_misses_total.inc(),
    });
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
      const { limiter, log, metrics } = this.deps;
      metrics.libvirt_malformed_total.inc({ kind: 'stats' });
      limiter.run('malformed stats', (swallowed) =>
        log.warn({ err: error, swallowed }, 'libvirt sent bulk statistics that cannot be decoded'),
      );
      throw new HypervisorError('failed', "libvirt's bulk statistics are garbled", { cause: error });
    } finally {
      // A batch holds nothing of the packet.
      this.deps.packets?.give(packet);
    }
  }

  /** True where not one of the running domains has it, and there are some. */
  #lacksCpuTime(groups: number, batch: StatsBatch): boolean {
    if (this.#bulk === 'full' || (groups & StatsGroup.cpu) === 0) return false;
    let running = 0;
    for (let vm = 0; vm < batch.vmCount; vm++) {
      if (batch.scalars[vm * SCALARS + Scalar.state] !== RUNNING) continue;
      running++;
      if (Number.isNaN(batch.scalars[vm * SCALARS + Scalar.cpuTime])) continue;
      this.#bulk = 'full';
      return false;
    }
    return running > 0;
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
