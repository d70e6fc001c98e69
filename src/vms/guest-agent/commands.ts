/** The table of what guest agents are asked: the call, and what its answer tells. */
import type { CallOptions } from '../../domain/hypervisor.js';
import type { GuestCalls, GuestInfoKind } from '../../domain/hypervisor-verbs.js';
import type { VmId } from '../../domain/ids.js';
import {
  agentVersion,
  cpus,
  devices,
  filesystems,
  hostname,
  interfaces,
  os,
  timezone,
  users,
  type Told,
} from './guest-block.js';
import type { AgentCommand } from './schedule.js';

interface Row {
  /** @throws HypervisorError */
  ask(guest: GuestCalls, id: VmId, options: CallOptions): Promise<unknown>;
  read(answer: unknown): Told;
}

function info(kind: GuestInfoKind, read: Row['read']): Row {
  return { ask: (guest, id, options) => guest.info(id, [kind], options), read };
}

function command(execute: string, read: Row['read']): Row {
  return { ask: (guest, id, options) => guest.command(id, { execute }, options), read };
}

export const commandTable: Readonly<Record<AgentCommand, Row>> = {
  capabilities: command('guest-info', agentVersion),
  users: info('users', users),
  cpus: command('guest-get-vcpus', cpus),
  interfaces: { ask: (guest, id, options) => guest.interfaces(id, options), read: interfaces },
  hostname: info('hostname', hostname),
  os: info('os', os),
  timezone: info('timezone', timezone),
  filesystems: info('filesystem', filesystems),
  devices: command('guest-get-devices', devices),
};
