/**
 * What one session has still to send: an ordered queue of whole messages in front of a WebSocket.
 *
 * It counts bytes and sets no bound: the session decides from `unsentBytes`. Messages are handed to the socket up
 * to a window only, so that a closing session can forget the rest at once.
 *
 * A message of several pieces becomes one frame: its header, and then the pieces as they are, uncopied, go straight
 * to the socket. `ws` could only send them as fragments, which every reader must join: measured at 1.2 to 1.5
 * times the latency of one frame from 1.5 MB on. This is sound because a frame is written whole within one call,
 * and because `ws` without compression writes at once too, so both keep their order.
 */

import type { ByteBudget } from './byte-budget.js';

/** The part of `ws` that is used. */
export interface Wire {
  readonly bufferedAmount: number;
  readonly readyState: number;
  readonly OPEN: number;
  send(data: Buffer, options: { binary: boolean }, done: (error?: Error | null) => void): void;
}

/** The socket under it. Corked, all frames handed over at once cost one system call. */
export interface RawSocket {
  cork(): void;
  uncork(): void;
  write(data: Buffer, done?: (error?: Error | null) => void): boolean;
}

/** Bytes in the socket's own buffer above which no further message is handed over. */
const WINDOW_BYTES = 1024 * 1024;
/** Up to here one copy is cheaper than an I/O vector for each piece. */
const COALESCE_BYTES = 16 * 1024;

interface Message {
  readonly pieces: readonly Buffer[];
  readonly bytes: number;
}

export class Outbox {
  #messages: Message[] = [];
  #queuedBytes = 0;
  #flushedBytes = 0;
  /** What of this outbox is counted in the budget. */
  #counted = 0;
  #pumpDue = false;

  constructor(
    private readonly wire: Wire,
    private readonly socket: RawSocket,
    /** After bytes have left for the kernel. */
    private readonly onFlushed: () => void,
    private readonly budget?: Pick<ByteBudget, 'add'>,
  ) {}

  /** Bytes that the kernel has not taken yet. */
  get unsentBytes(): number {
    return this.#queuedBytes + this.wire.bufferedAmount;
  }

  /** Everything was handed to the socket, in whose order a close frame may follow. */
  get empty(): boolean {
    return this.#messages.length === 0;
  }

  /** Bytes that the kernel has taken since the beginning: it stands still while the peer does not read. */
  get flushedBytes(): number {
    return this.#flushedBytes;
  }

  /** Queues one message. Sent at the end of this turn of the event loop, together with what follows it. */
  push(pieces: readonly Buffer[]): void {
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const join = pieces.length > 1 && bytes <= COALESCE_BYTES;
    this.#messages.push({ pieces: join ? [Buffer.concat(pieces, bytes)] : pieces, bytes });
    this.#queuedBytes += bytes;
    this.#schedulePump();
    // Last, since it may end this session.
    this.#count(bytes);
  }

  /** Forgets what was not handed to the socket. */
  clear(): void {
    this.#count(-this.#queuedBytes);
    this.#messages = [];
    this.#queuedBytes = 0;
  }

  /** The socket is gone, and with it what it held. */
  close(): void {
    this.clear();
    this.#count(-this.#counted);
  }

  #count(bytes: number): void {
    this.#counted += bytes;
    this.budget?.add(bytes);
  }

  #schedulePump(): void {
    if (this.#pumpDue) return;
    this.#pumpDue = true;
    process.nextTick(() => {
      this.#pumpDue = false;
      this.#pump();
    });
  }

  #pump(): void {
    // A frame behind a close frame would be a fault of protocol; the end of the session follows and clears.
    if (this.wire.readyState !== this.wire.OPEN) return;
    this.socket.cork();
    let taken = 0;
    while (taken < this.#messages.length && this.wire.bufferedAmount < WINDOW_BYTES) {
      this.#send(this.#messages[taken++]!);
    }
    this.#messages.splice(0, taken);
    this.socket.uncork();
  }

  #send({ pieces, bytes }: Message): void {
    this.#queuedBytes -= bytes;
    const done = (error?: Error | null): void => this.#flushed(bytes, error);
    const last = pieces.length - 1;
    if (last === 0) {
      this.wire.send(pieces[0]!, { binary: false }, done);
      return;
    }
    this.socket.write(textFrameHeader(bytes));
    pieces.forEach((piece, index) => this.socket.write(piece, index === last ? done : undefined));
  }

  /** A failed send needs no care here: the socket's close follows and ends the session. */
  #flushed(bytes: number, error: Error | null | undefined): void {
    if (error) return;
    this.#count(-Math.min(bytes, this.#counted));
    this.#flushedBytes += bytes;
    if (this.#messages.length > 0) this.#pump();
    this.onFlushed();
  }
}

/** Header of an unmasked, unfragmented text frame (RFC 6455 section 5.2). */
export function textFrameHeader(payloadBytes: number): Buffer {
  const FIN_TEXT = 0x81;
  if (payloadBytes < 126) return Buffer.from([FIN_TEXT, payloadBytes]);
  const header = Buffer.alloc(payloadBytes < 65_536 ? 4 : 10);
  header[0] = FIN_TEXT;
  header[1] = payloadBytes < 65_536 ? 126 : 127;
  if (payloadBytes < 65_536) header.writeUInt16BE(payloadBytes, 2);
  else header.writeBigUInt64BE(BigInt(payloadBytes), 2);
  return header;
}
