/**
 * The list of all domains, decoded so that thousands of them neither stall the event loop nor cost much: in slices,
 * and what was listed before is recognised by its words on the wire and given out again, the same objects.
 */
import { setImmediate } from 'node:timers/promises';
import { HypervisorError } from '../domain/hypervisor.js';
import type { CallOptions, DomainRef } from '../domain/hypervisor.js';
import type { Metrics } from '../util/metrics.js';
import type { DomainHandles } from './domain-handles.js';
import type { Lane } from './lanes.js';
import { dom, MAX_DOMAINS } from './objects.js';
import type { DomainHandle } from './objects.js';
import { PacketWords } from './packet-words.js';
import { WordPool } from './string-pool.js';
import type { FromWords } from './string-pool.js';
import { HEADER_BYTES, WireError } from './wire.js';
import { XdrReader } from './xdr.js';

/** Empty name, UUID, id. */
const MIN_WORDS = 6;
/** About a millisecond where every one is new. */
const PER_TURN = 250;

interface ListedDomain {
  readonly handle: DomainHandle;
  readonly ref: DomainRef;
}

const listedFromWords: FromWords<ListedDomain> = (words, start, length) => {
  const handle = dom.read(
    new XdrReader(Buffer.from(words.buffer, words.byteOffset + start * 4, length * 4), 0),
  );
  return { handle, ref: { id: handle.uuid, name: handle.name, active: handle.id !== -1 } };
};

export class DomainList {
  readonly #known = new WordPool(listedFromWords, {
    maxEntries: 2 * MAX_DOMAINS,
    maxWords: 32 * MAX_DOMAINS,
    maxKeyWords: 1024,
  });

  constructor(
    private readonly handles: DomainHandles,
    private readonly metrics: Pick<Metrics, 'libvirt_malformed_total'>,
  ) {}

  /** All domains, active or not; their handles are remembered, those of others forgotten. */
  async read(lane: Pick<Lane, 'callRaw'>, options?: CallOptions): Promise<DomainRef[]> {
    const packet = await lane.callRaw('CONNECT_LIST_ALL_DOMAINS', { needResults: 1, flags: 0 }, options);
    let listed: ListedDomain[];
    try {
      listed = await this.#decode(packet);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.metrics.libvirt_malformed_total.inc({ kind: 'reply' });
      throw new HypervisorError('failed', "libvirt's list of domains is garbled", { cause: error });
    }
    this.handles.keepOnly(listed.map(({ handle }) => handle));
    return listed.map(({ ref }) => ref);
  }

  async #decode(packet: Buffer): Promise<ListedDomain[]> {
    const source = new PacketWords(packet, HEADER_BYTES);
    const count = source.count(MIN_WORDS, 'domains');
    if (count > MAX_DOMAINS) throw source.error(`${count} domains are over the limit ${MAX_DOMAINS}`);
    const listed: ListedDomain[] = [];
    while (listed.length < count) {
      if (listed.length > 0 && listed.length % PER_TURN === 0) await setImmediate();
      const start = source.at;
      source.skipText('domain name');
      if (source.left < MIN_WORDS - 1) throw source.error('domain cut short');
      source.at += MIN_WORDS - 1;
      const domain = this.#known.get(source.words, start, source.at - start);
      this.handles.put(domain.handle);
      listed.push(domain);
    }
    return listed;
  }
}
