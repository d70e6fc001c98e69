/**
 * The receiving side of one stream: what the daemon sends after the reply to a call such as DOMAIN_SCREENSHOT.
 *
 * waiting (for the reply) -> receiving -> finishing (all is here, the daemon is to confirm) -> over; or from any of
 * them -> aborted (the daemon was told, and its confirmation is awaited) -> over. A call keeps its serial, and its slot of
 * the connection, until its stream is over.
 */
import { HypervisorError } from '../domain/hypervisor.js';
import type { CallOptions } from '../domain/hypervisor.js';
import { HEADER_BYTES, PacketStatus } from './wire.js';

export interface DownloadOptions extends CallOptions {
  /** A longer stream is given up. */
  readonly maxBytes: number;
}

export interface Downloaded<R> {
  readonly result: R;
  readonly data: Buffer;
}

const states = {
  waiting: ['receiving', 'over'],
  receiving: ['finishing', 'aborted', 'over'],
  finishing: ['aborted', 'over'],
  aborted: ['over'],
  over: [],
} as const satisfies Record<string, readonly string[]>;
type State = keyof typeof states;

export class Download {
  #state: State = 'waiting';
  #reply: Buffer | undefined;
  #buffer = Buffer.alloc(0);
  #bytes = 0;

  constructor(private readonly maxBytes: number) {}

  /** Where the daemon has begun to send, or may have. */
  get open(): boolean {
    return this.#state !== 'waiting' && this.#state !== 'over';
  }

  /** The packet of the reply that the stream followed. */
  get reply(): Buffer | undefined {
    return this.#reply;
  }

  get data(): Buffer {
    return this.#buffer.subarray(0, this.#bytes);
  }

  /** The call was answered: its stream begins. */
  begin(reply: Buffer): void {
    this.#move('receiving');
    this.#reply = reply;
  }

  /** @returns the status of the packet to send now, if any: ok ends the stream, error aborts it */
  abort(): number | undefined {
    if (this.#state !== 'receiving' && this.#state !== 'finishing') return undefined;
    this.#move('aborted');
    this.#buffer = Buffer.alloc(0);
    this.#bytes = 0;
    return PacketStatus.error;
  }

  /**
   * A packet of data, empty at the end of it.
   * @returns the status of the packet to send now, if any
   * @throws HypervisorError 'failed' where the stream is too long, or goes on after its end
   */
  receive(packet: Buffer): number | undefined {
    if (this.#state === 'aborted') return undefined;
    if (this.#state === 'finishing') throw new HypervisorError('failed', 'the stream goes on after its end');
    const data = packet.subarray(HEADER_BYTES);
    if (data.length === 0) {
      this.#move('finishing');
      return PacketStatus.ok;
    }
    if (this.#bytes + data.length > this.maxBytes) {
      throw new HypervisorError('failed', `the stream is longer than ${this.maxBytes} bytes`);
    }
    this.#makeRoom(this.#bytes + data.length);
    this.#buffer.set(data, this.#bytes);
    this.#bytes += data.length;
    return undefined;
  }

  /** The daemon's last packet. @returns whether all data had come before it */
  end(): boolean {
    const complete = this.#state === 'finishing';
    this.#move('over');
    return complete;
  }

  /** However small the packets are, the memory is that of the data, twice at most. */
  #makeRoom(bytes: number): void {
    if (bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.min(this.maxBytes, Math.max(bytes, 2 * this.#buffer.length)));
    larger.set(this.data);
    this.#buffer = larger;
  }

  #move(to: State): void {
    const allowed: readonly string[] = states[this.#state];
    if (!allowed.includes(to)) throw new Error(`a stream cannot go from ${this.#state} to ${to}`);
    this.#state = to;
  }
}
