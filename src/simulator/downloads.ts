/**
 * Streams from the daemon to one client: bytes after a reply, an empty packet at their end, then the client's finish
 * (or its abort) and the daemon's confirmation.
 */
import { HEADER_BYTES, PacketStatus, PacketType, writeHeader } from '../libvirt/wire.js';
import type { PacketHeader } from '../libvirt/wire.js';
import type { StreamedAnswer } from './dispatch.js';

/** What libvirt puts into one packet. */
const CHUNK_BYTES = 262_120;
/** Of one client that finishes none. */
const MAX_OPEN = 64;

export class Downloads {
  /** Program and procedure by serial. */
  readonly #open = new Map<number, PacketHeader>();

  constructor(private readonly send: (packet: Buffer) => void) {}

  /** Sends all at once, as pictures are small. Returns false where the client has too many open. */
  start({ header, data }: StreamedAnswer): boolean {
    if (this.#open.size >= MAX_OPEN) return false;
    this.#open.set(header.serial, header);
    for (let from = 0; from < data.length; from += CHUNK_BYTES) {
      this.#sendPart(header, PacketStatus.continue, data.subarray(from, from + CHUNK_BYTES));
    }
    this.#sendPart(header, PacketStatus.continue, new Uint8Array(0));
    return true;
  }

  /** A stream packet of the client; those of streams that are not open are ignored. */
  receive({ serial, procedure, program, status }: PacketHeader): void {
    const header = this.#open.get(serial);
    if (header?.procedure !== procedure || header.program !== program) return;
    if (status === PacketStatus.continue) return;
    this.#open.delete(serial);
    this.#sendPart(header, PacketStatus.ok, new Uint8Array(0));
  }

  #sendPart(header: PacketHeader, status: number, part: Uint8Array): void {
    const packet = Buffer.allocUnsafeSlow(HEADER_BYTES + part.length);
    packet.set(part, HEADER_BYTES);
    writeHeader(packet, { ...header, type: PacketType.stream, status });
    this.send(packet);
  }
}
