/** What a running domain's document shows beyond its configuration. */
import type { LiveParts, Mirror } from './device-xml.js';
import { findDisk } from './domain-config.js';
import type { SimulatedDomain } from './domain.js';

export function liveParts(domain: SimulatedDomain): LiveParts {
  const { id, vncPort, agentConnected } = domain;
  const mirrors = new Map<string, Mirror>();
  for (const { plan, active, ready } of domain.blockJobs.values()) {
    const image = findDisk(domain.config, plan.target)?.backing.find(({ path }) => path === plan.base);
    if (active && image) mirrors.set(plan.target, { image, ready });
  }
  return { id, vncPort, agentConnected, mirrors };
}
