/** One host event as the packet of one registration. */
import { eventPackets } from '../libvirt/domain-events.js';
import { PacketStatus, PacketType, Program, PROTOCOL_VERSION } from '../libvirt/wire.js';
import type { Codec } from '../libvirt/xdr-codecs.js';
import { XdrWriter } from '../libvirt/xdr.js';
import type { HostEvent } from './events.js';

/** libvirt's events all carry this serial, which may be that of a live call too. */
const EVENT_SERIAL = 1;

/** The event id that clients register. */
export function eventIdOf(event: HostEvent): number {
  return eventPackets[event.kind].eventId;
}

export function eventPacket(event: HostEvent, callbackId: number): Buffer {
  const { procedure, codec } = eventPackets[event.kind];
  const writer = new XdrWriter(512 + 4 * event.domain.name.length);
  (codec as Codec<object>).write(writer, { ...event, callbackId, dom: event.domain });
  return writer.finish({
    program: Program.remote,
    version: PROTOCOL_VERSION,
    procedure,
    type: PacketType.event,
    serial: EVENT_SERIAL,
    status: PacketStatus.ok,
  });
}
