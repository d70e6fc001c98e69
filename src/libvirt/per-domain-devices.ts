/** Statistics of a domain's NICs and disks, call by call; the XML tells which there are. */
import type { DiskDevice, DomainDescription } from '../domain/devices.js';
import { BLOCK_COLUMNS, BlockColumn, NET_COLUMNS, NetColumn, StatsGroup } from '../domain/stats.js';
import { parseDomainXml } from './domain-xml.js';
import { setKnown, unknowns } from './per-domain-ask.js';
import type { Ask } from './per-domain-ask.js';
import type { Result } from './procedures.js';

const MAX_BLOCK_PARAMS = 16;

/** One device's row. */
export interface DeviceValues {
  readonly name: string;
  readonly path: string;
  readonly values: Float64Array;
}

/** Both empty where neither group is asked for, or the XML cannot be had. */
export async function readDevices(
  ask: Ask,
  groups: number,
): Promise<{ nets: DeviceValues[]; blocks: DeviceValues[] }> {
  const nets: DeviceValues[] = [];
  const blocks: DeviceValues[] = [];
  const wanted = groups & (StatsGroup.interface | StatsGroup.block);
  const domain = wanted ? await describe(ask) : undefined;
  if (domain && wanted & StatsGroup.interface) {
    for (const { target, passthrough } of domain.nics) {
      if (target !== '' && !passthrough) nets.push(await readNet(ask, target));
    }
  }
  if (domain && wanted & StatsGroup.block) {
    for (const disk of domain.disks) if (disk.target !== '') blocks.push(await readBlock(ask, disk));
  }
  return { nets, blocks };
}

async function describe(ask: Ask): Promise<DomainDescription | undefined> {
  const reply = await ask((call, dom, options) => call('DOMAIN_GET_XML_DESC', { dom, flags: 0 }, options));
  try {
    return reply && parseDomainXml(reply.xml);
  } catch {
    // Whoever describes the domain reports it; here it is one more answer that is missing.
    return undefined;
  }
}

async function readNet(ask: Ask, name: string): Promise<DeviceValues> {
  const values = unknowns(NET_COLUMNS);
  const stats = await ask((call, dom, options) =>
    call('DOMAIN_INTERFACE_STATS', { dom, device: name }, options),
  );
  for (const [field, column] of netFields) if (stats) setKnown(values, column, stats[field]);
  return { name, path: '', values };
}

const netFields: readonly (readonly [keyof Result<'DOMAIN_INTERFACE_STATS'>, number])[] = [
  ['rxBytes', NetColumn.rxBytes],
  ['rxPackets', NetColumn.rxPkts],
  ['rxErrs', NetColumn.rxErrs],
  ['rxDrop', NetColumn.rxDrop],
  ['txBytes', NetColumn.txBytes],
  ['txPackets', NetColumn.txPkts],
  ['txErrs', NetColumn.txErrs],
  ['txDrop', NetColumn.txDrop],
];

const blockColumns: ReadonlyMap<string, number> = new Map([
  ['rd_operations', BlockColumn.rdReqs],
  ['rd_bytes', BlockColumn.rdBytes],
  ['rd_total_times', BlockColumn.rdTimes],
  ['wr_operations', BlockColumn.wrReqs],
  ['wr_bytes', BlockColumn.wrBytes],
  ['wr_total_times', BlockColumn.wrTimes],
  ['flush_operations', BlockColumn.flReqs],
  ['flush_total_times', BlockColumn.flTimes],
]);

async function readBlock(ask: Ask, { target, source }: DiskDevice): Promise<DeviceValues> {
  const values = unknowns(BLOCK_COLUMNS);
  const wanted = { path: target, nparams: MAX_BLOCK_PARAMS, flags: 0 };
  const full = await ask((call, dom, options) =>
    call('DOMAIN_BLOCK_STATS_FLAGS', { dom, ...wanted }, options),
  );
  for (const { field, value } of full?.params ?? []) setKnown(values, blockColumns.get(field), Number(value));
  if (!full) await readOldBlock(ask, target, values);
  // A drive without medium has no sizes.
  if (source !== '') {
    const info = await ask((call, dom, options) =>
      call('DOMAIN_GET_BLOCK_INFO', { dom, path: target, flags: 0 }, options),
    );
    values[BlockColumn.allocation] = info?.allocation ?? NaN;
    values[BlockColumn.capacity] = info?.capacity ?? NaN;
    values[BlockColumn.physical] = info?.physical ?? NaN;
  }
  return { name: target, path: source, values };
}

/** Requests and bytes only; for drivers that have nothing better. */
async function readOldBlock(ask: Ask, target: string, values: Float64Array): Promise<void> {
  const stats = await ask((call, dom, options) => call('DOMAIN_BLOCK_STATS', { dom, path: target }, options));
  if (!stats) return;
  setKnown(values, BlockColumn.rdReqs, stats.rdReq);
  setKnown(values, BlockColumn.rdBytes, stats.rdBytes);
  setKnown(values, BlockColumn.wrReqs, stats.wrReq);
  setKnown(values, BlockColumn.wrBytes, stats.wrBytes);
}
