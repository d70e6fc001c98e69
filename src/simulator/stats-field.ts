/** One field of the table of bulk statistics: its name, group and type, and where its value comes from. */
import type { TypedParamType } from '../libvirt/typed-params.js';
import type { SimulatedDomain } from './domain.js';

export type Source =
  | {
      readonly kind: 'counter';
      readonly perSec: number;
      readonly factor: number;
      /** Seconds that the domain had run when the device was plugged in; absent: it was there from the start. */
      readonly sinceSec?: (domain: SimulatedDomain) => number;
    }
  | { readonly kind: 'gauge'; readonly read: (domain: SimulatedDomain) => number }
  | { readonly kind: 'text'; readonly read: (domain: SimulatedDomain) => string };

export interface StatsField {
  readonly name: string;
  readonly group: number;
  readonly type: TypedParamType;
  readonly source: Source;
  /** Only QEMU's monitor knows it. */
  readonly monitor: boolean;
  /** Told of inactive domains too. */
  readonly inactive: boolean;
}

export interface Marks {
  readonly monitor?: boolean;
  readonly inactive?: boolean;
}
/** Only QEMU's monitor knows it. */
export const fromMonitor: Marks = { monitor: true };
/** Told of inactive domains too. */
export const always: Marks = { inactive: true };

export function field(
  name: string,
  group: number,
  type: TypedParamType,
  source: Source,
  marks: Marks = {},
): StatsField {
  return { name, group, type, source, monitor: marks.monitor ?? false, inactive: marks.inactive ?? false };
}

export function gauge(
  name: string,
  group: number,
  type: TypedParamType,
  read: (domain: SimulatedDomain) => number,
  marks?: Marks,
): StatsField {
  return field(name, group, type, { kind: 'gauge', read }, marks);
}

export function counter(
  name: string,
  group: number,
  perSec: number,
  factor: number,
  marks?: Marks,
): StatsField {
  return field(name, group, 'ullong', { kind: 'counter', perSec, factor }, marks);
}

export function deviceCounter(
  name: string,
  group: number,
  source: Omit<Extract<Source, { kind: 'counter' }>, 'kind'>,
  marks?: Marks,
): StatsField {
  return field(name, group, 'ullong', { kind: 'counter', ...source }, marks);
}
