/** A listener on loopback with a scripted API behind it, and clients of it, for the tests of this folder. */
import { once } from 'node:events';
import { WebSocket, type ClientOptions } from 'ws';
import type { HandleMessage, Peer, Reply } from '../../../src/api/peer.js';
import { Listener, type ListenerOptions } from '../../../src/transport/websocket.js';
import { silentLogger } from '../../../src/util/log.js';
import { makeFanOut, type FanOutFixture } from './events.js';

export type Answer = (text: string, peer: Peer) => Promise<Reply | undefined> | Reply | undefined;

export interface TestAgent extends FanOutFixture {
  readonly listener: Listener;
  /** Port of the first endpoint. */
  readonly port: number;
  connect(options?: ClientOptions): Promise<TestClient>;
  stop(): Promise<void>;
}

export async function startAgent(answer: Answer, options: Partial<ListenerOptions> = {}): Promise<TestAgent> {
  const fixture = makeFanOut();
  const handle: HandleMessage = async (message, peer) => answer(message.toString(), peer);
  const listener = new Listener({
    endpoints: [{ host: '127.0.0.1', port: 0 }],
    insecure: false,
    handle,
    health: () => ({ ok: true, body: {} }),
    log: silentLogger,
    ...fixture,
    ...options,
  });
  await listener.start();
  const [first] = listener.address();
  const port = first && 'port' in first ? first.port : 0;
  const url = first && 'path' in first ? `ws+unix:${first.path}:/` : `ws://127.0.0.1:${port}`;
  const clients: TestClient[] = [];
  return {
    ...fixture,
    listener,
    port,
    connect: async (clientOptions) => {
      const client = await TestClient.connect(url, clientOptions);
      clients.push(client);
      return client;
    },
    stop: async () => {
      for (const { ws } of clients) ws.terminate();
      await listener.stop();
      await fixture.fanOut.stop();
    },
  };
}

/** Subscribes by the word "subscribe"; everything else is sent back. */
export const echo: Answer = (text, peer) => {
  if (text === 'subscribe') return reply(`subscribed after ${peer.subscribe().seq}`);
  return reply(text);
};

export function reply(text: string | readonly Buffer[], sent: () => void = () => undefined): Reply {
  return { pieces: typeof text === 'string' ? [Buffer.from(text)] : text, sent };
}

export class TestClient {
  readonly messages: string[] = [];
  /** Resolves with code and reason. */
  readonly closed: Promise<{ code: number; reason: string }>;

  private constructor(readonly ws: WebSocket) {
    ws.on('message', (data: Buffer) => this.messages.push(data.toString()));
    ws.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
  }

  static async connect(url: string, options: ClientOptions = {}): Promise<TestClient> {
    const ws = new WebSocket(url, { perMessageDeflate: false, ...options });
    const client = new TestClient(ws);
    await once(ws, 'open');
    return client;
  }

  send(text: string): void {
    this.ws.send(text);
  }

  /** Resolves when at least `count` messages have come. */
  async received(count: number): Promise<string[]> {
    while (this.messages.length < count) await once(this.ws, 'message');
    return this.messages;
  }
}
