/**
 * Values remembered by the words they were made from, so that a reply whose strings and ids are those of the last
 * one allocates nothing: names, paths, VM ids and record layouts all come from here.
 *
 * A key is a run of 32-bit words as they stood on the wire; a hit is verified word by word. Bounded: a pool that
 * is full forgets everything and fills again. The hash is seeded per process, so nobody can aim at its chains.
 */
import { randomBytes } from 'node:crypto';
import { vmIdFromBytes } from '../domain/ids.js';
import type { VmId } from '../domain/ids.js';

const seed = randomBytes(4).readInt32LE(0);
const FIRST_SLOTS = 256;

export interface PoolLimits {
  readonly maxEntries: number;
  /** Words of all keys together. */
  readonly maxWords: number;
  /** A longer key is served, but not kept. */
  readonly maxKeyWords: number;
}

/** Makes the value of a key. Must depend on those words alone, and keep no reference to `words`. */
export type FromWords<T> = (words: Int32Array, start: number, length: number) => T;

export class WordPool<T> {
  readonly #create: FromWords<T>;
  readonly #limits: PoolLimits;
  /** Entry index + 1, 0 where free; a power of two in length, at most half full. */
  #slots = new Int32Array(FIRST_SLOTS);
  #values: T[] = [];
  /** Where each entry's key begins in the arena; one more for the end of the last. */
  #starts: number[] = [0];
  #hashes: number[] = [];
  #arena = new Int32Array(1024);

  constructor(create: FromWords<T>, limits: PoolLimits) {
    this.#create = create;
    this.#limits = limits;
  }

  get size(): number {
    return this.#values.length;
  }

  /** The value of `words[start .. start + length]`, made at the first sight of them. */
  get(words: Int32Array, start: number, length: number): T {
    const hash = hashOf(words, start, length);
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = this.#slots[slot]! - 1;
      if (entry < 0) break;
      if (this.#hashes[entry] === hash && this.#equals(entry, words, start, length))
        return this.#values[entry]!;
    }
    const value = this.#create(words, start, length);
    if (length <= this.#limits.maxKeyWords) this.#keep(value, hash, words.subarray(start, start + length));
    return value;
  }

  clear(): void {
    this.#slots = new Int32Array(FIRST_SLOTS);
    this.#values = [];
    this.#starts = [0];
    this.#hashes = [];
    this.#arena = new Int32Array(1024);
  }

  #equals(entry: number, words: Int32Array, start: number, length: number): boolean {
    const at = this.#starts[entry]!;
    if (this.#starts[entry + 1]! - at !== length) return false;
    const arena = this.#arena;
    for (let i = 0; i < length; i++) if (arena[at + i] !== words[start + i]) return false;
    return true;
  }

  #keep(value: T, hash: number, key: Int32Array): void {
    const end = this.#starts[this.#values.length]! + key.length;
    if (this.#values.length >= this.#limits.maxEntries || end > this.#limits.maxWords) {
      this.clear();
      if (key.length <= this.#limits.maxWords) this.#keep(value, hash, key);
      return;
    }
    if (end > this.#arena.length) {
      const larger = new Int32Array(Math.max(end, this.#arena.length * 2));
      larger.set(this.#arena);
      this.#arena = larger;
    }
    this.#arena.set(key, end - key.length);
    this.#starts.push(end);
    this.#hashes.push(hash);
    this.#values.push(value);
    if (this.#values.length * 2 > this.#slots.length) this.#rehash();
    else this.#insert(this.#values.length - 1);
  }

  #rehash(): void {
    this.#slots = new Int32Array(this.#slots.length * 2);
    for (let entry = 0; entry < this.#values.length; entry++) this.#insert(entry);
  }

  #insert(entry: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.#hashes[entry]! & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = entry + 1;
  }
}

function hashOf(words: Int32Array, start: number, length: number): number {
  let hash = seed ^ length;
  for (let i = start; i < start + length; i++) {
    hash = Math.imul(hash ^ words[i]!, 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash ^ (hash >>> 13), 0x85ebca6b);
  return hash ^ (hash >>> 16);
}

/** An XDR string: its length word, then its bytes, padded. The length must have been checked. */
export const textFromWords: FromWords<string> = (words, start) => {
  const at = words.byteOffset + start * 4;
  const bytes = Buffer.from(words.buffer, at + 4, Buffer.from(words.buffer, at, 4).readUInt32BE(0));
  return bytes.toString('utf8');
};

/** Four words of a UUID. */
export const vmIdFromWords: FromWords<VmId> = (words, start) =>
  vmIdFromBytes(new Uint8Array(words.buffer, words.byteOffset + start * 4, 16));
