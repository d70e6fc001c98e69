/**
 * A UNIX socket in a folder of its own that leads to another one, and can be cut: all connections through it end and
 * new ones are refused, while the daemon behind it and its other clients notice nothing.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class SocketRelay {
  readonly #folder = mkdtempSync(join(tmpdir(), 'relay-'));
  readonly path = join(this.#folder, 'sock');
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  /** @param through what clients send goes through one of these, if given */
  constructor(
    private readonly target: string,
    private readonly through?: () => Duplex,
  ) {}

  open(): Promise<void> {
    const server = createServer((near) => this.#join(near, connect(this.target)));
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.path, resolve);
    });
  }

  async cut(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    const closed = new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async dispose(): Promise<void> {
    await this.cut();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #join(near: Socket, far: Socket): void {
    const through = this.through?.();
    if (through) near.pipe(through).pipe(far);
    else near.pipe(far);
    far.pipe(near);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from);
      from.on('error', () => from.destroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
  }
}
