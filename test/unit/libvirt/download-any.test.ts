import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { HypervisorError } from '../../../src/domain/hypervisor.js';
import { CallWindow } from '../../../src/libvirt/call-window.js';
import { Download } from '../../../src/libvirt/download.js';
import { procedure } from '../../../src/libvirt/procedures.js';
import { HEADER_BYTES, PacketStatus, PacketType, Program, writeHeader } from '../../../src/libvirt/wire.js';
import { XdrWriter } from '../../../src/libvirt/xdr.js';
import { createMetrics } from '../../../src/util/metrics.js';
import { ManualClock } from '../../support/manual-clock.js';

const SCREENSHOT = 'DOMAIN_SCREENSHOT';
const MAX_BYTES = 64;
const screenshot = procedure(SCREENSHOT);

/** Any packet that a daemon gone mad may send to a window whose only call has serial 0. */
const anyPacket = fc
  .record({
    type: fc.constantFrom(PacketType.reply, PacketType.stream, PacketType.stream, PacketType.stream),
    status: fc.constantFrom<number>(PacketStatus.continue, PacketStatus.continue, 0, 1, 7),
    serial: fc.constantFrom(0, 0, 0, 1),
    procedure: fc.constantFrom(screenshot.number, screenshot.number, 34),
    body: fc.uint8Array({ maxLength: 40 }),
  })
  .map(({ body, ...rest }) => {
    const header = { ...rest, program: Program.remote, version: 1 };
    const packet = Buffer.alloc(HEADER_BYTES + body.length);
    writeHeader(packet, header);
    packet.set(body, HEADER_BYTES);
    return { header, packet };
  });

describe('any packets of streams and replies', () => {
  it('neither break a window of calls nor fill its memory, and settle each call once', async () => {
    const packets = fc.array(anyPacket, { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(packets, fc.option(fc.nat(30)), async (sent, giveUpAfter) => {
        const outgoing: Buffer[] = [];
        const controller = new AbortController();
        const clock = new ManualClock();
        const window = new CallWindow({
          clock,
          metrics: createMetrics(),
          lane: 'test',
          send: (packet) => outgoing.push(packet),
        });
        const download = new Download(MAX_BYTES);
        const outcome = window
          .submit({
            procedure: screenshot,
            body: new XdrWriter(),
            label: SCREENSHOT,
            domains: [],
            deadlineMs: 1000,
            signal: controller.signal,
            download,
          })
          .catch((error: unknown) => error);
        for (const [i, { header, packet }] of sent.entries()) {
          if (i === giveUpAfter) controller.abort();
          if (header.type === PacketType.reply) window.reply(header, packet);
          else window.stream(header, packet);
          assert.ok(download.data.length <= MAX_BYTES);
        }
        window.failAll(new HypervisorError('unavailable', 'the end'));
        const settled = await outcome;
        assert.ok(settled instanceof Buffer || settled instanceof HypervisorError);
        if (settled instanceof Buffer) assert.deepEqual(download.data, expectedData(sent));
        assert.ok(outgoing.length <= 3, 'the call, the end of its stream, and its abortion after that');
        assert.deepEqual([window.inFlight, clock.pendingTimers], [0, 0]);
      }),
      { numRuns: 300 },
    );
  });
});

/** What a stream carried that ended well: all before its first empty packet. */
function expectedData(
  sent: readonly {
    header: { type: number; status: number; serial: number; procedure: number };
    packet: Buffer;
  }[],
): Buffer {
  const own = sent.filter(({ header }) => header.serial === 0 && header.procedure === screenshot.number);
  const stream = own.filter(({ header }) => header.type === PacketType.stream);
  const data = stream.map(({ packet }) => packet.subarray(HEADER_BYTES));
  return Buffer.concat(
    data.slice(
      0,
      data.findIndex((each) => each.length === 0),
    ),
  );
}
