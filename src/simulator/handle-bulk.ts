/**
 * CONNECT_GET_ALL_DOMAIN_STATS: which domains, in which mode each, and the reply's bytes.
 *
 * Domains whose QEMU hangs are met in order, as the daemon meets them; when all have answered or were
 * skipped, the records are written in one go, so that a reply shows one moment.
 */
import { MAX_DOMAINS } from '../libvirt/objects.js';
import type { Args } from '../libvirt/procedures.js';
import { MAX_BODY_BYTES, WireError } from '../libvirt/wire.js';
import { XdrWriter } from '../libvirt/xdr.js';
import { RawBody } from './call.js';
import type { Call, Handlers } from './call.js';
import type { SimulatedDomain } from './domain.js';
import { passesFilter } from './domain-filter.js';
import { Fault } from './fault.js';
import { ALL_GROUPS, ExtraGroup } from './stats-fields.js';
import { StatsGroup } from '../domain/stats.js';
import type { RecordMode } from './stats-table.js';

const FILTER_BITS = 0xff;
const NOWAIT = 0x2000_0000;
const BACKING = 0x4000_0000;
const ENFORCE = 0x8000_0000;
const KNOWN_FLAGS = (FILTER_BITS | NOWAIT | BACKING | ENFORCE) >>> 0;
/** These are answered without QEMU. */
const FREE_GROUPS = StatsGroup.state | StatsGroup.interface | ExtraGroup.perf | ExtraGroup.memory;

type BulkArgs = Args<'CONNECT_GET_ALL_DOMAIN_STATS'>;

export const bulkHandlers = {
  CONNECT_GET_ALL_DOMAIN_STATS(call, args) {
    const groups = requestedGroups(args);
    const domains = selectDomains(call, args);
    const backed = (groups & ~FREE_GROUPS) !== 0;
    const active = backed ? domains.filter((domain) => domain.active) : [];
    const hung = active.filter((domain) => domain.monitor.hung);
    if (hung.length > 0) return bulkWithHung(call, { args, groups, domains, hung });
    const wait = call.serve(active.length);
    const encode = () => encodeRecords(call, domains, groups, new Set());
    return wait ? wait.then(encode) : encode();
  },
} as const satisfies Handlers;

function requestedGroups(args: BulkArgs): number {
  if ((args.flags & ~KNOWN_FLAGS) !== 0) {
    throw new Fault('invalid-argument', `unsupported flags (0x${(args.flags & ~KNOWN_FLAGS).toString(16)})`);
  }
  if ((args.flags & ENFORCE) !== 0 && (args.stats & ~ALL_GROUPS) !== 0) {
    throw new Fault('argument-unsupported', 'Stats types bits are not supported by this daemon');
  }
  return args.stats === 0 ? ALL_GROUPS : args.stats & ALL_GROUPS;
}

function selectDomains(call: Call, args: BulkArgs): SimulatedDomain[] {
  const candidates =
    args.doms.length === 0
      ? [...call.host.domains]
      : args.doms.map(({ uuid }) => call.host.find(uuid)).filter((domain) => domain !== undefined);
  return candidates.filter((domain) => passesFilter(domain, args.flags & FILTER_BITS));
}

interface Round {
  readonly args: BulkArgs;
  readonly groups: number;
  readonly domains: readonly SimulatedDomain[];
  readonly hung: readonly SimulatedDomain[];
}

async function bulkWithHung(call: Call, round: Round): Promise<RawBody> {
  const nowait = (round.args.flags & NOWAIT) !== 0;
  const skipped = new Set<SimulatedDomain>();
  await call.serve(round.domains.length - round.hung.length);
  for (const domain of round.hung) {
    if (nowait && domain.monitor.occupiedMs !== undefined) {
      skipped.add(domain);
      continue;
    }
    try {
      await domain.monitor.enter();
    } catch (error) {
      if (!(error instanceof Fault) || error.fault === 'internal') throw error;
      skipped.add(domain); // the lock was not to be had in time: the partial record
    }
  }
  const alive = round.domains.filter((domain) => call.host.find(domain.uuid) === domain);
  return encodeRecords(call, alive, round.groups, skipped);
}

function encodeRecords(
  call: Call,
  domains: readonly SimulatedDomain[],
  groups: number,
  skipped: ReadonlySet<SimulatedDomain>,
): RawBody {
  const templates = domains.map((domain) => {
    const mode: RecordMode = !domain.active ? 'inactive' : skipped.has(domain) ? 'partial' : 'full';
    return call.host.stats.of(domain).template(groups, mode);
  });
  const expectedBytes = templates.reduce((sum, template) => sum + template.expectedBytes, 4);
  const writer = new XdrWriter(Math.min(MAX_BODY_BYTES, expectedBytes));
  try {
    writer.count(domains.length, MAX_DOMAINS, 'records');
    for (const [index, domain] of domains.entries()) templates[index]!.write(writer, domain);
  } catch (error) {
    if (error instanceof WireError) throw new Fault('rpc', 'Unable to encode message payload');
    throw error;
  }
  return new RawBody(writer);
}
