/** How one row of a procedure table looks, and helpers that keep the tables short. */
import { Program } from './wire.js';
import { nothing, struct, u32 } from './xdr-codecs.js';
import type { Codec, CodecType } from './xdr-codecs.js';
import { dom } from './objects.js';

export interface Procedure<A = unknown, R = unknown> {
  readonly program: number;
  readonly number: number;
  readonly args: Codec<A>;
  readonly result: Codec<R>;
  /** Measured: the daemon may run it on a priority worker, so it answers while all ordinary ones hang. */
  readonly priority: boolean;
}

export type ArgsOf<P> = P extends Procedure<infer A> ? A : never;
export type ResultOf<P> = P extends { readonly result: Codec<unknown> } ? CodecType<P['result']> : never;

/** Ordinary workers only. */
export function low<A, R>(number: number, args: Codec<A>, result: Codec<R>): Procedure<A, R> {
  return { program: Program.remote, number, args, result, priority: false };
}

/** Ordinary or priority workers. */
export function high<A, R>(number: number, args: Codec<A>, result: Codec<R>): Procedure<A, R> {
  return { program: Program.remote, number, args, result, priority: true };
}

export function qemu<A, R>(
  number: number,
  args: Codec<A>,
  result: Codec<R>,
  priority = false,
): Procedure<A, R> {
  return { program: Program.qemu, number, args, result, priority };
}

/** The two commonest argument lists. */
export const onDom = struct({ dom });
export const onDomFlags = struct({ dom, flags: u32 });
export const none = nothing;
