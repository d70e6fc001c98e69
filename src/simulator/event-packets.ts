/** One host event as the packet of one registration. */
import { eventPackets } from '../libvirt/domain-events.js';
import { PacketStatus, PacketType, Program, PROTOCOL_VERSION } from '../libvirt/wire.js';
import type { Codec } from '../libvirt/xdr-codecs.js';
import { XdrWriter } from '../libvirt/xdr.js';
import type { HostEvent } from './events.js';

/** libvirt's events all carry this serial, which may be that of a live call too. */
const EVENT_SERIAL = 1;

const packetOfKind = {
  lifecycle: eventPackets.lifecycle,
  reboot: eventPackets.reboot,
  agent: eventPackets.agentLifecycle,
  metadata: eventPackets.metadataChange,
  balloon: eventPackets.balloonChange,
} as const satisfies Record<HostEvent['kind'], unknown>;

/** The event id that clients register. */
export function eventIdOf(event: HostEvent): number {
  return packetOfKind[event.kind].eventId;
}

export function eventPacket(event: HostEvent, callbackId: number): Buffer {
  const { procedure, codec } = packetOfKind[event.kind];
  const writer = new XdrWriter(512 + 4 * event.domain.name.length);
  (codec as Codec<object>).write(writer, payload(event, callbackId));
  return writer.finish({
    program: Program.remote,
    version: PROTOCOL_VERSION,
    procedure,
    type: PacketType.event,
    serial: EVENT_SERIAL,
    status: PacketStatus.ok,
  });
}

function payload(event: HostEvent, callbackId: number): object {
  const common = { callbackId, dom: event.domain };
  switch (event.kind) {
    case 'lifecycle':
      return { ...common, event: event.event, detail: event.detail };
    case 'reboot':
      return common;
    case 'agent':
      return { ...common, state: event.state, reason: event.reason };
    case 'metadata':
      return { ...common, type: event.type, uri: event.uri };
    case 'balloon':
      return { ...common, actual: event.actualKiB };
  }
}
