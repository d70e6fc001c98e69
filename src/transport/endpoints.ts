/**
 * Where the agent listens: the texts of the configuration parsed into endpoints, and the one rule of safety about
 * them. Pure; the sockets are in http-server.ts.
 */
import { isIP, isIPv6 } from 'node:net';

export interface TcpEndpoint {
  /** Address or name without brackets; '' is every address of the host. */
  readonly host: string;
  readonly port: number;
}
export interface UnixEndpoint {
  /** Absolute path of the socket file. */
  readonly path: string;
}
export type Endpoint = TcpEndpoint | UnixEndpoint;

export const DEFAULT_PORT = 54321;

/**
 * `HOST:PORT`, `[IPV6]:PORT`, `HOST` (port 54321), `:PORT` or `*:PORT` (every address), `unix:/path`.
 * @throws Error with a sentence that names the text and the fault
 */
export function parseEndpoint(text: string): Endpoint {
  const trimmed = text.trim();
  if (trimmed.startsWith('unix:')) return parseUnix(trimmed);
  if (/^\d+$/.test(trimmed)) {
    throw fault(
      text,
      `a port alone is ambiguous: say 127.0.0.1:${trimmed}, or :${trimmed} for every address`,
    );
  }
  if (isIPv6(trimmed)) return { host: trimmed, port: DEFAULT_PORT };
  const parts = /^(?:\[(?<v6>[^\]]*)\]|(?<name>[^:[\]]*))(?::(?<port>\d{1,5}))?$/.exec(trimmed)?.groups;
  if (!parts) throw fault(text, 'expected HOST:PORT, [IPV6]:PORT, :PORT or unix:/path');
  const { v6, name = '', port } = parts;
  if (v6 !== undefined && !isIPv6(v6)) throw fault(text, 'the brackets hold no IPv6 address');
  const host = v6 ?? (name === '*' ? '' : name);
  if (host === '' && port === undefined) throw fault(text, 'neither host nor port');
  if (host !== '' && v6 === undefined && !isHostName(host)) throw fault(text, 'no valid host name');
  const number = port === undefined ? DEFAULT_PORT : Number(port);
  if (number > 65_535) throw fault(text, 'a port is at most 65535');
  return { host, port: number };
}

function parseUnix(text: string): UnixEndpoint {
  const path = text.slice('unix:'.length);
  if (!path.startsWith('/'))
    throw fault(text, 'the path of a UNIX socket must be absolute, as in unix:/run/x.sock');
  // sockaddr_un holds 108 bytes with the closing zero; a longer path would be cut by the kernel's interface.
  if (Buffer.byteLength(path) > 107) throw fault(text, 'the path of a UNIX socket has at most 107 bytes');
  if (path.includes('\0')) throw fault(text, 'the path holds a zero byte');
  return { path };
}

function fault(text: string, why: string): Error {
  return new Error(`"${text}" is no address to listen on: ${why}`);
}

function isHostName(host: string): boolean {
  if (/^[\d.]+$/.test(host)) return isIP(host) === 4;
  return (
    host.length <= 253 && /^[a-z\d_]([a-z\d_-]*[a-z\d_])?(\.[a-z\d_]([a-z\d_-]*[a-z\d_])?)*\.?$/i.test(host)
  );
}

/** As a person writes it, and parseEndpoint reads it. */
export function formatEndpoint(endpoint: Endpoint): string {
  if ('path' in endpoint) return `unix:${endpoint.path}`;
  return `${isIPv6(endpoint.host) ? `[${endpoint.host}]` : endpoint.host}:${endpoint.port}`;
}

/** Names are trusted only where every resolver must answer loopback (RFC 6761): localhost. */
export function isLoopback(host: string): boolean {
  const lower = host.toLowerCase();
  if (lower === 'localhost' || lower === 'localhost.') return true;
  if (isIP(lower) === 4) return lower.startsWith('127.');
  if (isIP(lower) !== 6) return false;
  return lower === '::1' || /^(0{1,4}:){7}0{0,3}1$/.test(lower) || /^::ffff:127\.[\d.]+$/.test(lower);
}

/**
 * A peer can start and destroy VMs, and nothing but TLS tells who it is: plain text stays on this host.
 * @throws Error that says so, and how to allow it
 */
export function assertSafeEndpoint(
  endpoint: Endpoint,
  how: { readonly tls: boolean; readonly insecure: boolean },
): void {
  if ('path' in endpoint || how.tls || how.insecure || isLoopback(endpoint.host)) return;
  throw new Error(
    `refusing to listen on ${formatEndpoint(endpoint)} without TLS: whoever reaches it could drive every VM of this ` +
      'host. Configure a TLS certificate and key, listen on a loopback address or a UNIX socket, or allow it with ' +
      '`insecure: true` where the network itself is trusted',
  );
}
