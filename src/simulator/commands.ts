/**
 * Commands to a simulated host, one JSON object of one member each: what befalls it and its guests, so that tests in
 * other processes can provoke it. `{"hang": "vm-0001"}`, `{"io-error": {"domain": "vm-0001", "disk": "vda"}}` ...
 *
 * Domains are named by uuid or name. A command that makes no sense is answered with a sentence and changes nothing.
 */
import type { SimulatedDomain } from './domain.js';
import { parseGuestChange } from './guest-behaviour.js';
import { watchdogNumbers } from './guest-power.js';
import type { DiskTrouble, WatchdogAction } from './guest-power.js';
import { eventBurst } from './living-host.js';
import type { SimulatorServer } from './simulator-server.js';

type Argument = Readonly<Record<string, unknown>>;
/** What it returns is the answer's `result`. */
type Command = (server: SimulatorServer, argument: unknown) => unknown;

const onDomain =
  (action: (server: SimulatorServer, domain: SimulatedDomain) => void): Command =>
  (server, name) =>
    action(server, server.host.require(text(name, 'domain')));

const withDetails =
  (action: (server: SimulatorServer, domain: SimulatedDomain, details: Argument) => void): Command =>
  (server, argument) => {
    if (typeof argument !== 'object' || argument === null) throw new Error('an object is required');
    const { domain, ...details } = argument as Argument;
    action(server, server.host.require(text(domain, 'domain')), details);
  };

const commands: Readonly<Record<string, Command>> = {
  hang: (server, domain) => server.hang(text(domain, 'domain')),
  release: (server, domain) => server.release(text(domain, 'domain')),
  'event-burst': ({ host }, count) => eventBurst(host, Number(count)),
  kill: (server) => server.kill(),
  restart: (server) => server.start(),
  /** How a guest behaves from now on: the fields of GuestBehaviour. */
  guest: withDetails(({ host }, domain, change) =>
    host.guests.setBehaviour(domain, parseGuestChange(change)),
  ),
  'power-off': onDomain(({ host }, domain) => host.guests.guestPowersOff(domain)),
  reboot: onDomain(({ host }, domain) => host.guests.guestReboots(domain)),
  panic: onDomain(({ host }, domain) => host.guests.panic(domain)),
  watchdog: withDetails(({ host }, domain, { action }) =>
    host.guests.watchdog(domain, oneOf(Object.keys(watchdogNumbers) as WatchdogAction[], action, 'action')),
  ),
  'kill-qemu': onDomain(({ host }, domain) => host.lifecycle.crash(domain)),
  'fail-start': onDomain(({ host }, domain) => host.starts.failNext(domain)),
  'io-error': withDetails(
    ({ host }, domain, { disk, reason = 'enospc', action = 'pause', lasting = false }) => {
      const trouble: DiskTrouble = {
        reason: oneOf(['enospc', 'other'], reason, 'reason'),
        action: oneOf(['pause', 'report'], action, 'action'),
        lasting: lasting === true,
      };
      host.guests.diskFails(domain, text(disk, 'disk'), trouble);
    },
  ),
  'heal-disk': withDetails(({ host }, domain, { disk }) => host.guests.healDisk(domain, text(disk, 'disk'))),
  'fail-block-job': withDetails(({ host }, domain, { disk }) =>
    host.blockJobs.fail(domain, text(disk, 'disk')),
  ),
};

function text(value: unknown, name: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new Error(`'${name}' must be a name`);
}

function oneOf<T extends string>(words: readonly T[], value: unknown, name: string): T {
  const word = words.find((each) => each === value);
  if (word === undefined) throw new Error(`'${name}' must be one of ${words.join(', ')}`);
  return word;
}

/** Never rejects. */
export async function obey(server: SimulatorServer, line: string): Promise<object> {
  try {
    const request: unknown = JSON.parse(line);
    const [entry] = typeof request === 'object' && request !== null ? Object.entries(request) : [];
    const [name, argument] = entry ?? [''];
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (!command) throw new Error(`unknown command '${name}'`);
    const result = await command(server, argument);
    return { ok: true, ...(result !== undefined && { result }) };
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}
