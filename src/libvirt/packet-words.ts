/**
 * A packet's body as 32-bit words with a position: the view on which bulk statistics and lists are decoded. XDR puts
 * everything on multiples of 4 bytes, so names compare word by word, in the machine's own byte order; `data` reads
 * numbers.
 *
 * Reads nothing beyond the body; whoever reads through `words` and `data` directly has checked the room first.
 */
import { WireError } from './wire.js';

export class PacketWords {
  readonly words: Int32Array;
  readonly data: DataView;
  /** Index of the next word. */
  at = 0;

  constructor(
    packet: Buffer,
    private readonly bodyOffset: number,
  ) {
    const body = aligned(packet.subarray(bodyOffset));
    if (body.length % 4 !== 0) {
      throw new WireError(`body of ${body.length} bytes is not a multiple of 4`, bodyOffset);
    }
    this.words = new Int32Array(body.buffer, body.byteOffset, body.length / 4);
    this.data = new DataView(body.buffer, body.byteOffset, body.length);
  }

  /** Words from the position to the end. */
  get left(): number {
    return this.words.length - this.at;
  }

  /** A count of things that take at least `minWords` each. */
  count(minWords: number, what: string): number {
    if (this.left < 1) throw this.error(`no count of ${what}`);
    const count = this.data.getUint32(this.at * 4);
    if (count * minWords > this.left - 1) throw this.error(`${count} ${what} do not fit`);
    this.at++;
    return count;
  }

  skipText(what: string): void {
    if (this.left < 1) throw this.error(`no ${what}`);
    const bytes = this.data.getUint32(this.at * 4);
    if (wordsOf(bytes) > this.left - 1) throw this.error(`${what} of ${bytes} bytes does not fit`);
    this.at += 1 + wordsOf(bytes);
  }

  error(message: string): WireError {
    return new WireError(message, this.bodyOffset + this.at * 4);
  }
}

/** Words of so many bytes with their padding. */
export function wordsOf(bytes: number): number {
  return Math.ceil(bytes / 4);
}

/** The same bytes where an Int32Array may lie over them: themselves, or a copy. */
function aligned(body: Buffer): Uint8Array {
  return body.byteOffset % 4 === 0 ? body : new Uint8Array(body);
}
