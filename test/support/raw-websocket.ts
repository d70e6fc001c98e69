/**
 * A WebSocket client that obeys no rule: it writes whatever bytes a test wants and reads only when told to. For what a
 * library would never send.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9 } as const;

export interface Frame {
  readonly opcode?: number;
  readonly final?: boolean;
  /** False: as only servers may send. */
  readonly masked?: boolean;
}

/** RFC 6455 section 5.2. */
export function frame(
  payload: Buffer | string,
  { opcode = Opcode.text, final = true, masked = true }: Frame = {},
): Buffer {
  const data = Buffer.from(payload);
  const mask = masked ? Buffer.from([0x37, 0xfa, 0x21, 0x3d]) : Buffer.alloc(0);
  const long = data.length > 65_535;
  const head = Buffer.alloc(data.length < 126 ? 2 : long ? 10 : 4);
  head[0] = (final ? 0x80 : 0) | opcode;
  head[1] = (masked ? 0x80 : 0) | (data.length < 126 ? data.length : long ? 127 : 126);
  if (long) head.writeBigUInt64BE(BigInt(data.length), 2);
  else if (data.length >= 126) head.writeUInt16BE(data.length, 2);
  if (masked) for (let at = 0; at < data.length; at++) data[at]! ^= mask[at % 4]!;
  return Buffer.concat([head, mask, data]);
}

export class RawWebSocket {
  #received = Buffer.alloc(0);
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;

  private constructor(readonly socket: Socket) {
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
  }

  /** A TCP connection that has said nothing yet. */
  static async tcp(port: number): Promise<RawWebSocket> {
    const socket = connect({ host: '127.0.0.1', port });
    const raw = new RawWebSocket(socket);
    await once(socket, 'connect');
    return raw;
  }

  static async open(port: number): Promise<RawWebSocket> {
    const raw = await RawWebSocket.tcp(port);
    const key = randomBytes(16).toString('base64');
    raw.socket.write(
      `GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
    );
    const [head] = (await once(raw.socket, 'data')) as [Buffer];
    if (!head.toString('latin1').startsWith('HTTP/1.1 101')) throw new Error(`refused: ${head.toString()}`);
    raw.socket.on('data', (chunk: Buffer) => {
      // The end is what tests look at: a close frame.
      raw.#received = Buffer.concat([raw.#received, chunk]).subarray(-4096);
    });
    return raw;
  }

  /** Resolves when the kernel takes no more or all was taken. */
  write(bytes: Buffer): boolean {
    return this.socket.writable && this.socket.write(bytes);
  }

  /** Code and reason of the close frame that came last, where one came. */
  get closeFrame(): { readonly code: number; readonly reason: string } | undefined {
    const tail = this.#received;
    for (let at = Math.max(0, tail.length - 130); at < tail.length - 3; at++) {
      const length = tail[at + 1]!;
      if (tail[at] === 0x88 && at + 2 + length === tail.length && length >= 2)
        return { code: tail.readUInt16BE(at + 2), reason: tail.toString('utf8', at + 4) };
    }
    return undefined;
  }

  destroy(): void {
    this.socket.destroy();
  }
}
