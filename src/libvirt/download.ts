/**
 * The receiving side of one stream: what the daemon sends beside the reply to a call such as DOMAIN_SCREENSHOT.
 *
 * waiting (for the reply) -> receiving -> finishing (all is here, the daemon is to confirm) -> over; or by way of
 * aborted (the daemon was told, and its confirmation is awaited). Packets of the stream were seen to overtake the reply,
 * all of them at times; as libvirt's own client does, nothing is said of the stream before the reply is here. A call
 * keeps its serial, and its slot of the connection, until both have ended.
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
  #complete = false;
  #givenUp = false;

  constructor(private readonly maxBytes: number) {}

  get over(): boolean {
    return this.#state === 'over';
  }

  /** The packet of the reply, once it is here. */
  get reply(): Buffer | undefined {
    return this.#reply;
  }

  /** What has come so far. */
  get data(): Buffer {
    return this.#buffer.subarray(0, this.#bytes);
  }

  /** The call was answered. @returns as receive() */
  begin(reply: Buffer): number | undefined {
    this.#reply = reply;
    if (this.#state === 'over') return undefined;
    this.#move('receiving');
    return this.#givenUp ? this.abort() : this.#finish();
  }

  /** Nobody waits for it any more. @returns as receive() */
  abort(): number | undefined {
    this.#givenUp = true;
    this.#buffer = Buffer.alloc(0);
    this.#bytes = 0;
    if (this.#state !== 'receiving' && this.#state !== 'finishing') return undefined;
    this.#move('aborted');
    return PacketStatus.error;
  }

  /**
   * A packet of data, empty at the end of it.
   * @returns the status of the packet to send now, if any: ok ends the stream, error aborts it
   * @throws HypervisorError 'failed' where the stream is too long, or goes on after its end
   */
  receive(packet: Buffer): number | undefined {
    if (this.#givenUp) return undefined;
    if (this.#complete) throw new HypervisorError('failed', 'the stream goes on after its end');
    const data = packet.subarray(HEADER_BYTES);
    if (data.length === 0) {
      this.#complete = true;
      return this.#finish();
    }
    if (this.#bytes + data.length > this.maxBytes) {
      throw new HypervisorError('failed', `the stream is longer than ${this.maxBytes} bytes`);
    }
    this.#makeRoom(this.#bytes + data.length);
    this.#buffer.set(data, this.#bytes);
    this.#bytes += data.length;
    return undefined;
  }

  /** The daemon's last packet of the stream. @returns whether all data had come, and we had said so */
  end(): boolean {
    const finished = this.#state === 'finishing';
    this.#move('over');
    return finished;
  }

  #finish(): number | undefined {
    if (!this.#complete || this.#state !== 'receiving') return undefined;
    this.#move('finishing');
    return PacketStatus.ok;
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
