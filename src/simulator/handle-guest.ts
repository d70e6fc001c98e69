/**
 * Handlers that ask the guest's agent. All end with error 86 where it is absent or silent.
 */
import { AddressSource } from '../libvirt/enumerations.js';
import { agentCall, requireAgentTimeout } from './agent-call.js';
import type { Handlers } from './call.js';
import { freeze, obeyAgentCommand, requireThawed, thaw } from './guest-agent.js';
import { ALL_GUEST_INFO, filesystems, guestInfo, guestInterfaces, guestNics } from './guest-facts.js';
import { Fault } from './fault.js';

export const addressQueries = {
  DOMAIN_INTERFACE_ADDRESSES(call, { dom, source }) {
    const domain = call.activeDomain(dom);
    if (source === AddressSource.agent) {
      if (call.session.readOnly) throw new Fault('denied', 'virDomainInterfaceAddresses');
      return agentCall(call, domain, () => {
        requireThawed(domain, 'guest-network-get-interfaces');
        return { interfaces: guestInterfaces(domain) };
      });
    }
    return { interfaces: guestNics(domain, (index) => domain.taps[index] ?? '') };
  },
} as const satisfies Handlers;

/** Refused to connections that may only read, as a guest is asked to work. */
export const guestHandlers = {
  DOMAIN_GET_GUEST_INFO(call, { dom, types }) {
    const domain = call.activeDomain(dom);
    return agentCall(call, domain, () => {
      if ((types & ~ALL_GUEST_INFO) !== 0) {
        throw new Fault('invalid-argument', `unsupported guest information types '0x${types.toString(16)}'`);
      }
      requireThawed(domain, 'guest-get-osinfo');
      return { params: guestInfo(domain, types) };
    });
  },
  DOMAIN_GET_FSINFO(call, { dom }) {
    const domain = call.activeDomain(dom);
    return agentCall(call, domain, () => {
      requireThawed(domain, 'guest-get-fsinfo');
      const told = filesystems(domain).map(({ mountpoint, name, type, disk }) => ({
        mountpoint,
        name,
        type,
        aliases: [disk],
      }));
      return { filesystems: told, ret: told.length };
    });
  },
  DOMAIN_GET_GUEST_VCPUS(call, { dom }) {
    const domain = call.activeDomain(dom);
    return agentCall(call, domain, () => {
      const last = domain.config.vcpus - 1;
      const upTo = (first: number) => (first < last ? `${first}-${last}` : String(last));
      const text = (field: string, value: string) => ({ field, type: 'string', value }) as const;
      const offlinable = last > 0 ? upTo(1) : '';
      return { params: [text('vcpus', upTo(0)), text('online', upTo(0)), text('offlinable', offlinable)] };
    });
  },
  DOMAIN_AGENT_SET_RESPONSE_TIMEOUT(call, { dom, timeout }) {
    const domain = call.domain(dom);
    requireAgentTimeout(timeout);
    domain.agentTimeoutSec = timeout;
    return { result: 0 };
  },
  DOMAIN_AGENT_COMMAND(call, { dom, command, timeout }) {
    const domain = call.activeDomain(dom);
    requireAgentTimeout(timeout);
    return agentCall(call, domain, () => ({ result: obeyAgentCommand(domain, command) }));
  },
  DOMAIN_FSFREEZE(call, { dom, mountpoints }) {
    const domain = call.activeDomain(dom);
    return agentCall(call, domain, () => ({
      filesystems: freeze(domain, mountpoints.length === 0 ? undefined : mountpoints),
    }));
  },
  DOMAIN_FSTHAW(call, { dom, mountpoints }) {
    const domain = call.activeDomain(dom);
    if (mountpoints.length > 0) {
      throw new Fault('argument-unsupported', 'specifying mountpoints is not supported');
    }
    return agentCall(call, domain, () => ({ filesystems: thaw(domain) }));
  },
  DOMAIN_GET_TIME(call, { dom }) {
    const domain = call.activeDomain(dom);
    return agentCall(call, domain, () => {
      const { guestWallSec } = domain;
      const seconds = Math.floor(guestWallSec);
      return { seconds, nseconds: Math.floor((guestWallSec - seconds) * 1e9) };
    });
  },
} as const satisfies Handlers;
