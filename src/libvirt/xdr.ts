/**
 * XDR as libvirt uses it: a growing writer and a bounds-checked reader. xdr-codecs.ts builds types from them.
 *
 * Numbers of 64 bits are JavaScript numbers: exact up to 2^53, rounded to the nearest double beyond. libvirt's
 * larger values are "unlimited" marks and counters, for which that is enough; u64 saturates at 2^64 - 1, so what
 * was read can always be written again.
 */
import { HEADER_BYTES, MAX_PACKET_BYTES, WireError, writeHeader } from './wire.js';
import type { PacketHeader } from './wire.js';

const TWO_32 = 0x1_0000_0000;
const MAX_HIGH = 0xffff_ffff;

/** Collects a body after room for a header. */
export class XdrWriter {
  #buffer: Buffer;
  #length = HEADER_BYTES;

  constructor(expectedBodyBytes = 228) {
    this.#buffer = Buffer.allocUnsafeSlow(HEADER_BYTES + expectedBodyBytes);
  }

  /** Bytes written so far, without the header. */
  get bodyLength(): number {
    return this.#length - HEADER_BYTES;
  }

  u32(value: number): void {
    this.#checkInteger(value, 0, MAX_HIGH);
    const at = this.#reserve(4);
    this.#buffer.writeUInt32BE(value, at);
  }

  i32(value: number): void {
    this.#checkInteger(value, -0x8000_0000, 0x7fff_ffff);
    const at = this.#reserve(4);
    this.#buffer.writeInt32BE(value, at);
  }

  u64(value: number): void {
    this.#checkInteger(value, 0, Infinity);
    const at = this.#reserve(8);
    if (value >= TWO_32 * TWO_32) {
      this.#buffer.fill(0xff, at, at + 8);
      return;
    }
    this.#buffer.writeUInt32BE(Math.floor(value / TWO_32), at);
    this.#buffer.writeUInt32BE(value % TWO_32, at + 4);
  }

  i64(value: number): void {
    this.#checkInteger(value, -(2 ** 63), 2 ** 63);
    const at = this.#reserve(8);
    if (value >= 2 ** 63) {
      this.#buffer.fill(0xff, at, at + 8);
      this.#buffer[at] = 0x7f;
      return;
    }
    const high = Math.floor(value / TWO_32);
    this.#buffer.writeInt32BE(high, at);
    this.#buffer.writeUInt32BE(value - high * TWO_32, at + 4);
  }

  f64(value: number): void {
    const at = this.#reserve(8);
    this.#buffer.writeDoubleBE(value, at);
  }

  /** Bytes without a count, zero-padded to a multiple of 4. */
  fixed(bytes: Uint8Array): void {
    const at = this.#reserve((bytes.length + 3) & ~3);
    this.#buffer.set(bytes, at);
    this.#buffer.fill(0, at + bytes.length, this.#length);
  }

  /** Count, bytes and padding; also a string's form. */
  opaque(bytes: Uint8Array, maxBytes: number): void {
    this.count(bytes.length, maxBytes, 'bytes');
    this.fixed(bytes);
  }

  string(text: string, maxBytes: number): void {
    const bytes = Buffer.byteLength(text);
    this.count(bytes, maxBytes, 'bytes of text');
    const at = this.#reserve((bytes + 3) & ~3);
    this.#buffer.write(text, at, bytes, 'utf8');
    this.#buffer.fill(0, at + bytes, this.#length);
  }

  count(count: number, max: number, what: string): void {
    if (count > max) throw new WireError(`${count} ${what} where at most ${max} may be sent`, this.#length);
    this.u32(count);
  }

  /** The whole packet. The writer must not be used afterwards. */
  finish(header: PacketHeader): Buffer {
    const packet = this.#buffer.subarray(0, this.#length);
    writeHeader(packet, header);
    return packet;
  }

  #checkInteger(value: number, min: number, max: number): void {
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new WireError(`${value} is no integer from ${min} to ${max}`, this.#length);
    }
  }

  /** Call it before touching the buffer, which it may replace. */
  #reserve(bytes: number): number {
    const at = this.#length;
    this.#length += bytes;
    if (this.#length > MAX_PACKET_BYTES) throw new WireError('the packet would exceed 32 MiB', at);
    if (this.#length > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(
        Math.min(MAX_PACKET_BYTES, Math.max(this.#length, this.#buffer.length * 2)),
      );
      larger.set(this.#buffer.subarray(0, at));
      this.#buffer = larger;
    }
    return at;
  }
}

/** Reads a packet's body. Never reads beyond it, never allocates for a count that the body cannot hold. */
export class XdrReader {
  #at: number;

  constructor(
    private readonly packet: Buffer,
    bodyOffset = HEADER_BYTES,
  ) {
    this.#at = bodyOffset;
  }

  get offset(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.packet.length - this.#at;
  }

  u32(): number {
    return this.packet.readUInt32BE(this.#take(4));
  }

  i32(): number {
    return this.packet.readInt32BE(this.#take(4));
  }

  u64(): number {
    const at = this.#take(8);
    return this.packet.readUInt32BE(at) * TWO_32 + this.packet.readUInt32BE(at + 4);
  }

  i64(): number {
    const at = this.#take(8);
    return this.packet.readInt32BE(at) * TWO_32 + this.packet.readUInt32BE(at + 4);
  }

  f64(): number {
    return this.packet.readDoubleBE(this.#take(8));
  }

  /** A view of the packet, not a copy. */
  fixed(bytes: number): Buffer {
    const at = this.#take((bytes + 3) & ~3);
    return this.packet.subarray(at, at + bytes);
  }

  /** A view of the packet, not a copy. */
  opaque(maxBytes: number): Buffer {
    return this.fixed(this.count(maxBytes, 1));
  }

  string(maxBytes: number): string {
    return this.opaque(maxBytes).toString('utf8');
  }

  /** @param elementBytes the least that one element takes; a count that cannot fit the rest is refused */
  count(max: number, elementBytes: number): number {
    const at = this.#at;
    const count = this.u32();
    if (count > max) throw new WireError(`count ${count} is over its limit ${max}`, at);
    if (count * elementBytes > this.remaining) {
      throw new WireError(`count ${count} does not fit the ${this.remaining} bytes left`, at);
    }
    return count;
  }

  #take(bytes: number): number {
    const at = this.#at;
    if (bytes > this.packet.length - at) {
      throw new WireError(`${bytes} bytes wanted, ${this.packet.length - at} left`, at);
    }
    this.#at = at + bytes;
    return at;
  }
}
