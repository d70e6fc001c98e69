/**
 * Where a libvirt daemon is: URI -> sockets to try, and the search for a daemon where no URI was given. Looks at
 * which socket files exist, opens none. The environment is an argument.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export interface LibvirtTarget {
  /** As people wrote it, for messages. */
  readonly uri: string;
  /** For CONNECT_OPEN: without transport and parameters. */
  readonly name: string;
  /** In order of preference. */
  readonly socketPaths: readonly string[];
  /** Tried where the others are forbidden: monitoring only. */
  readonly readOnlySocketPaths: readonly string[];
}

export type Environment = Readonly<Record<string, string | undefined>>;

const SYSTEM_FOLDER = '/run/libvirt';
/** Monolithic first: its file exists too where virtproxyd stands in for it. */
const DAEMONS = ['libvirt-sock', 'virtqemud-sock'];
const EXAMPLES =
  "use qemu:///system, qemu:///session, test:///default, or 'qemu+unix:///system?socket=PATH' for a socket elsewhere";

/**
 * @param env XDG_RUNTIME_DIR, XDG_CACHE_HOME and HOME are read, for session daemons
 * @throws Error that says what is wrong and what would be right
 */
export function parseLibvirtUri(text: string, env: Environment): LibvirtTarget {
  const match = /^([a-z]+)(?:\+([a-z0-9]+))?:\/\/([^/?#]*)(\/[^?#]*)?(?:\?([^#]*))?$/.exec(text);
  if (!match) throw new Error(`'${text}' is no libvirt URI: ${EXAMPLES}`);
  const [, driver = '', transport = '', authority = '', path = '', query = ''] = match;
  if (driver !== 'qemu' && driver !== 'test') {
    throw new Error(`'${text}': driver '${driver}' is not supported: ${EXAMPLES}`);
  }
  if (transport !== '' && transport !== 'unix') {
    throw new Error(`'${text}': transport '${transport}' is not supported, only UNIX sockets: ${EXAMPLES}`);
  }
  if (authority !== '') {
    throw new Error(`'${text}' names the host '${authority}': only local daemons are supported: ${EXAMPLES}`);
  }
  if (driver === 'qemu' && path !== '/system' && path !== '/session') {
    throw new Error(`'${text}': QEMU's path is /system or /session: ${EXAMPLES}`);
  }
  if (driver === 'test' && path.length < 2) {
    throw new Error(`'${text}': the test driver needs a path, such as /default: ${EXAMPLES}`);
  }
  const sockets = parseSocket(text, query) ?? defaultSockets(path === '/session', env);
  return { uri: text, name: `${driver}://${path}`, ...sockets };
}

type Sockets = Pick<LibvirtTarget, 'socketPaths' | 'readOnlySocketPaths'>;

function parseSocket(text: string, query: string): Sockets | undefined {
  const parameters = new URLSearchParams(query);
  for (const key of parameters.keys()) {
    if (key !== 'socket') throw new Error(`'${text}': unknown parameter '${key}', only socket=PATH is known`);
  }
  const socket = parameters.get('socket');
  if (socket === null) return undefined;
  if (!socket.startsWith('/')) throw new Error(`'${text}': socket= needs an absolute path, not '${socket}'`);
  return { socketPaths: [socket], readOnlySocketPaths: [] };
}

function defaultSockets(session: boolean, env: Environment): Sockets {
  const folder = session ? sessionFolder(env) : SYSTEM_FOLDER;
  const socketPaths = DAEMONS.map((name) => join(folder, name));
  return { socketPaths, readOnlySocketPaths: session ? [] : socketPaths.map((path) => `${path}-ro`) };
}

/** An empty variable counts as unset, as the XDG specification says. */
function sessionFolder(env: Environment): string {
  if (env['XDG_RUNTIME_DIR']) return join(env['XDG_RUNTIME_DIR'], 'libvirt');
  if (env['XDG_CACHE_HOME']) return join(env['XDG_CACHE_HOME'], 'libvirt');
  return join(env['HOME'] ?? '/', '.cache', 'libvirt');
}

/**
 * The daemon of this host: system first, then session, by the sockets that exist.
 * @param exists replaced by tests
 */
export function findLibvirt(
  env: Environment,
  exists: (path: string) => boolean = existsSync,
): LibvirtTarget | undefined {
  return ['qemu:///system', 'qemu:///session']
    .map((uri) => parseLibvirtUri(uri, env))
    .find(({ socketPaths, readOnlySocketPaths }) => [...socketPaths, ...readOnlySocketPaths].some(exists));
}
