/**
 * What one session has still to send: an ordered queue of whole messages in front of a WebSocket.
 *
 * It counts bytes and sets no bound: the session decides from `unsentBytes`. Only a window is handed to the socket
 * at a time, so that a closing session can forget the rest at once. Pieces are never copied unless tiny, and a
 * message of several pieces goes out as fragments with nothing between them.
 */

/** The part of `ws` that is used. */
export interface Wire {
  readonly bufferedAmount: number;
  send(data: Buffer, options: { binary: boolean; fin: boolean }, done: (error?: Error) => void): void;
}

/** The socket under it: corked, so that all frames handed over at once cost one system call. */
export interface Corkable {
  cork(): void;
  uncork(): void;
}

/** Bytes in the socket's own buffer above which no more is handed over. */
const WINDOW_BYTES = 1024 * 1024;
/** Up to here one copy is cheaper than a header and an I/O vector for each piece. */
const COALESCE_BYTES = 16 * 1024;

export class Outbox {
  #messages: (readonly Buffer[])[] = [];
  /** Of the first message, the piece to send next. */
  #nextPiece = 0;
  #queuedBytes = 0;
  #flushedBytes = 0;
  #pumpDue = false;

  constructor(
    private readonly wire: Wire,
    private readonly socket: Corkable,
    /** After bytes have left for the kernel. */
    private readonly onFlushed: () => void,
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
    this.#messages.push(
      pieces.length > 1 && bytes <= COALESCE_BYTES ? [Buffer.concat(pieces, bytes)] : pieces,
    );
    this.#queuedBytes += bytes;
    if (this.#pumpDue) return;
    this.#pumpDue = true;
    process.nextTick(() => {
      this.#pumpDue = false;
      this.#pump();
    });
  }

  /** Forgets what was not handed to the socket. A message that is half sent stays so: close the session. */
  clear(): void {
    this.#messages = [];
    this.#nextPiece = 0;
    this.#queuedBytes = 0;
  }

  #pump(): void {
    this.socket.cork();
    let taken = 0;
    for (const pieces of this.#messages) {
      if (!this.#sendPieces(pieces)) break;
      taken++;
    }
    this.#messages.splice(0, taken);
    this.socket.uncork();
  }

  /** False where the window is full before the last piece. */
  #sendPieces(pieces: readonly Buffer[]): boolean {
    for (; this.#nextPiece < pieces.length; this.#nextPiece++) {
      if (this.wire.bufferedAmount >= WINDOW_BYTES) return false;
      const piece = pieces[this.#nextPiece]!;
      const fin = this.#nextPiece === pieces.length - 1;
      this.#queuedBytes -= piece.length;
      this.wire.send(piece, { binary: false, fin }, (error) => this.#flushed(piece.length, error));
    }
    this.#nextPiece = 0;
    return true;
  }

  /** A failed send needs no care here: the socket's close follows and ends the session. */
  #flushed(bytes: number, error: Error | undefined): void {
    if (error) return;
    this.#flushedBytes += bytes;
    if (this.#messages.length > 0) this.#pump();
    this.onFlushed();
  }
}
