/**
 * Opens and closes one listening HTTP(S) server: TLS files, UNIX socket files, and errors that a person can act on.
 * What is served is the caller's business.
 */
import { existsSync, readFileSync } from 'node:fs';
import { lstat, unlink } from 'node:fs/promises';
import { createServer, type Server, type ServerOptions } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { createSecureContext } from 'node:tls';
import { formatEndpoint, type Endpoint } from './endpoints.js';

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** Where given, clients must show a certificate signed by it. */
  readonly caFile?: string;
}

export interface TlsMaterial {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca?: Buffer;
}

/** @throws Error naming the file that cannot be read or used */
export function loadTls(files: TlsFiles): TlsMaterial {
  const read = (what: string, path: string): Buffer => {
    try {
      return readFileSync(path);
    } catch (error) {
      throw new Error(`cannot read the TLS ${what} ${path}: ${(error as Error).message}`, { cause: error });
    }
  };
  const material: TlsMaterial = {
    cert: read('certificate', files.certFile),
    key: read('key', files.keyFile),
    ...(files.caFile !== undefined && { ca: read('CA certificate', files.caFile) }),
  };
  try {
    createSecureContext(material);
  } catch (error) {
    const names = Object.values(files).join(', ');
    throw new Error(`TLS cannot use ${names}: ${(error as Error).message}`, { cause: error });
  }
  return material;
}

/** One server and all its connections, upgraded ones too. */
export class HttpServer {
  readonly #sockets = new Set<Socket>();

  private constructor(
    readonly server: Server,
    private readonly requested: Endpoint,
  ) {
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** @param handshakeTimeoutMs for TLS, and for the headers of a request to arrive */
  static create(
    endpoint: Endpoint,
    how: {
      readonly tls?: TlsMaterial | undefined;
      readonly handshakeTimeoutMs: number;
      readonly maxConnections: number;
    },
  ): HttpServer {
    const options: ServerOptions = {
      headersTimeout: how.handshakeTimeoutMs,
      requestTimeout: how.handshakeTimeoutMs,
      connectionsCheckingInterval: Math.ceil(how.handshakeTimeoutMs / 4),
      keepAliveTimeout: 5000,
      maxHeaderSize: 16 * 1024,
    };
    const server =
      how.tls && !('path' in endpoint)
        ? createTlsServer({
            ...options,
            ...how.tls,
            handshakeTimeout: how.handshakeTimeoutMs,
            minVersion: 'TLSv1.2',
            ...(how.tls.ca && { requestCert: true, rejectUnauthorized: true }),
          })
        : createServer(options);
    server.maxConnections = how.maxConnections;
    return new HttpServer(server, endpoint);
  }

  /** @throws Error of one line that names the address and the cause */
  async listen(): Promise<void> {
    if ('path' in this.requested) await makeWay(this.requested.path);
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', (error: NodeJS.ErrnoException) => reject(this.#explain(error)));
      this.server.once('listening', () => {
        this.server.removeAllListeners('error');
        resolve();
      });
      if ('path' in this.requested) this.#listenUnix(this.requested.path);
      else if (this.requested.host === '') this.server.listen({ port: this.requested.port });
      else this.server.listen({ host: this.requested.host, port: this.requested.port });
    });
  }

  /** Where it listens, with the real port. */
  get endpoint(): Endpoint {
    const address = this.server.address();
    if ('path' in this.requested || address === null || typeof address === 'string') return this.requested;
    return { host: this.requested.host, port: address.port };
  }

  /** Idempotent. No more connections; those that serve nothing now end. */
  stopAccepting(): void {
    this.server.close();
    this.server.closeIdleConnections();
  }

  /** Ends every connection that is left. A UNIX socket's file is removed by the runtime with its handle. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      if (this.server.listening) this.server.close(() => resolve());
      else if (this.#sockets.size === 0) resolve();
      else this.server.once('close', resolve);
    });
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** The mask makes the file 0660 from its first moment; a chmod afterwards would leave a gap. */
  #listenUnix(path: string): void {
    const before = process.umask(0o117);
    try {
      this.server.listen({ path });
    } finally {
      process.umask(before);
    }
  }

  #explain(error: NodeJS.ErrnoException): Error {
    const where = formatEndpoint(this.requested);
    const causes: Record<string, string> = {
      EADDRINUSE: 'the address is already in use; does another agent run?',
      EACCES: 'permission denied',
      EADDRNOTAVAIL: 'this host has no such address',
      ENOTFOUND: 'the host name cannot be resolved',
    };
    return new Error(`cannot listen on ${where}: ${causes[error.code ?? ''] ?? error.message}`, {
      cause: error,
    });
  }
}

/** A socket file outlives its program; it is removed, but only where nobody answers behind it. */
async function makeWay(path: string): Promise<void> {
  const stat = await lstat(path).catch(() => undefined);
  // Binding would call that a lack of permission.
  if (!existsSync(dirname(path))) throw new Error(`cannot listen on unix:${path}: the folder does not exist`);
  if (!stat) return;
  if (!stat.isSocket())
    throw new Error(`cannot listen on unix:${path}: a file that is no socket is in the way`);
  if (await answers(path)) {
    throw new Error(`cannot listen on unix:${path}: the address is already in use; does another agent run?`);
  }
  await unlink(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      else reject(new Error(`cannot listen on unix:${path}: ${error.message}`, { cause: error }));
    });
  });
}
