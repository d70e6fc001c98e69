/**
 * The layout of one bulk statistics record: which parameters come in which order with which types, and where each
 * value goes. It is made from nothing but the names and types, so records with equal names and types share one.
 *
 * Does not look at values. Invariant: an op's destination lies inside the rows that `nets` and `blocks` announce.
 */
import { BLOCK_COLUMNS, BlockColumn, NET_COLUMNS, NetColumn, Scalar } from '../domain/stats.js';
import { TypedParamNumber } from './typed-params.js';

/** What to do with a value. The low four bits of an op; the number of words to compare stands above them. */
export const Op = {
  skip4: 0,
  skip8: 1,
  i32: 2,
  u32: 3,
  i64: 4,
  u64: 5,
  f64: 6,
  /** This one and those after it: texts. */
  skipText: 7,
  netName: 8,
  blockName: 9,
  blockPath: 10,
} as const;
export const OP_BITS = 4;

/** Table of a numeric destination: its two low bits; the index relative to the record's first row stands above. */
export const Table = { scalar: 0, net: 1, block: 2 } as const;
export const TABLE_BITS = 2;

export interface StatsLayout {
  /** What is compared of each parameter: length word, name and padding, type word, as on the wire. */
  readonly words: Int32Array;
  readonly ops: Int32Array;
  /** Words of the name, just before the type, that need not be compared. */
  readonly gaps: Int32Array;
  /** Numbers: index and table. Texts: the row. Skipped: 0. */
  readonly destinations: Int32Array;
  /** Words of a record after its parameter count, if every text were empty. */
  readonly minWords: number;
  readonly nets: number;
  readonly blocks: number;
}

/** Value words by wire type; a text's length word is one. 0: no such type. */
export const VALUE_WORDS: readonly number[] = [0, 1, 1, 2, 2, 2, 1, 1];

const NUMERIC_OPS: Readonly<Record<number, number>> = {
  [TypedParamNumber.int]: Op.i32,
  [TypedParamNumber.uint]: Op.u32,
  [TypedParamNumber.llong]: Op.i64,
  [TypedParamNumber.ullong]: Op.u64,
  [TypedParamNumber.double]: Op.f64,
  [TypedParamNumber.boolean]: Op.i32,
};

const scalarColumns: ReadonlyMap<string, number> = new Map([
  ['state.state', Scalar.state],
  ['state.reason', Scalar.reason],
  ['cpu.time', Scalar.cpuTime],
  ['cpu.user', Scalar.cpuUser],
  ['cpu.system', Scalar.cpuSystem],
  ['balloon.current', Scalar.balloonCurrent],
  ['balloon.maximum', Scalar.balloonMaximum],
  ['balloon.swap_in', Scalar.swapIn],
  ['balloon.swap_out', Scalar.swapOut],
  ['balloon.major_fault', Scalar.majorFault],
  ['balloon.minor_fault', Scalar.minorFault],
  ['balloon.unused', Scalar.unused],
  ['balloon.available', Scalar.available],
  ['balloon.usable', Scalar.usable],
  ['balloon.disk_caches', Scalar.diskCaches],
  ['balloon.last-update', Scalar.lastUpdate],
  ['balloon.rss', Scalar.rss],
  ['vcpu.current', Scalar.vcpuCurrent],
  ['vcpu.maximum', Scalar.vcpuMaximum],
]);

const netColumns: ReadonlyMap<string, number> = new Map([
  ['rx.bytes', NetColumn.rxBytes],
  ['rx.pkts', NetColumn.rxPkts],
  ['rx.errs', NetColumn.rxErrs],
  ['rx.drop', NetColumn.rxDrop],
  ['tx.bytes', NetColumn.txBytes],
  ['tx.pkts', NetColumn.txPkts],
  ['tx.errs', NetColumn.txErrs],
  ['tx.drop', NetColumn.txDrop],
]);

const blockColumns: ReadonlyMap<string, number> = new Map([
  ['rd.reqs', BlockColumn.rdReqs],
  ['rd.bytes', BlockColumn.rdBytes],
  ['rd.times', BlockColumn.rdTimes],
  ['wr.reqs', BlockColumn.wrReqs],
  ['wr.bytes', BlockColumn.wrBytes],
  ['wr.times', BlockColumn.wrTimes],
  ['fl.reqs', BlockColumn.flReqs],
  ['fl.times', BlockColumn.flTimes],
  ['allocation', BlockColumn.allocation],
  ['capacity', BlockColumn.capacity],
  ['physical', BlockColumn.physical],
  ['threshold', BlockColumn.threshold],
]);

/** Longer names than libvirt allows are none of ours. */
const MAX_FIELD_BYTES = 79;
const DEVICE_FIELD = /^(net|block)\.(0|[1-9]\d{0,8})\.(.+)$/;

/**
 * Names that begin so are never ours, whatever follows: with KVM two thirds of a record are counters per vCPU. Of
 * these the length and the first two words are compared, which hold the whole prefix.
 */
const NEVER_OURS = /^vcpu\.\d/;
const PREFIX_WORDS = 2;

interface DeviceField {
  readonly param: number;
  readonly device: 'net' | 'block';
  readonly index: number;
  readonly field: string;
  readonly type: number;
}

/** @param words names and types of a record that was walked already: lengths and types are valid */
export function createLayout(words: Int32Array, start: number, length: number): StatsLayout {
  const bytes = Buffer.from(words.buffer, words.byteOffset + start * 4, length * 4);
  const compared: number[] = [];
  const ops: number[] = [];
  const gaps: number[] = [];
  const destinations: number[] = [];
  const devices: DeviceField[] = [];
  let minWords = length;
  for (let at = 0; at < length;) {
    const nameBytes = bytes.readUInt32BE(at * 4);
    const typeAt = at + 1 + ((nameBytes + 3) >>> 2);
    const type = bytes.readUInt32BE(typeAt * 4);
    const name =
      nameBytes <= MAX_FIELD_BYTES ? bytes.toString('latin1', at * 4 + 4, at * 4 + 4 + nameBytes) : '';
    const column = scalarColumns.get(name);
    const numeric = NUMERIC_OPS[type];
    const device = column === undefined ? DEVICE_FIELD.exec(name) : null;
    if (device) {
      const [, kind, index, field] = device as unknown as [string, 'net' | 'block', string, string];
      devices.push({ param: ops.length, device: kind, index: Number(index), field, type });
    }
    const known = column !== undefined && numeric !== undefined;
    const gap = NEVER_OURS.test(name) ? typeAt - at - 1 - PREFIX_WORDS : 0;
    for (let i = at; i < typeAt - gap; i++) compared.push(words[start + i]!);
    compared.push(words[start + typeAt]!);
    ops.push(((typeAt + 1 - gap - at) << OP_BITS) | (known ? numeric : skipOp(type)));
    gaps.push(gap);
    destinations.push(known ? (column << TABLE_BITS) | Table.scalar : 0);
    minWords += VALUE_WORDS[type]!;
    at = typeAt + 1;
  }
  const layout = {
    words: Int32Array.from(compared),
    ops: Int32Array.from(ops),
    gaps: Int32Array.from(gaps),
    destinations: Int32Array.from(destinations),
    minWords,
  };
  return { ...layout, ...placeDevices(devices, layout.ops, layout.destinations) };
}

function skipOp(type: number): number {
  if (type === TypedParamNumber.string) return Op.skipText;
  return VALUE_WORDS[type] === 2 ? Op.skip8 : Op.skip4;
}

/**
 * Gives each device a row, by ascending index whatever the order of arrival and the gaps. A block device without
 * a name gets none: so libvirt tells of lower members of a backing chain.
 */
function placeDevices(
  devices: readonly DeviceField[],
  ops: Int32Array,
  destinations: Int32Array,
): { nets: number; blocks: number } {
  const nets = rowsByIndex(devices.filter(({ device }) => device === 'net'));
  const blocks = rowsByIndex(
    devices.filter(({ device, field, type }) => device === 'block' && field === 'name' && isText(type)),
  );
  for (const { param, device, index, field, type } of devices) {
    const row = (device === 'net' ? nets : blocks).get(index);
    if (row === undefined) continue;
    const op = isText(type) ? textOp(device, field) : NUMERIC_OPS[type];
    const column = (device === 'net' ? netColumns : blockColumns).get(field);
    if (op === undefined || (column === undefined && !isText(type))) continue;
    ops[param] = (ops[param]! & -(1 << OP_BITS)) | op;
    if (isText(type)) destinations[param] = row;
    else if (device === 'net')
      destinations[param] = ((row * NET_COLUMNS + column!) << TABLE_BITS) | Table.net;
    else destinations[param] = ((row * BLOCK_COLUMNS + column!) << TABLE_BITS) | Table.block;
  }
  return { nets: nets.size, blocks: blocks.size };
}

function isText(type: number): boolean {
  return type === TypedParamNumber.string;
}

function textOp(device: 'net' | 'block', field: string): number | undefined {
  if (device === 'net') return field === 'name' ? Op.netName : undefined;
  if (field === 'name') return Op.blockName;
  return field === 'path' ? Op.blockPath : undefined;
}

function rowsByIndex(devices: readonly DeviceField[]): Map<number, number> {
  const indices = [...new Set(devices.map(({ index }) => index))].sort((a, b) => a - b);
  return new Map(indices.map((index, row) => [index, row]));
}
