/** A WebSocket server that answers as a test tells it to: what the client's tests talk to instead of an agent. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';

export interface FakeRequest {
  readonly id: number;
  readonly method: string;
  readonly params: Record<string, unknown>;
}

export class FakeError extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

/** Never answered. */
export const silence = new Promise<never>(() => undefined);

export type Handler = (params: Record<string, unknown>, socket: WebSocket) => unknown;

export class FakeAgent {
  readonly requests: FakeRequest[] = [];
  readonly handlers = new Map<string, Handler>();
  #server: WebSocketServer | undefined;
  #port = 0;

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get sockets(): WebSocket[] {
    return [...(this.#server?.clients ?? [])];
  }

  /** Listens; a second time, on the same port again. */
  async start(): Promise<this> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: this.#port });
    this.#server = server;
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    server.on('connection', (socket) => {
      socket.on(
        'message',
        (data: Buffer) => void this.#answer(socket, JSON.parse(data.toString()) as FakeRequest),
      );
    });
    return this;
  }

  /** Cuts every connection without a word. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    for (const socket of server.clients) socket.terminate();
    await new Promise((resolve) => server.close(resolve));
  }

  send(message: unknown): void {
    for (const socket of this.sockets)
      socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  async #answer(socket: WebSocket, request: FakeRequest): Promise<void> {
    this.requests.push(request);
    const reply = (body: object): void =>
      socket.send(JSON.stringify({ jsonrpc: '2.0', id: request.id, ...body }));
    const handler = this.handlers.get(request.method);
    try {
      if (!handler) throw new FakeError(-32601, `no method ${request.method}`);
      reply({ result: await handler(request.params, socket) });
    } catch (error) {
      const { code, message } = error as FakeError;
      reply({ error: { code, message } });
    }
  }
}

export function statusEvent(vmId: string, status: string, seq: number, more: object = {}): object {
  const params = { [vmId]: { status, ...more }, notify_time: 1000 + seq };
  return { jsonrpc: '2.0', method: `|virt|VM_status|${vmId}`, params, seq };
}
