/**
 * The simulated daemon: serves a SimulatedHost on a UNIX socket, over libvirt's own protocol.
 *
 * How it works:
 * 1. client-connection.ts cuts bytes into calls and keeps to five unanswered ones per client.
 * 2. worker-pool.ts gives each call a worker; dispatch.ts decodes it, runs its handler and encodes the reply.
 * 3. A hung domain (hang()) keeps the calls that touch its monitor, and so their workers, until release() or destroy.
 * 4. kill() is the death of the daemon: sockets gone, socket file left behind; start() again is its restart. The
 *    domains live on in between, as QEMU processes do.
 */
import { existsSync, renameSync, unlinkSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Server } from 'node:net';
import type { PacketHeader } from '../libvirt/wire.js';
import type { Service } from '../util/lifecycle.js';
import type { Logger } from '../util/log.js';
import type { Clock } from '../util/time.js';
import { Call } from './call.js';
import { ClientConnection } from './client-connection.js';
import { dispatch, isPriority } from './dispatch.js';
import type { Answer } from './dispatch.js';
import type { HostEvent } from './events.js';
import { SeededRandom } from './random.js';
import type { SimulatedHost } from './simulated-host.js';
import { WorkerPool } from './worker-pool.js';

/**
 * How long QEMU takes for one answer of its monitor, ms: `meanMs`, uniformly up to `jitter` (0 to 1) around it; but
 * of the answers, the share `tail` takes anything from there up to `tailMs`, each order of magnitude as often.
 */
export interface ServiceTime {
  readonly meanMs: number;
  readonly jitter?: number;
  readonly tail?: number;
  readonly tailMs?: number;
}

export interface SimulatorServerOptions {
  readonly host: SimulatedHost;
  readonly socketPath: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Per monitor-backed record of a bulk call and per other call that asks a monitor; default 0. */
  readonly serviceTime?: ServiceTime;
  /**
   * How long events are held back, ms. By default 0: they leave before the reply of the call that caused them.
   * libvirtd sends them from its main loop, and either may be first.
   */
  readonly eventDelayMs?: number;
  /** Default 20 ordinary and 5 priority workers, as libvirtd. */
  readonly workers?: { readonly ordinary: number; readonly priority: number };
  /** Every outgoing packet passes here: may be changed, or dropped by undefined. */
  readonly mutatePacket?: (packet: Buffer) => Buffer | undefined;
}

export class SimulatorServer implements Service {
  readonly host: SimulatedHost;
  readonly #options: SimulatorServerOptions;
  readonly #random: SeededRandom;
  readonly #connections = new Set<ClientConnection>();
  readonly #cancelTimers = new Set<() => void>();
  #server: Server | undefined;
  #workers: WorkerPool;
  #stopEvents: (() => void) | undefined;
  #lastCallbackId = 0;

  constructor(options: SimulatorServerOptions) {
    this.#options = options;
    this.host = options.host;
    this.#random = new SeededRandom(options.host.seed);
    this.#workers = this.#newWorkers();
  }

  get socketPath(): string {
    return this.#options.socketPath;
  }

  /** Listens; also after kill() or stop(). A socket file that nobody listens on is replaced. */
  async start(_signal?: AbortSignal): Promise<void> {
    if (this.#server) return;
    await removeStaleSocket(this.socketPath);
    const server = createServer((socket) => this.#accept(socket));
    this.#server = server;
    this.#workers = this.#newWorkers();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.socketPath, () => {
        server.off('error', reject);
        resolve();
      });
    });
    this.#stopEvents = this.host.onEvent((event) => {
      const { eventDelayMs = 0 } = this.#options;
      if (eventDelayMs > 0) this.#after(eventDelayMs, () => this.#tell(event));
      else this.#tell(event);
    });
    this.#options.log.info(
      { socket: this.socketPath, domains: this.host.size, seed: this.host.seed },
      'simulated host listens',
    );
  }

  /** Ends all connections, removes the socket file and cancels what the guests still meant to do. */
  async stop(): Promise<void> {
    await this.#shutDown();
    this.host.close();
  }

  /** Dies as a daemon that is killed: clients see their sockets break, the socket file stays. */
  async kill(): Promise<void> {
    const { socketPath } = this;
    const aside = `${socketPath}.killed`;
    // Node removes the file of a server that it closes; a killed daemon cannot.
    if (existsSync(socketPath)) renameSync(socketPath, aside);
    const closed = this.#shutDown();
    if (existsSync(aside)) renameSync(aside, socketPath);
    await closed;
  }

  /** The QEMU of a running domain stops, and answers no more. @param idOrName uuid or name */
  hang(idOrName: string): void {
    const domain = this.host.require(idOrName);
    this.host.lifecycle.requireActive(domain);
    domain.hung = true;
  }

  /** The domain's QEMU answers again. */
  release(idOrName: string): void {
    this.host.require(idOrName).hung = false;
  }

  #newWorkers(): WorkerPool {
    return new WorkerPool(this.#options.workers ?? { ordinary: 20, priority: 5 });
  }

  #accept(socket: Parameters<Parameters<typeof createServer>[1] & object>[0]): void {
    const connection: ClientConnection = new ClientConnection(socket, {
      clock: this.#options.clock,
      submit: (header, packet, reply) => this.#submit(connection, header, packet, reply),
      nextCallbackId: () => ++this.#lastCallbackId,
      mutatePacket: this.#options.mutatePacket,
      onEnd: () => this.#forget(connection),
    });
    this.#connections.add(connection);
  }

  #tell(event: HostEvent): void {
    for (const connection of this.#connections) connection.tell(event);
  }

  #submit(
    connection: ClientConnection,
    header: PacketHeader,
    packet: Buffer,
    reply: (answer: Answer) => void,
  ): void {
    const call = new Call(
      this.host,
      connection,
      (ms, callback) => this.#after(ms, callback),
      () => this.#drawServiceMs(),
    );
    this.#workers.submit({
      priority: isPriority(header),
      run() {
        const answer = dispatch(call, header, packet);
        if (!(answer instanceof Promise)) {
          reply(answer);
          return undefined;
        }
        return answer.then(reply);
      },
    });
  }

  #after(ms: number, callback: () => void): () => void {
    const cancelTimer = this.#options.clock.after(ms, () => {
      this.#cancelTimers.delete(cancel);
      callback();
    });
    const cancel = () => {
      this.#cancelTimers.delete(cancel);
      cancelTimer();
    };
    this.#cancelTimers.add(cancel);
    return cancel;
  }

  #drawServiceMs(): number {
    const { meanMs = 0, jitter = 0, tail = 0, tailMs = meanMs } = this.#options.serviceTime ?? {};
    if (tail > 0 && this.#random.next() < tail) return meanMs * (tailMs / meanMs) ** this.#random.next();
    return jitter === 0 ? meanMs : meanMs * this.#random.between(1 - jitter, 1 + jitter);
  }

  #forget(connection: ClientConnection): void {
    this.#connections.delete(connection);
    for (const domain of connection.ownedDomains) {
      if (domain.active) this.host.lifecycle.destroy(domain, domain.monitor.hung);
    }
  }

  async #shutDown(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.#stopEvents?.();
    this.#workers.close();
    for (const cancel of [...this.#cancelTimers]) cancel();
    const closed = server && new Promise<void>((resolve) => server.close(() => resolve()));
    for (const connection of this.#connections) connection.destroy();
    this.host.daemonEnded();
    await closed;
  }
}

/** Throws where somebody listens there. */
async function removeStaleSocket(path: string): Promise<void> {
  if (!existsSync(path)) return;
  const alive = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
  if (alive) throw new Error(`${path} is in use by another daemon`);
  unlinkSync(path);
}
