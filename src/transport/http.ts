/**
 * The listener's plain HTTP side: health, metrics, a word about what this is; and the rules for who may upgrade to
 * WebSocket. Knows no sessions.
 */
import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Metrics } from '../util/metrics.js';

export interface Health {
  readonly ok: boolean;
  /** Shown as JSON. */
  readonly body: object;
}

export interface Page {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const TEXT = 'text/plain; charset=utf-8';
const ABOUT = `This is vdsm-agent, a host agent for virtual machines.

It speaks JSON-RPC 2.0 over WebSocket on this address: vdsm-client, or any WebSocket client.
/healthz tells whether it works, /metrics has its figures for Prometheus.
`;

export interface PageSources {
  readonly health: () => Health;
  readonly metrics: Metrics;
}

/** The page for a request; never rejects, except where the sources do. */
export async function page(method: string, url: string, sources: PageSources): Promise<Page> {
  if (method !== 'GET' && method !== 'HEAD')
    return { status: 405, type: TEXT, body: 'Only GET is served here.\n' };
  switch (url.split('?', 1)[0]) {
    case '/':
      return { status: 200, type: TEXT, body: ABOUT };
    case '/healthz': {
      const { ok, body } = sources.health();
      return { status: ok ? 200 : 503, type: 'application/json', body: `${JSON.stringify(body)}\n` };
    }
    case '/metrics':
      return { status: 200, type: sources.metrics.contentType, body: await sources.metrics.text() };
    default:
      return { status: 404, type: TEXT, body: 'Not found.\n' };
  }
}

export function sendPage(
  request: IncomingMessage,
  response: ServerResponse,
  { status, type, body }: Page,
): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(status === 405 && { allow: 'GET, HEAD' }),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** Answers an upgrade request with plain HTTP and closes the connection. */
export function refuseUpgrade(socket: Duplex, status: number, text: string): void {
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nConnection: close\r\nContent-Type: ${TEXT}\r\n` +
      `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
    () => socket.destroy(),
  );
}

/**
 * Browsers let any page open a WebSocket anywhere and tell the page's origin: such a page must not drive VMs.
 * Programs send no Origin, or one made of the address they connect to; the latter is accepted only where it is an
 * IP address or localhost, since a page's host name can be made to resolve to this host.
 *
 * @param allowed origins that may connect, as `https://engine.example`; `*` is any
 */
export function originAllowed(
  origin: string | undefined,
  host: string | undefined,
  allowed: readonly string[],
): boolean {
  if (origin === undefined || allowed.includes('*') || allowed.includes(origin)) return true;
  if (!URL.canParse(origin)) return false;
  const url = new URL(origin);
  const name = url.hostname.replace(/^\[|\]$/g, '');
  return url.host !== '' && url.host === host?.toLowerCase() && (isIP(name) !== 0 || name === 'localhost');
}
