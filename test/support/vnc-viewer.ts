/**
 * The beginning of a VNC viewer's conversation (RFB 3.8): enough to find out who is let in.
 */
import { createCipheriv } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';

/** Security types by number. */
const NONE = 1;
const VNC_AUTH = 2;
const LIMIT_MS = 10_000;

export class VncViewer {
  #received = Buffer.alloc(0);

  private constructor(private readonly socket: Socket) {}

  static async open(port: number, host = '127.0.0.1'): Promise<VncViewer> {
    const socket = connect(port, host).setTimeout(LIMIT_MS);
    socket.on('timeout', () => socket.destroy(new Error('the VNC server is silent')));
    await once(socket, 'connect');
    return new VncViewer(socket);
  }

  /** The security types that the server offers. */
  async greet(): Promise<number[]> {
    const version = (await this.#read(12)).toString('latin1');
    this.socket.write(version);
    const [count = 0] = await this.#read(1);
    return [...(await this.#read(count))];
  }

  /** True where the server lets this password in. */
  async enter(password: string): Promise<boolean> {
    const types = await this.greet();
    if (!types.includes(VNC_AUTH)) throw new Error(`the server asks for no password: ${types.join(',')}`);
    this.socket.write(Buffer.of(VNC_AUTH));
    const challenge = await this.#read(16);
    this.socket.write(answerTo(challenge, password));
    return (await this.#read(4)).readUInt32BE(0) === 0;
  }

  /** Resolves when the server shows its screen. */
  async begin(): Promise<void> {
    this.socket.write(Buffer.of(1));
    await this.#read(24);
  }

  close(): void {
    this.socket.destroy();
  }

  async #read(bytes: number): Promise<Buffer> {
    while (this.#received.length < bytes) {
      const [data] = (await once(this.socket, 'data')) as [Buffer];
      this.#received = Buffer.concat([this.#received, data]);
    }
    const read = this.#received.subarray(0, bytes);
    this.#received = this.#received.subarray(bytes);
    return read;
  }
}

/** Lets one viewer in or not. */
export async function isLetIn(port: number, password: string): Promise<boolean> {
  const viewer = await VncViewer.open(port);
  try {
    return await viewer.enter(password);
  } finally {
    viewer.close();
  }
}

export { NONE as NO_PASSWORD, VNC_AUTH as WITH_PASSWORD };

/** DES with each byte of the key mirrored; three times with one key is once, and OpenSSL has only that left. */
function answerTo(challenge: Buffer, password: string): Buffer {
  const key = Buffer.alloc(8);
  Buffer.from(password).copy(key, 0, 0, 8);
  const mirrored = key.map((byte) =>
    Number.parseInt(byte.toString(2).padStart(8, '0').split('').reverse().join(''), 2),
  );
  const cipher = createCipheriv('des-ede3-ecb', Buffer.concat([mirrored, mirrored, mirrored]), null);
  return cipher.setAutoPadding(false).update(challenge);
}
