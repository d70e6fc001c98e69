/**
 * The guest agent's own protocol, as virDomainQemuAgentCommand passes it on: JSON in, JSON out. Commands and errors as
 * recorded from qemu-ga 7.2.
 */
import type { SimulatedDomain } from './domain.js';
import { filesystems, guestDevices, guestInterfaces } from './guest-facts.js';
import { Fault } from './fault.js';

const VERSION = '7.2.22';
/** Of these alone a frozen guest's agent knows. */
const WHILE_FROZEN = new Set([
  'guest-ping',
  'guest-info',
  'guest-sync',
  'guest-fsfreeze-status',
  'guest-fsfreeze-thaw',
]);

type Command = (domain: SimulatedDomain) => unknown;

const commands: Readonly<Record<string, Command>> = {
  'guest-ping': () => ({}),
  'guest-info': () => ({
    version: VERSION,
    supported_commands: [...Object.keys(commands), 'guest-shutdown'].map((name) => ({
      enabled: true,
      name,
      'success-response': name !== 'guest-shutdown',
    })),
  }),
  'guest-get-vcpus': ({ config }) =>
    Array.from({ length: config.vcpus }, (_, id) => ({
      online: true,
      'can-offline': id > 0,
      'logical-id': id,
    })),
  'guest-get-devices': (domain) => guestDevices(domain),
  'guest-get-host-name': ({ name }) => ({ 'host-name': name }),
  'guest-get-users': () => [{ user: 'root', 'login-time': 1_767_225_600 }],
  'guest-get-timezone': () => ({ zone: 'UTC', offset: 0 }),
  'guest-get-time': ({ guestWallSec }) => Math.floor(guestWallSec * 1e9),
  'guest-fsfreeze-status': ({ frozenFilesystems }) => (frozenFilesystems > 0 ? 'frozen' : 'thawed'),
  'guest-fsfreeze-freeze': (domain) => freeze(domain, undefined),
  'guest-fsfreeze-thaw': thaw,
  'guest-get-fsinfo': (domain) =>
    filesystems(domain).map(({ name, mountpoint, type, totalBytes, usedBytes }) => ({
      name,
      mountpoint,
      type,
      'total-bytes': totalBytes,
      'used-bytes': usedBytes,
      disk: [],
    })),
  'guest-network-get-interfaces': (domain) =>
    guestInterfaces(domain).map(({ name, mac, addresses }) => ({
      name,
      'hardware-address': mac,
      'ip-addresses': addresses.map(({ address, prefix }) => ({
        'ip-address-type': 'ipv4',
        'ip-address': address,
        prefix,
      })),
    })),
};

function failed(command: string, reason: string): Fault {
  return new Fault('internal', `unable to execute QEMU agent command '${command}': ${reason}`);
}

/** @throws Fault for a command that a frozen agent does not obey */
export function requireThawed(domain: SimulatedDomain, command: string): void {
  if (domain.frozenFilesystems === 0 || WHILE_FROZEN.has(command)) return;
  throw failed(command, `Command ${command} has been disabled: the agent is in frozen state`);
}

/** @param mountpoints undefined: all. Returns how many file systems it froze. */
export function freeze(domain: SimulatedDomain, mountpoints: readonly string[] | undefined): number {
  requireThawed(domain, 'guest-fsfreeze-freeze');
  const frozen = filesystems(domain).filter(
    ({ mountpoint }) => mountpoints === undefined || mountpoints.includes(mountpoint),
  );
  domain.frozenFilesystems = frozen.length;
  return frozen.length;
}

export function thaw(domain: SimulatedDomain): number {
  const { frozenFilesystems } = domain;
  domain.frozenFilesystems = 0;
  return frozenFilesystems;
}

/** @param text one command as JSON; returns the agent's answer as JSON */
export function obeyAgentCommand(domain: SimulatedDomain, text: string): string {
  const request = parse(text);
  const { execute } = request;
  const unexpected = Object.keys(request).find((key) => !['execute', 'arguments', 'id'].includes(key));
  if (unexpected !== undefined) throw failed('<unknown>', `QMP input member '${unexpected}' is unexpected`);
  if (typeof execute !== 'string') throw failed('<unknown>', "QMP input lacks member 'execute'");
  const command = Object.hasOwn(commands, execute) ? commands[execute] : undefined;
  if (!command) throw failed(execute, `The command ${execute} has not been found`);
  requireThawed(domain, execute);
  return JSON.stringify({ return: command(domain) });
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Reported below.
  }
  throw new Fault('internal', `cannot parse json ${text}: lexical error: invalid string in json text.`);
}
