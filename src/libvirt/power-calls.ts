/** The port's power buttons. */
import type { PowerCalls } from '../domain/hypervisor-verbs.js';
import { withAgent } from './domain-calls.js';
import type { DomainCalls } from './domain-calls.js';
import { ShutdownFlag } from './enumerations.js';

export function powerCalls(domains: DomainCalls): PowerCalls {
  const { agent, verbs } = domains.lanes;
  return {
    async shutdown(id, by, options) {
      const request = domains.on(id, ShutdownFlag[by]);
      if (by === 'agent') await withAgent(agent.call('DOMAIN_SHUTDOWN_FLAGS', request, options));
      else await verbs.call('DOMAIN_SHUTDOWN_FLAGS', request, options);
    },

    async reboot(id, by, options) {
      const request = domains.on(id, ShutdownFlag[by]);
      if (by === 'agent') await withAgent(agent.call('DOMAIN_REBOOT', request, options));
      else await verbs.call('DOMAIN_REBOOT', request, options);
    },

    async reset(id, options) {
      await verbs.call('DOMAIN_RESET', domains.on(id), options);
    },
  };
}
