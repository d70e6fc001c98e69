/**
 * The port's calls to guest agents, on a lane of their own: a silent agent makes its callers wait for libvirt's
 * timeout of agents, 5 s for each command unless told otherwise, and nobody else.
 */
import { HypervisorError } from '../domain/hypervisor.js';
import type { GuestCalls, GuestInterface } from '../domain/hypervisor-verbs.js';
import { withAgent } from './domain-calls.js';
import type { DomainCalls } from './domain-calls.js';
import { AddressSource, AddressType, AgentTimeout, GuestInfoFlag } from './enumerations.js';
import { paramRecord } from './typed-params.js';

export function guestCalls(domains: DomainCalls): GuestCalls {
  const { agent } = domains.lanes;
  const on = domains.on.bind(domains);
  return {
    async setAgentTimeout(id, seconds, options) {
      await agent.call('DOMAIN_AGENT_SET_RESPONSE_TIMEOUT', { ...on(id), timeout: seconds }, options);
    },

    async info(id, kinds, options) {
      const types = kinds.reduce((bits, kind) => bits | GuestInfoFlag[kind], 0);
      const call = agent.call('DOMAIN_GET_GUEST_INFO', { ...on(id), types }, options);
      return paramRecord((await withAgent(call)).params);
    },

    async interfaces(id, options) {
      const request = { ...on(id), source: AddressSource.agent };
      const { interfaces } = await withAgent(agent.call('DOMAIN_INTERFACE_ADDRESSES', request, options));
      return interfaces.map(({ name, mac = '', addresses }): GuestInterface => {
        const ofType = (wanted: number): string[] =>
          addresses.filter(({ type }) => type === wanted).map(({ address }) => address);
        return { name, mac, ipv4: ofType(AddressType.ipv4), ipv6: ofType(AddressType.ipv6) };
      });
    },

    async command(id, command, options) {
      const request = { ...on(id), command: JSON.stringify(command), timeout: AgentTimeout.default };
      const { result } = await withAgent(agent.call('DOMAIN_AGENT_COMMAND', request, options)).catch(
        unsupportedIfUnknown,
      );
      return returnOf(result, command.execute);
    },

    async freeze(id, options) {
      const request = { ...on(id), mountpoints: [] };
      return (await withAgent(agent.call('DOMAIN_FSFREEZE', request, options))).filesystems;
    },

    async thaw(id, options) {
      const request = { ...on(id), mountpoints: [] };
      return (await withAgent(agent.call('DOMAIN_FSTHAW', request, options))).filesystems;
    },
  };
}

/** A guest may send megabytes, whose parsing would keep all others waiting; what honest agents say is a tenth of this. */
const MAX_ANSWER_CHARACTERS = 256 * 1024;

function returnOf(result: string | undefined, name: string): unknown {
  if (result !== undefined && result.length > MAX_ANSWER_CHARACTERS) {
    throw new HypervisorError(
      'failed',
      `the guest agent's answer to ${name} is longer than 256 Ki characters`,
    );
  }
  try {
    return (JSON.parse(result ?? '{}') as { readonly return?: unknown }).return;
  } catch (error) {
    throw new HypervisorError('failed', `the guest agent's answer to ${name} is no JSON`, { cause: error });
  }
}

/** "... has been disabled: the agent is in frozen state" is another matter. */
const UNKNOWN_COMMAND = /has not been found|has been disabled(?!.*frozen)/;

/**
 * libvirt has one code for all errors that an agent answers. That it does not know a command, or is forbidden it, is in
 * its text alone.
 */
function unsupportedIfUnknown(error: unknown): never {
  if (!(error instanceof HypervisorError) || !UNKNOWN_COMMAND.test(error.detail)) throw error;
  throw new HypervisorError('unsupported', error.message, { cause: error, detail: error.detail });
}
