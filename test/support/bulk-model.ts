/**
 * What a bulk statistics record means, said in the plainest way: by name, with maps, one object per value. The
 * decoder is compared with it. `batchToPlain` brings a decoded batch into the same form.
 */
import {
  BLOCK_COLUMNS,
  BlockColumn,
  NET_COLUMNS,
  NetColumn,
  Scalar,
  SCALARS,
} from '../../src/domain/stats.js';
import type { StatsBatch } from '../../src/domain/stats.js';
import type { ReplyParam } from './bulk-reply.js';

export interface PlainDevice {
  readonly name: string;
  readonly path?: string;
  /** Only values that were sent. */
  readonly values: Readonly<Record<string, number>>;
}

export interface PlainVm {
  readonly id: string;
  readonly scalars: Readonly<Record<string, number>>;
  readonly nets: readonly PlainDevice[];
  readonly blocks: readonly PlainDevice[];
}

const scalarFields: Readonly<Record<keyof typeof Scalar, string>> = {
  state: 'state.state',
  reason: 'state.reason',
  cpuTime: 'cpu.time',
  cpuUser: 'cpu.user',
  cpuSystem: 'cpu.system',
  balloonCurrent: 'balloon.current',
  balloonMaximum: 'balloon.maximum',
  swapIn: 'balloon.swap_in',
  swapOut: 'balloon.swap_out',
  majorFault: 'balloon.major_fault',
  minorFault: 'balloon.minor_fault',
  unused: 'balloon.unused',
  available: 'balloon.available',
  usable: 'balloon.usable',
  diskCaches: 'balloon.disk_caches',
  lastUpdate: 'balloon.last-update',
  rss: 'balloon.rss',
  vcpuCurrent: 'vcpu.current',
  vcpuMaximum: 'vcpu.maximum',
};

/** `rdReqs` -> `rd.reqs`, `allocation` -> `allocation`. */
function deviceField(column: string): string {
  return column.replace(/[A-Z]/, (letter) => `.${letter.toLowerCase()}`);
}
const netFields = Object.keys(NetColumn).map(deviceField);
const blockFields = Object.keys(BlockColumn).map(deviceField);

export const scalarFieldNames: readonly string[] = Object.values(scalarFields);
export const netFieldNames: readonly string[] = netFields;
export const blockFieldNames: readonly string[] = blockFields;

/** By libvirt's names; the last of repeated fields counts. */
export function plainRecord(id: string, params: readonly ReplyParam[]): PlainVm {
  const numbers = new Map<string, number>();
  const texts = new Map<string, string>();
  const nets = new Set<number>();
  for (const { field, type, value } of params) {
    if (type === 'string') texts.set(field, String(value));
    else numbers.set(field, Number(value));
    const net = /^net\.(0|[1-9]\d{0,8})\../.exec(field);
    if (net) nets.add(Number(net[1]));
  }
  const disks = [...texts.keys()].map((field) => /^block\.(0|[1-9]\d{0,8})\.name$/.exec(field)?.[1]);
  const blocks = disks
    .filter((index) => index !== undefined)
    .map((index): [number, PlainDevice] => {
      const values = picked(numbers, blockFields, `block.${index}.`);
      const path = texts.get(`block.${index}.path`) ?? '';
      return [Number(index), { name: texts.get(`block.${index}.name`)!, path, values }];
    });
  const sorted = blocks.sort(([a], [b]) => a - b).map(([, block]) => block);
  return {
    id,
    scalars: picked(numbers, scalarFieldNames, ''),
    nets: [...nets]
      .sort((a, b) => a - b)
      .map((n) => ({
        name: texts.get(`net.${n}.name`) ?? '',
        values: picked(numbers, netFields, `net.${n}.`),
      })),
    blocks: sorted.filter(({ name }, at) => sorted.findIndex((other) => other.name === name) === at),
  };
}

function picked(
  numbers: ReadonlyMap<string, number>,
  fields: readonly string[],
  prefix: string,
): Record<string, number> {
  const found: Record<string, number> = {};
  for (const field of fields) {
    const value = numbers.get(prefix + field);
    if (value !== undefined) found[field] = value;
  }
  return found;
}

export function batchToPlain(batch: StatsBatch): PlainVm[] {
  return batch.vmIds.map((id, vm) => ({
    id,
    scalars: sent(batch.scalars, vm * SCALARS, scalarFieldNames),
    nets: range(batch.netStart, vm).map((row) => ({
      name: batch.netNames[row]!,
      values: sent(batch.net, row * NET_COLUMNS, netFields),
    })),
    blocks: range(batch.blockStart, vm).map((row) => ({
      name: batch.blockNames[row]!,
      path: batch.blockPaths[row]!,
      values: sent(batch.block, row * BLOCK_COLUMNS, blockFields),
    })),
  }));
}

function range(starts: Uint32Array, vm: number): number[] {
  const first = starts[vm]!;
  return Array.from({ length: starts[vm + 1]! - first }, (_, i) => first + i);
}

/** Column i has the name fields[i]: the contract numbers its columns from 0 in the order of their names. */
function sent(values: Float64Array, base: number, fields: readonly string[]): Record<string, number> {
  const found: Record<string, number> = {};
  fields.forEach((field, column) => {
    const value = values[base + column]!;
    if (!Number.isNaN(value)) found[field] = value;
  });
  return found;
}
