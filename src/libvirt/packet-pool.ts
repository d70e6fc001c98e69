/**
 * Memory of large packets, used again: statistics of thousands of domains come in megabytes per cycle, and what is
 * allocated for them outside the heap makes the garbage collector stop the program.
 *
 * Whoever knows that a packet is not looked at any more may give it back; nobody must, the collector takes the others.
 * Invariant: after give() nobody reads the packet, for its memory becomes another's. What is kept is bounded.
 */

/** Smaller packets are plain allocations. */
const MIN_BYTES = 16 * 1024;
const KEPT_BYTES = 4 * 1024 * 1024;

export class PacketPool {
  readonly #kept: ArrayBuffer[] = [];
  #keptBytes = 0;

  /** Memory of that length, at offset 0 of what may be larger; its content is arbitrary. */
  take(length: number): Buffer {
    if (length < MIN_BYTES) return Buffer.allocUnsafeSlow(length);
    const fits = this.#kept.findIndex(({ byteLength }) => byteLength >= length && byteLength <= 4 * length);
    if (fits >= 0) {
      const [memory] = this.#kept.splice(fits, 1) as [ArrayBuffer];
      this.#keptBytes -= memory.byteLength;
      return Buffer.from(memory, 0, length);
    }
    // Replies to equal calls differ a little in length.
    const capacity = Math.min(KEPT_BYTES, 2 ** Math.ceil(Math.log2(length)));
    const memory = Buffer.allocUnsafeSlow(Math.max(length, capacity)).buffer;
    return Buffer.from(memory, 0, length);
  }

  /** @param packet from take() of any pool, whole; not to be read, nor given back, again */
  give(packet: Buffer): void {
    const memory = packet.buffer as ArrayBuffer;
    if (memory.byteLength < MIN_BYTES || this.#keptBytes + memory.byteLength > KEPT_BYTES) return;
    this.#kept.push(memory);
    this.#keptBytes += memory.byteLength;
  }
}
