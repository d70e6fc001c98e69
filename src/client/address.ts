/**
 * Where an agent listens: the address forms that the command line and the library take, resolved to what `ws`
 * needs; and how to get there. Pure.
 */
import type { ConnectionOptions } from 'node:tls';

/** VDSM's port. */
export const DEFAULT_PORT = 54321;

export interface AgentAddress {
  /** WebSocket URL; for a UNIX socket its host part means nothing. */
  readonly url: string;
  /** Present for a UNIX socket: connect here instead of to the URL's host. */
  readonly socketPath?: string;
  /** As people would write it, for messages. */
  readonly label: string;
}

/** Here and not beside `ws`, whose types a program that imports the client need not have. */
export interface SocketOptions {
  /** Default 10 s. */
  readonly connectTimeoutMs?: number;
  readonly signal?: AbortSignal;
  /** For wss://: certificates and the like. */
  readonly tls?: Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'servername' | 'rejectUnauthorized'>;
}

/**
 * Accepts `host`, `host:port`, `[v6]`, `[v6]:port`, a bare IPv6 address, `:port`, `ws://…`, `wss://…`, `unix:/path` and
 * `unix:///path`.
 * @throws RangeError with a sentence that names the fault
 */
export function parseAddress(text: string): AgentAddress {
  const trimmed = text.trim();
  if (trimmed.startsWith('unix:')) return unixAddress(trimmed);
  if (/^wss?:\/\//i.test(trimmed)) return { url: checkedUrl(trimmed), label: trimmed };
  if (trimmed.includes('://')) {
    throw new RangeError(`"${text}" is no address of an agent: use host[:port], ws://, wss:// or unix:/path`);
  }
  return hostAddress(trimmed);
}

function unixAddress(text: string): AgentAddress {
  const socketPath = text.slice('unix:'.length).replace(/^\/\/(?=\/)/, '');
  if (!socketPath.startsWith('/')) throw new RangeError(`"${text}" names no absolute path of a UNIX socket`);
  return { url: 'ws://localhost/', socketPath, label: `unix:${socketPath}` };
}

function hostAddress(text: string): AgentAddress {
  const match =
    /^\[(?<v6>[0-9A-Fa-f:.]+(?:%\w+)?)\](?::(?<port>\d+))?$/.exec(text) ??
    /^(?<v6>[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)$/.exec(text) ??
    /^(?<host>[^\s:/@?#[\]]*)(?::(?<port>\d+))?$/.exec(text);
  const groups = match?.groups;
  const port = groups?.['port'] === undefined ? DEFAULT_PORT : Number(groups['port']);
  if (!groups || text === '' || port < 1 || port > 65_535) {
    throw new RangeError(`"${text}" is no address of an agent: use host[:port], ws://, wss:// or unix:/path`);
  }
  const named = groups['host'] === '' ? '127.0.0.1' : groups['host'];
  const host = named ?? `[${groups['v6']}]`;
  return { url: checkedUrl(`ws://${host}:${port}/`), label: `${host}:${port}` };
}

function checkedUrl(text: string): string {
  if (!URL.canParse(text)) throw new RangeError(`"${text}" is no valid WebSocket URL`);
  return text;
}
