/**
 * Decoder of the bulk statistics reply: from the packet's bytes into numeric columns, without an object or a
 * string per parameter.
 *
 * How it works:
 * 1. Each VM remembers the layouts of its last records; a new record is laid against one of them: names and types
 *    compare word by word, values go where the layout says. The layout of the record before is the second guess.
 * 2. Where none fits, the record's names and types are walked once, with every length checked, and give the
 *    layout, shared with all records of equal names and types. Then step 1 decodes it, so warm and cold agree.
 * 3. Lower members of a backing chain repeat the disk's name; only the first of a name stays.
 *
 * Invariants: nothing is read beyond the packet, nothing is allocated for a count that the packet cannot hold,
 * and what is kept between replies is bounded. One decoder per stream of replies; not for concurrent use.
 */
import type { VmId } from '../domain/ids.js';
import { BLOCK_COLUMNS, NET_COLUMNS, SCALARS, StatsBatchBuilder } from '../domain/stats.js';
import type { StatsBatch } from '../domain/stats.js';
import { createLayout, Op, OP_BITS, Table, TABLE_BITS, VALUE_WORDS } from './stats-layout.js';
import type { StatsLayout } from './stats-layout.js';
import { textFromWords, vmIdFromWords, WordPool } from './string-pool.js';
import { TypedParamNumber } from './typed-params.js';
import { WireError } from './wire.js';

/** libvirt's limit of records in one reply. */
const MAX_RECORDS = 16_384;
/** Empty name, UUID, id, parameter count. */
const MIN_RECORD_WORDS = 7;
/** Calls for different groups alternate: that many shapes of one VM's record are remembered. */
const LAYOUTS_PER_VM = 4;
/** A longer layout is found again by the pool or not at all. */
const MAX_LAYOUT_WORDS = 1 << 16;
const OP_MASK = (1 << OP_BITS) - 1;
const TABLE_MASK = (1 << TABLE_BITS) - 1;
const TWO_32 = 0x1_0000_0000;

interface VmEntry {
  readonly id: VmId;
  /** Last used first. */
  readonly layouts: StatsLayout[];
}

export class BulkStatsDecoder {
  readonly #onLayoutMiss: () => void;
  readonly #vms = new WordPool<VmEntry>(
    (words, start, length) => ({ id: vmIdFromWords(words, start, length), layouts: [] }),
    { maxEntries: 2 * MAX_RECORDS, maxWords: 8 * MAX_RECORDS, maxKeyWords: 4 },
  );
  readonly #texts = new WordPool(textFromWords, {
    maxEntries: 1 << 18,
    maxWords: 1 << 23,
    maxKeyWords: 1025,
  });
  readonly #layouts = new WordPool(createLayout, {
    maxEntries: 4096,
    maxWords: 1 << 20,
    maxKeyWords: MAX_LAYOUT_WORDS,
  });
  #previous: StatsLayout | undefined;

  // The packet being decoded.
  #words: Int32Array = new Int32Array(0);
  #data: DataView = new DataView(new ArrayBuffer(0));
  #builder = new StatsBatchBuilder();
  #bodyOffset = 0;
  /** Index of the next word of the body. */
  #at = 0;
  // Where the rows of the record being decoded begin.
  #scalarBase = 0;
  #firstNet = 0;
  #firstBlock = 0;

  /** @param options.onLayoutMiss called for each record that needed the slow path */
  constructor(options: { readonly onLayoutMiss?: () => void } = {}) {
    this.#onLayoutMiss = options.onLayoutMiss ?? (() => undefined);
  }

  /**
   * @param packet ends where the body ends
   * @param bodyOffset bytes before the body
   * @throws WireError for bytes that are no bulk statistics reply
   */
  decode(packet: Buffer, bodyOffset: number): StatsBatch {
    const body = aligned(packet.subarray(bodyOffset));
    if (body.length % 4 !== 0)
      throw new WireError(`body of ${body.length} bytes is not a multiple of 4`, bodyOffset);
    this.#words = new Int32Array(body.buffer, body.byteOffset, body.length / 4);
    this.#data = new DataView(body.buffer, body.byteOffset, body.length);
    this.#bodyOffset = bodyOffset;
    this.#at = 0;
    const records = this.#count(MIN_RECORD_WORDS, 'records');
    if (records > MAX_RECORDS) throw new WireError(`${records} records are over the limit ${MAX_RECORDS}`, 0);
    const builder = new StatsBatchBuilder(records);
    this.#builder = builder;
    try {
      for (let i = 0; i < records; i++) this.#record();
      if (this.#at !== this.#words.length) throw this.#error('bytes after the last record');
    } finally {
      this.#words = new Int32Array(0);
      this.#data = new DataView(new ArrayBuffer(0));
      this.#builder = new StatsBatchBuilder(0);
    }
    return builder;
  }
  #record(): void {
    this.#skipText('domain name');
    if (this.#words.length - this.#at < 6) throw this.#error('record cut short');
    const vm = this.#vms.get(this.#words, this.#at, 4);
    this.#at += 5;
    const count = this.#count(3, 'parameters');
    this.#builder.beginVm(vm.id);
    if (!this.#predicted(vm, count)) {
      this.#onLayoutMiss();
      const layout = this.#walk(count);
      this.#remember(vm, layout);
      if (!this.#apply(layout)) throw this.#error('record that does not repeat itself');
    }
    this.#builder.dropRepeatedBlocks();
  }

  #predicted(vm: VmEntry, count: number): boolean {
    for (let i = 0; i < vm.layouts.length; i++) {
      const layout = vm.layouts[i]!;
      if (layout.ops.length !== count || !this.#apply(layout)) continue;
      if (i > 0) vm.layouts.unshift(...vm.layouts.splice(i, 1));
      this.#previous = layout;
      return true;
    }
    const guess = this.#previous;
    if (guess?.ops.length !== count || vm.layouts.includes(guess) || !this.#apply(guess)) return false;
    this.#remember(vm, guess);
    return true;
  }

  #remember(vm: VmEntry, layout: StatsLayout): void {
    this.#previous = layout;
    if (layout.words.length > MAX_LAYOUT_WORDS) return;
    vm.layouts.unshift(layout);
    if (vm.layouts.length > LAYOUTS_PER_VM) vm.layouts.pop();
  }

  /** The slow path: checks the record's structure and finds its layout. Leaves the position where it was. */
  #walk(count: number): StatsLayout {
    const start = this.#at;
    const keys: number[] = [];
    for (let i = 0; i < count; i++) {
      const nameAt = this.#at;
      this.#skipText('parameter name');
      const type = this.#at < this.#words.length ? this.#data.getUint32(this.#at * 4) : 0;
      const valueWords = VALUE_WORDS[type] ?? 0;
      if (valueWords === 0) throw this.#error(`parameter without a type that is known (${type})`);
      for (let at = nameAt; at <= this.#at; at++) keys.push(this.#words[at]!);
      this.#at++;
      if (type === TypedParamNumber.string) this.#skipText('parameter value');
      else this.#at += valueWords;
      if (this.#at > this.#words.length) throw this.#error('value beyond the end');
    }
    this.#at = start;
    const known = this.#layouts.size;
    const layout = this.#layouts.get(Int32Array.from(keys), 0, keys.length);
    // The pool forgot its layouts: let go of those that VMs hold, or the bound would not be one.
    if (this.#layouts.size < known) this.#vms.clear();
    return layout;
  }

  /** Decodes the record at the position if it has this layout; otherwise nothing is changed. */
  #apply(layout: StatsLayout): boolean {
    const words = this.#words;
    const data = this.#data;
    const { words: expected, ops, gaps, destinations } = layout;
    let slackWords = words.length - this.#at - layout.minWords;
    if (slackWords < 0) return false;
    this.#openRows(layout);
    let at = this.#at;
    let next = 0;
    for (let param = 0; param < ops.length; param++) {
      const op = ops[param]!;
      for (const type = next + (op >>> OP_BITS) - 1; next < type; next++, at++) {
        if (words[at] !== expected[next]) return this.#miss();
      }
      at += gaps[param]!;
      if (words[at++] !== expected[next++]) return this.#miss();
      const kind = op & OP_MASK;
      if (kind === Op.skip8) at += 2;
      else if (kind === Op.skip4) at += 1;
      else if (kind < Op.skipText) {
        this.#store(destinations[param]!, readNumber(data, kind, at * 4));
        at += kind <= Op.u32 ? 1 : 2;
      } else {
        const textWords = wordsOf(data.getUint32(at * 4));
        slackWords -= textWords;
        if (slackWords < 0) return this.#miss();
        if (kind !== Op.skipText)
          this.#storeText(kind, destinations[param]!, this.#texts.get(words, at, 1 + textWords));
        at += 1 + textWords;
      }
    }
    this.#at = at;
    return true;
  }

  #miss(): false {
    this.#builder.restartVm();
    return false;
  }

  #openRows(layout: StatsLayout): void {
    const builder = this.#builder;
    this.#scalarBase = (builder.vmCount - 1) * SCALARS;
    this.#firstNet = builder.netNames.length;
    this.#firstBlock = builder.blockNames.length;
    for (let i = 0; i < layout.nets; i++) builder.addNet('');
    for (let i = 0; i < layout.blocks; i++) builder.addBlock('', '');
  }

  #store(destination: number, value: number): void {
    const builder = this.#builder;
    const index = destination >>> TABLE_BITS;
    const table = destination & TABLE_MASK;
    if (table === Table.scalar) builder.scalars[this.#scalarBase + index] = value;
    else if (table === Table.net) builder.net[this.#firstNet * NET_COLUMNS + index] = value;
    else builder.block[this.#firstBlock * BLOCK_COLUMNS + index] = value;
  }

  #storeText(kind: number, row: number, text: string): void {
    const builder = this.#builder;
    if (kind === Op.netName) builder.netNames[this.#firstNet + row] = text;
    else if (kind === Op.blockName) builder.blockNames[this.#firstBlock + row] = text;
    else builder.blockPaths[this.#firstBlock + row] = text;
  }

  /** A count of things that take at least `minWords` each. */
  #count(minWords: number, what: string): number {
    if (this.#at >= this.#words.length) throw this.#error(`no count of ${what}`);
    const count = this.#data.getUint32(this.#at * 4);
    if (count * minWords > this.#words.length - this.#at - 1)
      throw this.#error(`${count} ${what} do not fit`);
    this.#at++;
    return count;
  }

  #skipText(what: string): void {
    if (this.#at >= this.#words.length) throw this.#error(`no ${what}`);
    const bytes = this.#data.getUint32(this.#at * 4);
    if (wordsOf(bytes) > this.#words.length - this.#at - 1)
      throw this.#error(`${what} of ${bytes} bytes does not fit`);
    this.#at += 1 + wordsOf(bytes);
  }

  #error(message: string): WireError {
    return new WireError(`bulk statistics: ${message}`, this.#bodyOffset + this.#at * 4);
  }
}

function readNumber(data: DataView, kind: number, at: number): number {
  switch (kind) {
    case Op.u64:
      return data.getUint32(at) * TWO_32 + data.getUint32(at + 4);
    case Op.i32:
      return data.getInt32(at);
    case Op.u32:
      return data.getUint32(at);
    case Op.i64:
      return data.getInt32(at) * TWO_32 + data.getUint32(at + 4);
    default:
      return data.getFloat64(at);
  }
}

/** Words of so many bytes with their padding. */
function wordsOf(bytes: number): number {
  return Math.ceil(bytes / 4);
}

/** The same bytes where an Int32Array may lie over them: itself, or a copy. */
function aligned(body: Buffer): Uint8Array {
  return body.byteOffset % 4 === 0 ? body : new Uint8Array(body);
}
