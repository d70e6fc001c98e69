/**
 * A libvirtd that lies: whatever bytes it sends, the agent neither crashes nor grows, each kind of lie is counted, and
 * when the daemon tells the truth again, so does the agent's table, soon.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { VmId } from '../../src/domain/ids.js';
import { errorPayload } from '../../src/libvirt/errors.js';
import { domainStatsRecords } from '../../src/libvirt/objects.js';
import type { DomainStatsRecord } from '../../src/libvirt/objects.js';
import { procedure } from '../../src/libvirt/procedures.js';
import type { ProcedureName } from '../../src/libvirt/procedures.js';
import {
  HEADER_BYTES,
  PacketStatus,
  PacketType,
  Program,
  readHeader,
  writeHeader,
} from '../../src/libvirt/wire.js';
import type { PacketHeader } from '../../src/libvirt/wire.js';
import type { Codec } from '../../src/libvirt/xdr-codecs.js';
import { XdrReader, XdrWriter } from '../../src/libvirt/xdr.js';
import { LyingHost, SPEED } from '../support/lying-host.js';
import type { Lie } from '../support/lying-host.js';

const MiB = 1024 * 1024;
const VMS = 20;
/**
 * Of the agent and the simulated daemon together: two packets of 32 MiB that are being received, the pools of the
 * decoder, and garbage.
 */
const MAX_GROWTH_BYTES = 96 * MiB;
/** Two looks of the audit of hanging calls, the deadline before them, one compare: s of the agent's time. */
const WELL_AFTER_SEC = 90;

const isReply = (packet: Buffer): boolean => readHeader(packet).type === PacketType.reply;
const isEvent = (packet: Buffer): boolean =>
  readHeader(packet).type === PacketType.event && readHeader(packet).program === Program.remote;
const isReplyTo =
  (name: ProcedureName) =>
  (packet: Buffer): boolean =>
    isReply(packet) && readHeader(packet).procedure === procedure(name).number;
const isStats = isReplyTo('CONNECT_GET_ALL_DOMAIN_STATS');
const isOk = (packet: Buffer): boolean => readHeader(packet).status === PacketStatus.ok;

/** The packet with another header; its length word fits. */
function retold(packet: Buffer, change: Partial<PacketHeader>): Buffer {
  const copy = Buffer.from(packet);
  writeHeader(copy, { ...readHeader(packet), ...change });
  return copy;
}

/** Fewer bytes, and a length that says so. */
function shortened(packet: Buffer): Buffer {
  const copy = Buffer.from(packet.subarray(0, HEADER_BYTES + 4));
  copy.writeUInt32BE(copy.length, 0);
  return copy;
}

function withLength(packet: Buffer, length: number): Buffer {
  const copy = Buffer.from(packet);
  copy.writeUInt32BE(length, 0);
  return copy;
}

function written<T>(codec: Codec<T>, value: T, header: PacketHeader): Buffer {
  const writer = new XdrWriter();
  codec.write(writer, value);
  return writer.finish(header);
}

function statsWith(packet: Buffer, more: readonly DomainStatsRecord[]): Buffer {
  const records = domainStatsRecords.read(new XdrReader(packet));
  return written(domainStatsRecords, [...records, ...more], readHeader(packet));
}

const stranger = (name = 'stranger'): DomainStatsRecord['dom'] => ({
  name,
  uuid: randomUUID() as VmId,
  id: 99,
});

let parameters = 0;
const record = (dom: DomainStatsRecord['dom'], count = 0): DomainStatsRecord => ({
  dom,
  params: Array.from({ length: count }, () => ({ field: `lie.${parameters++}`, type: 'ullong', value: 1 })),
});

const failure = (code: number, { type, ...header }: PacketHeader): Buffer =>
  written(
    errorPayload,
    { code, domain: 10, message: 'a lie', level: 2, int1: -1, int2: -1 },
    { ...header, type, status: PacketStatus.error },
  );

interface Case {
  readonly name: string;
  /** The packets that it is about. */
  readonly of: (packet: Buffer) => boolean;
  readonly lie: Lie;
  /** What counts it. */
  readonly metric: Parameters<LyingHost['count']>[0];
  readonly label?: string;
}

const cases: readonly Case[] = [
  {
    name: 'packets cut short, with their old length',
    of: isStats,
    lie: (packet) => packet.subarray(0, packet.length / 2),
    metric: 'libvirt_malformed_total',
    label: 'framing',
  },
  {
    name: 'replies cut short, with a length that fits',
    of: (packet) => isReplyTo('DOMAIN_GET_STATE')(packet) || isReplyTo('CONNECT_LIST_ALL_DOMAINS')(packet),
    lie: shortened,
    metric: 'libvirt_malformed_total',
    label: 'reply',
  },
  {
    name: 'statistics cut short',
    of: isStats,
    lie: shortened,
    metric: 'libvirt_malformed_total',
    label: 'stats',
  },
  {
    name: 'events cut short',
    of: isEvent,
    lie: shortened,
    metric: 'libvirt_malformed_total',
    label: 'event',
  },
  {
    name: 'a length of 2^32 - 1',
    of: isReply,
    lie: (packet) => withLength(packet, 0xffff_ffff),
    metric: 'libvirt_malformed_total',
    label: 'framing',
  },
  {
    name: 'a length below the least',
    of: isReply,
    lie: (packet) => withLength(packet, 27),
    metric: 'libvirt_malformed_total',
    label: 'framing',
  },
  {
    name: 'a length of 32 MiB, which swallows all that follows',
    of: isStats,
    lie: (packet) => withLength(packet, 32 * MiB),
    metric: 'libvirt_malformed_total',
    label: 'framing',
  },
  {
    name: 'the same on the lane of events',
    of: isEvent,
    lie: (packet) => withLength(packet, 32 * MiB),
    metric: 'libvirt_malformed_total',
    label: 'framing',
  },
  {
    name: 'replies of procedures that nobody called',
    of: isStats,
    lie: (packet) => retold(packet, { procedure: 4711 }),
    metric: 'libvirt_unknown_total',
    label: 'mismatch',
  },
  {
    name: 'packets of types that there are not',
    of: isStats,
    lie: (packet) => retold(packet, { type: 77 }),
    metric: 'libvirt_unknown_total',
    label: 'type-77',
  },
  {
    name: 'events that there are not',
    of: isEvent,
    lie: (packet) => Buffer.concat([retold(packet, { procedure: 9999 }), packet]),
    metric: 'libvirt_unknown_total',
    label: 'event',
  },
  {
    name: 'events where none are expected',
    of: isStats,
    lie: (packet) => Buffer.concat([retold(packet, { type: PacketType.event, procedure: 318 }), packet]),
    metric: 'libvirt_unknown_total',
    label: 'event',
  },
  {
    name: 'every reply twice',
    of: isReply,
    lie: (packet) => Buffer.concat([packet, packet]),
    metric: 'libvirt_unknown_total',
    label: 'unknown-serial',
  },
  {
    name: 'replies to serials long forgotten',
    of: isReply,
    lie: (packet) => Buffer.concat([retold(packet, { serial: 0xdead_beef }), packet]),
    metric: 'libvirt_unknown_total',
    label: 'unknown-serial',
  },
  {
    name: 'replies with the serial of another call',
    of: isStats,
    lie: (packet) => retold(packet, { serial: 0xdead_beef }),
    metric: 'libvirt_lost_replies_total',
  },
  {
    name: 'no reply at all',
    of: isStats,
    lie: () => undefined,
    metric: 'libvirt_lost_replies_total',
  },
  {
    name: 'names that are not UTF-8',
    of: isEvent,
    lie: (packet) => {
      const copy = Buffer.from(packet);
      copy.fill(0xff, HEADER_BYTES + 8, HEADER_BYTES + 12);
      return copy;
    },
    metric: 'libvirt_events_total',
    label: 'lifecycle',
  },
  {
    name: 'records for domains that there are not, and for one without a name',
    of: (packet) => isStats(packet) && isOk(packet),
    lie: (packet) => statsWith(packet, [record(stranger()), record(stranger('')), record(stranger(), 3)]),
    metric: 'stats_layout_misses_total',
  },
  {
    name: '10,000 parameters in a record, others each time',
    of: (packet) => isStats(packet) && isOk(packet),
    lie: (packet) => statsWith(packet, [record(stranger(), 10_000)]),
    metric: 'stats_layout_misses_total',
  },
  {
    name: 'errors instead of replies',
    of: (packet) => isReply(packet) && isOk(packet),
    lie: (packet) => failure(38, readHeader(packet)),
    metric: 'libvirt_calls_total',
    label: 'failed',
  },
  {
    name: 'domains that are said not to exist',
    of: (packet) => isReplyTo('DOMAIN_GET_STATE')(packet) && isOk(packet),
    lie: (packet) => failure(42, readHeader(packet)),
    metric: 'libvirt_calls_total',
    label: 'no-domain',
  },
  {
    name: 'error replies that cannot be decoded',
    of: isReply,
    lie: (packet) => shortened(retold(packet, { status: PacketStatus.error })),
    metric: 'libvirt_malformed_total',
    label: 'error-reply',
  },
];

const rss = (): number => process.memoryUsage.rss();

describe('a libvirtd that lies', { timeout: 120_000 }, () => {
  let world: LyingHost;
  let baseBytes = 0;
  let peakBytes = 0;
  let watch: NodeJS.Timeout;

  before(async () => {
    world = await new LyingHost(VMS).start();
    baseBytes = rss();
    watch = setInterval(() => (peakBytes = Math.max(peakBytes, rss())), 20);
  });
  after(async () => {
    clearInterval(watch);
    await world.stop();
  });

  /** Lies until it is counted, at least a few times; then tells the truth. */
  async function survive({ of, lie, metric, label }: Case): Promise<{ noticedSec: number; wellSec: number }> {
    const countedBefore = await world.count(metric, label);
    const startMs = performance.now();
    let told = 0;
    world.lie = (packet) => {
      if (!of(packet)) return packet;
      told++;
      return lie(packet);
    };
    while (told < 3 || (await world.count(metric, label)) === countedBefore) {
      world.flicker(told % VMS);
      for (const id of world.ids) world.registry.doubt(id);
      await delay(20);
      assert.ok(
        performance.now() - startMs < (WELL_AFTER_SEC * 1000) / SPEED,
        `told ${told} lies, none was counted`,
      );
    }
    const noticedSec = ((performance.now() - startMs) / 1000) * SPEED;
    world.lie = undefined;
    return { noticedSec, wellSec: await world.untilWell(WELL_AFTER_SEC / SPEED) };
  }

  for (const each of cases) {
    it(`${each.name}: counted, and over when it is over`, async (t) => {
      peakBytes = rss();
      const { noticedSec, wellSec } = await survive(each);
      const grown = (peakBytes - baseBytes) / MiB;
      t.diagnostic(
        `counted within ${noticedSec.toFixed(1)} s, well ${wellSec.toFixed(1)} s after, ${grown.toFixed(0)} MiB over the baseline`,
      );
      assert.ok(peakBytes - baseBytes < MAX_GROWTH_BYTES, `${grown.toFixed(0)} MiB over the baseline`);
    });
  }
});
