/**
 * The packet layer of libvirt's RPC: 28 bytes of header, then a body that xdr.ts reads. Knows nothing of
 * procedures or sockets; both ends use it.
 *
 * Invariant: a length word is checked before anything is allocated for it, and every packet lies at offset 0
 * of memory of its own, so that an Int32Array may be laid over it.
 */

export const Program = {
  remote: 0x20008086,
  qemu: 0x20008087,
  /** 'keep' */
  keepalive: 0x6b656570,
} as const;

/** The same for every program used here. */
export const PROTOCOL_VERSION = 1;

export const PacketType = {
  call: 0,
  reply: 1,
  event: 2,
  stream: 3,
  callWithFds: 4,
  replyWithFds: 5,
  streamHole: 6,
} as const;

export const PacketStatus = { ok: 0, error: 1, continue: 2 } as const;

/** Procedures of the keepalive program; type event, serial 0, empty body. */
export const Keepalive = { ping: 1, pong: 2 } as const;

export const HEADER_BYTES = 28;
/** 32 MiB of message and the length word itself. */
export const MAX_PACKET_BYTES = 33_554_436;
/** What a reply may hold; a daemon answers error 39 instead of a larger one. */
export const MAX_BODY_BYTES = MAX_PACKET_BYTES - HEADER_BYTES;

export interface PacketHeader {
  readonly program: number;
  readonly version: number;
  readonly procedure: number;
  readonly type: number;
  readonly serial: number;
  readonly status: number;
}

/** Bytes that break the protocol, or a value that does not fit it. `offset` counts from the packet's start. */
export class WireError extends Error {
  override readonly name = 'WireError';
  constructor(
    message: string,
    readonly offset: number,
  ) {
    super(`${message} (at byte ${offset})`);
  }
}

/** Writes length word and header into the first 28 bytes of a packet that is complete otherwise. */
export function writeHeader(packet: Buffer, header: PacketHeader): void {
  packet.writeUInt32BE(packet.length, 0);
  packet.writeUInt32BE(header.program, 4);
  packet.writeUInt32BE(header.version, 8);
  packet.writeUInt32BE(header.procedure, 12);
  packet.writeUInt32BE(header.type, 16);
  packet.writeUInt32BE(header.serial, 20);
  packet.writeUInt32BE(header.status, 24);
}

/** @param packet at least 28 bytes, as a PacketSplitter delivers */
export function readHeader(packet: Buffer): PacketHeader {
  return {
    program: packet.readUInt32BE(4),
    version: packet.readUInt32BE(8),
    procedure: packet.readUInt32BE(12),
    type: packet.readUInt32BE(16),
    serial: packet.readUInt32BE(20),
    status: packet.readUInt32BE(24),
  };
}

/** A packet with an empty body, for keepalive. */
export function keepalivePacket(procedure: number): Buffer {
  const packet = Buffer.allocUnsafeSlow(HEADER_BYTES);
  writeHeader(packet, {
    program: Program.keepalive,
    version: PROTOCOL_VERSION,
    procedure,
    type: PacketType.event,
    serial: 0,
    status: PacketStatus.ok,
  });
  return packet;
}

/**
 * Cuts a socket's chunks into packets. Each byte is copied once, when it arrives, so a packet of 20 MB costs no
 * burst at its end. After push() has thrown, framing is lost: the socket must be closed.
 */
export class PacketSplitter {
  readonly #lengthWord = Buffer.allocUnsafeSlow(4);
  #lengthBytes = 0;
  #packet: Buffer | undefined;
  #filled = 0;

  /** @param allocate gives memory of that many bytes, at offset 0 */
  constructor(
    private readonly onPacket: (header: PacketHeader, packet: Buffer) => void,
    private readonly allocate: (bytes: number) => Buffer = (bytes) => Buffer.allocUnsafeSlow(bytes),
  ) {}

  /** The packet that waits for its rest: the same object until it is whole. */
  get unfinished(): object | undefined {
    return this.#packet;
  }

  /** @throws WireError for a length word outside 28 .. MAX_PACKET_BYTES */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (!this.#packet) {
        this.#lengthWord[this.#lengthBytes++] = chunk[at++]!;
        if (this.#lengthBytes === 4) this.#begin();
        continue;
      }
      const take = Math.min(chunk.length - at, this.#packet.length - this.#filled);
      this.#packet.set(chunk.subarray(at, at + take), this.#filled);
      this.#filled += take;
      at += take;
      if (this.#filled === this.#packet.length) this.#finish(this.#packet);
    }
  }

  #begin(): void {
    const length = this.#lengthWord.readUInt32BE(0);
    this.#lengthBytes = 0;
    if (length < HEADER_BYTES || length > MAX_PACKET_BYTES) {
      throw new WireError(`packet length ${length} is outside ${HEADER_BYTES}..${MAX_PACKET_BYTES}`, 0);
    }
    this.#packet = this.allocate(length);
    this.#packet.set(this.#lengthWord);
    this.#filled = 4;
  }

  #finish(packet: Buffer): void {
    this.#packet = undefined;
    this.onPacket(readHeader(packet), packet);
  }
}
