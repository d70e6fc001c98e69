/**
 * libvirt's typed parameters: named values whose type travels with them. The daemon demands the exact type of
 * each name in calls (an int where it wants an unsigned long long is error 8), so the type is explicit.
 */
import { array, bool, f64, i32, i64, str, struct, u32, u64 } from './xdr-codecs.js';
import type { Codec } from './xdr-codecs.js';
import { WireError } from './wire.js';

export type TypedParam = { readonly field: string } & (
  | { readonly type: 'int' | 'uint' | 'llong' | 'ullong' | 'double'; readonly value: number }
  | { readonly type: 'boolean'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
);
export type TypedParamType = TypedParam['type'];

export const TypedParamNumber = {
  int: 1,
  uint: 2,
  llong: 3,
  ullong: 4,
  double: 5,
  boolean: 6,
  string: 7,
} as const satisfies Record<TypedParamType, number>;

const valueCodecs: Readonly<Record<TypedParamType, Codec<unknown>>> = {
  int: i32,
  uint: u32,
  llong: i64,
  ullong: u64,
  double: f64,
  boolean: bool,
  string: str,
};
const typeNames = new Map<number, TypedParamType>(
  Object.entries(TypedParamNumber).map(([name, number]) => [number, name as TypedParamType]),
);

export const typedParam: Codec<TypedParam> = {
  write(w, param) {
    str.write(w, param.field);
    w.u32(TypedParamNumber[param.type]);
    valueCodecs[param.type].write(w, param.value);
  },
  read(r) {
    const field = str.read(r);
    const at = r.offset;
    const number = r.u32();
    const type = typeNames.get(number);
    if (!type) throw new WireError(`unknown type ${number} of parameter ${field}`, at);
    return { field, type, value: valueCodecs[type].read(r) } as TypedParam;
  },
};

export function typedParams(max: number): Codec<readonly TypedParam[]> {
  return array(typedParam, max);
}

/** Name -> value. Later duplicates win. */
export function paramRecord(params: readonly TypedParam[]): Record<string, number | string | boolean> {
  return Object.fromEntries(params.map(({ field, value }) => [field, value]));
}

/** Host statistics use pairs without a type. */
export const nodeStat = struct({ field: str, value: u64 });
