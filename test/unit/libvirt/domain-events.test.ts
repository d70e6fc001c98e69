import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { VmId } from '../../../src/domain/ids.js';
import { registered, translateEvent } from '../../../src/libvirt/domain-event-names.js';
import { eventPacketOf, eventPackets } from '../../../src/libvirt/domain-events.js';
import type { EventPacketName, EventPayload } from '../../../src/libvirt/domain-events.js';
import { readHeader, WireError } from '../../../src/libvirt/wire.js';
import { XdrReader, XdrWriter } from '../../../src/libvirt/xdr.js';
import * as golden from './golden-packets.js';

const dom = { name: 'wr1', uuid: golden.wr1 as VmId, id: 7 };
const common = { callbackId: 30, dom };

/** Encodes the payload as a daemon would and translates it; the domain is left out of the answer. */
function translated<N extends EventPacketName>(name: N, payload: EventPayload<N>): unknown {
  const packet = eventPackets[name];
  const writer = new XdrWriter();
  packet.codec.write(writer, payload as never);
  const reader = new XdrReader(writer.finish(readHeader(golden.destroyedEvent)));
  const { id, domainName, ...content } = translateEvent(packet.procedure, reader)?.event ?? {
    id: '',
    domainName: '',
  };
  assert.deepEqual([id, domainName], [golden.wr1, 'wr1']);
  return content;
}

describe('domain events', () => {
  it('read the recorded lifecycle packet', () => {
    const { procedure } = readHeader(golden.destroyedEvent);
    assert.deepEqual(translateEvent(procedure, new XdrReader(golden.destroyedEvent)), {
      dom: { ...dom, id: -1 },
      event: { id: golden.wr1, domainName: 'wr1', kind: 'lifecycle', event: 'stopped', detail: 'destroyed' },
    });
  });

  it('have distinct procedures and event ids 0 to 26', () => {
    const packets = Object.values(eventPackets);
    assert.deepEqual(
      packets.map(({ eventId }) => eventId).toSorted((a, b) => a - b),
      Array.from({ length: 27 }, (_, i) => i),
    );
    assert.equal(new Set(packets.map(({ procedure }) => procedure)).size, 27);
    assert.equal(eventPacketOf(318), 'lifecycle');
    assert.equal(eventPacketOf(9999), undefined);
  });

  it('name their numbers', () => {
    assert.deepEqual(translated('watchdog', { ...common, action: 2 }), { kind: 'watchdog', action: 'reset' });
    assert.deepEqual(
      translated('ioErrorReason', { ...common, path: '/d', alias: 'ua-1', action: 1, reason: 'enospc' }),
      { kind: 'io-error', path: '/d', alias: 'ua-1', action: 'pause', reason: 'enospc' },
    );
    assert.deepEqual(translated('ioError', { ...common, path: '/d', alias: 'ua-1', action: 9 }), {
      kind: 'io-error',
      path: '/d',
      alias: 'ua-1',
      action: 'unknown',
      reason: '',
    });
    assert.deepEqual(translated('blockJob2', { ...common, disk: 'vda', type: 4, status: 3 }), {
      kind: 'block-job',
      disk: 'vda',
      type: 'active-commit',
      status: 'ready',
    });
    assert.deepEqual(translated('agentLifecycle', { ...common, state: 2, reason: 1 }), {
      kind: 'agent-lifecycle',
      state: 'disconnected',
    });
    const address = { family: 0, node: '10.0.0.1', service: '5900' };
    assert.deepEqual(
      translated('graphics', {
        ...common,
        phase: 2,
        local: address,
        remote: { ...address, node: '10.0.0.2', service: '40000' },
        authScheme: 'ticket',
        subject: [],
      }),
      { kind: 'graphics', phase: 'disconnect', clientAddress: '10.0.0.2', clientPort: '40000' },
    );
  });

  it('carry their values', () => {
    assert.deepEqual(translated('rtcChange', { ...common, offset: -3600 }), {
      kind: 'rtc-change',
      offsetSec: -3600,
    });
    assert.deepEqual(translated('balloonChange', { ...common, actual: 524_288 }), {
      kind: 'balloon-change',
      actualKiB: 524_288,
    });
    assert.deepEqual(translated('metadataChange', { ...common, type: 0 }), {
      kind: 'metadata-change',
      uri: '',
    });
    assert.deepEqual(
      translated('jobCompleted', {
        ...common,
        params: [
          { field: 'operation', type: 'int', value: 5 },
          { field: 'success', type: 'boolean', value: true },
        ],
      }),
      { kind: 'job-completed', stats: { operation: 5, success: true } },
    );
  });

  it('of kinds that the port does not have, or newer ones, translate to nothing', () => {
    const writer = new XdrWriter();
    eventPackets.pmSuspend.codec.write(writer, { callbackId: 1, reason: 0, dom });
    const reader = new XdrReader(writer.finish(readHeader(golden.destroyedEvent)));
    assert.equal(translateEvent(eventPackets.pmSuspend.procedure, reader), undefined);
    const newer = Buffer.from(golden.destroyedEvent);
    newer.writeUInt32BE(99, newer.length - 8);
    assert.equal(translateEvent(318, new XdrReader(newer)), undefined);
  });

  it('that are cut off throw WireError', () => {
    const cut = golden.destroyedEvent.subarray(0, 60);
    assert.throws(() => translateEvent(318, new XdrReader(cut)), WireError);
  });

  it('are registered once per meaning, the newer form first', () => {
    const ids = registered.map(({ eventId }) => eventId);
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(!ids.includes(eventPackets.blockJob.eventId) && !ids.includes(eventPackets.ioError.eventId));
    assert.deepEqual(
      registered.find(({ eventId }) => eventId === eventPackets.blockJob2.eventId),
      { eventId: 16, olderEventId: 8 },
    );
  });
});
