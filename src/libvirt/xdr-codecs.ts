/**
 * Codecs that work in both directions, and their combinators: the agent writes arguments and reads results, the
 * simulator the other way round. A codec's TypeScript type is inferred: `CodecType<typeof dom>`.
 */
import { vmIdFromBytes, vmIdToBytes } from '../domain/ids.js';
import type { VmId } from '../domain/ids.js';
import type { XdrReader, XdrWriter } from './xdr.js';

export interface Codec<T> {
  write(writer: XdrWriter, value: T): void;
  read(reader: XdrReader): T;
}

export type CodecType<C> = C extends Codec<infer T> ? T : never;

/** libvirt's limit of one string, in calls and replies. */
export const MAX_STRING_BYTES = 4_194_304;

export const i32: Codec<number> = { write: (w, value) => w.i32(value), read: (r) => r.i32() };
export const u32: Codec<number> = { write: (w, value) => w.u32(value), read: (r) => r.u32() };
export const i64: Codec<number> = { write: (w, value) => w.i64(value), read: (r) => r.i64() };
export const u64: Codec<number> = { write: (w, value) => w.u64(value), read: (r) => r.u64() };
export const f64: Codec<number> = { write: (w, value) => w.f64(value), read: (r) => r.f64() };
/** Any non-zero is true, as libvirt reads it. */
export const bool: Codec<boolean> = {
  write: (w, value) => w.i32(value ? 1 : 0),
  read: (r) => r.i32() !== 0,
};
/** An empty body. Surplus bytes are ignored, as the daemon does. */
export const nothing: Codec<void> = { write: () => undefined, read: () => undefined };

/** For a moment. */
const rawId = new Uint8Array(16);

export const uuid: Codec<VmId> = {
  write: (w, value) => w.fixed(vmIdToBytes(value, rawId)),
  read: (r) => vmIdFromBytes(r.fixed(16)),
};

export function string(maxBytes: number): Codec<string> {
  return { write: (w, value) => w.string(value, maxBytes), read: (r) => r.string(maxBytes) };
}
export const str = string(MAX_STRING_BYTES);

/** Read as a view of the packet. */
export function opaque(maxBytes: number): Codec<Uint8Array> {
  return { write: (w, value) => w.opaque(value, maxBytes), read: (r) => r.opaque(maxBytes) };
}

export function optional<T>(codec: Codec<T>): Codec<T | undefined> {
  return {
    write(w, value) {
      w.u32(value === undefined ? 0 : 1);
      if (value !== undefined) codec.write(w, value);
    },
    read: (r) => (r.u32() === 0 ? undefined : codec.read(r)),
  };
}

/** Every element takes at least 4 bytes on the wire, so a count is checked against what is left before reading. */
export function array<T>(codec: Codec<T>, max: number): Codec<readonly T[]> {
  return {
    write(w, values) {
      w.count(values.length, max, 'elements');
      for (const value of values) codec.write(w, value);
    },
    read(r) {
      const count = r.count(max, 4);
      const values: T[] = [];
      for (let i = 0; i < count; i++) values.push(codec.read(r));
      return values;
    },
  };
}

/** C's `char[n]`: every character takes 4 bytes. Text up to the first NUL. */
export function charArray(length: number): Codec<string> {
  return {
    write(w, value) {
      const bytes = Buffer.from(value, 'utf8');
      for (let i = 0; i < length; i++) w.i32(i < length - 1 ? (bytes[i] ?? 0) : 0);
    },
    read: (r) => readChars(r, length),
  };
}

/** C's `char<>`: a count, then 4 bytes per character; libvirt counts the closing NUL. */
export function charList(max: number): Codec<string> {
  return {
    write(w, value) {
      const bytes = Buffer.from(`${value}\0`, 'utf8');
      w.count(bytes.length, max, 'characters');
      for (const byte of bytes) w.i32(byte);
    },
    read: (r) => readChars(r, r.count(max, 4)),
  };
}

function readChars(reader: XdrReader, count: number): string {
  const bytes = Buffer.alloc(count);
  for (let i = 0; i < count; i++) bytes[i] = reader.i32() & 0xff;
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? count : end);
}

type Fields = Readonly<Record<string, Codec<unknown>>>;
type OptionalKeys<F extends Fields> = {
  [K in keyof F]: undefined extends CodecType<F[K]> ? K : never;
}[keyof F];
/** Fields that may be absent on the wire may be left out of the object. */
type StructType<F extends Fields> = {
  readonly [K in Exclude<keyof F, OptionalKeys<F>>]: CodecType<F[K]>;
} & { readonly [K in OptionalKeys<F>]?: CodecType<F[K]> };

/** Fields in wire order. */
export function struct<F extends Fields>(fields: F): Codec<StructType<F>> {
  const entries = Object.entries(fields);
  return {
    write(w, value) {
      const record = value as Record<string, unknown>;
      for (const [name, codec] of entries) codec.write(w, record[name]);
    },
    read(r) {
      const record: Record<string, unknown> = {};
      for (const [name, codec] of entries) record[name] = codec.read(r);
      return record as StructType<F>;
    },
  };
}
