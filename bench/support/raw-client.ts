/** A WebSocket client that hands on bytes: what is measured with it is the server and the wire, not JSON.parse. */
import { once } from 'node:events';
import { WebSocket } from 'ws';

export class RawClient {
  #waiting: ((message: Buffer) => void) | undefined;

  private constructor(private readonly socket: WebSocket) {
    socket.on('message', (message: Buffer) => this.#waiting?.(message));
  }

  static async connect(address: string): Promise<RawClient> {
    const socket = new WebSocket(address, { maxPayload: 64 * 1024 * 1024, perMessageDeflate: false });
    await once(socket, 'open');
    return new RawClient(socket);
  }

  /** One message out, the next one in; nothing else may be under way. */
  async ask(text: string): Promise<Buffer> {
    return new Promise((resolve) => {
      this.#waiting = resolve;
      this.socket.send(text);
    });
  }

  close(): void {
    this.socket.close();
  }
}
