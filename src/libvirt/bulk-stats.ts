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
import { PacketWords, wordsOf } from './packet-words.js';
import { createLayout, Op, OP_BITS, Table, TABLE_BITS, VALUE_WORDS } from './stats-layout.js';
import type { StatsLayout } from './stats-layout.js';
import { textFromWords, vmIdFromWords, WordPool } from './string-pool.js';
import { TypedParamNumber } from './typed-params.js';

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
const EMPTY = new PacketWords(Buffer.alloc(0), 0);

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

  #packet = EMPTY;
  #builder = new StatsBatchBuilder();
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
    const source = new PacketWords(packet, bodyOffset);
    const records = source.count(MIN_RECORD_WORDS, 'records');
    if (records > MAX_RECORDS) throw source.error(`${records} records are over the limit ${MAX_RECORDS}`);
    const builder = new StatsBatchBuilder(records);
    this.#packet = source;
    this.#builder = builder;
    try {
      for (let i = 0; i < records; i++) this.#record();
    } finally {
      // Nothing holds on to the packet until the next one comes.
      this.#packet = EMPTY;
      this.#builder = new StatsBatchBuilder();
    }
    if (source.left > 0) throw source.error('bytes after the last record');
    return builder;
  }

  #record(): void {
    const packet = this.#packet;
    packet.skipText('domain name');
    if (packet.left < 6) throw packet.error('record cut short');
    const vm = this.#vms.get(packet.words, packet.at, 4);
    packet.at += 5;
    const count = packet.count(3, 'parameters');
    this.#builder.beginVm(vm.id);
    if (!this.#predicted(vm, count)) {
      this.#onLayoutMiss();
      const layout = this.#walk(count);
      this.#remember(vm, layout);
      if (!this.#apply(layout)) throw packet.error('record that does not repeat itself');
    }
    this.#builder.dropRepeatedBlocks();
  }

  #predicted(vm: VmEntry, count: number): boolean {
    for (let i = 0; i < vm.layouts.length; i++) {
      const layout = vm.layouts[i]!;
      if (layout.ops.length !== count || !this.#apply(layout)) continue;
      // In place, since calls for different groups take turns.
      for (let at = i; at > 0; at--) vm.layouts[at] = vm.layouts[at - 1]!;
      vm.layouts[0] = layout;
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
    const packet = this.#packet;
    const start = packet.at;
    const keys: number[] = [];
    for (let i = 0; i < count; i++) {
      const nameAt = packet.at;
      packet.skipText('parameter name');
      const type = packet.left > 0 ? packet.data.getUint32(packet.at * 4) : 0;
      const valueWords = VALUE_WORDS[type] ?? 0;
      if (valueWords === 0) throw packet.error(`parameter without a type that is known (${type})`);
      for (let at = nameAt; at <= packet.at; at++) keys.push(packet.words[at]!);
      packet.at++;
      if (type === TypedParamNumber.string) packet.skipText('parameter value');
      else packet.at += valueWords;
      if (packet.left < 0) throw packet.error('value beyond the end');
    }
    packet.at = start;
    const known = this.#layouts.size;
    const layout = this.#layouts.get(Int32Array.from(keys), 0, keys.length);
    // The pool forgot its layouts: let go of those that VMs hold, or the bound would not be one.
    if (this.#layouts.size < known) this.#vms.clear();
    return layout;
  }

  /** Decodes the record at the position if it has this layout; otherwise nothing is changed. */
  #apply(layout: StatsLayout): boolean {
    const { words, data } = this.#packet;
    const { words: expected, ops, gaps, destinations } = layout;
    let slackWords = this.#packet.left - layout.minWords;
    if (slackWords < 0) return false;
    this.#openRows(layout);
    let at = this.#packet.at;
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
        if (kind !== Op.skipText) {
          this.#storeText(kind, destinations[param]!, this.#texts.get(words, at, 1 + textWords));
        }
        at += 1 + textWords;
      }
    }
    this.#packet.at = at;
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
