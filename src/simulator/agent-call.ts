/**
 * A call that a guest's agent answers, or does not: what must be true before it is asked, and how long libvirt waits.
 */
import { AgentTimeout } from '../libvirt/enumerations.js';
import type { Call } from './call.js';
import { AGENT_TIMEOUT_SEC } from './domain.js';
import type { SimulatedDomain } from './domain.js';
import { hasAgentChannel } from './domain-config.js';
import { Fault } from './fault.js';

/** @throws Fault where the agent cannot be asked */
export function requireAgent(domain: SimulatedDomain): void {
  if (!domain.running) throw new Fault('invalid-state', 'domain is not running');
  if (!hasAgentChannel(domain.config)) {
    throw new Fault('argument-unsupported', 'QEMU guest agent is not configured');
  }
  if (!domain.agentConnected) throw new Fault('agent', 'QEMU guest agent is not connected');
}

/** Runs `answer` where the agent works; a silent one, or a guest that stands still, costs the timeout and error 86. */
export function agentCall<T>(call: Call, domain: SimulatedDomain, answer: () => T): T | Promise<Awaited<T>> {
  requireAgent(domain);
  if (domain.guest.agent === 'silent' || domain.monitor.hung) return unanswered(call, domain);
  const wait = call.serve(1);
  return wait ? (wait.then(answer) as Promise<Awaited<T>>) : answer();
}

async function unanswered(call: Call, domain: SimulatedDomain): Promise<never> {
  const { agentTimeoutSec } = domain;
  const sec = agentTimeoutSec === AgentTimeout.default ? AGENT_TIMEOUT_SEC : agentTimeoutSec;
  await call.within(domain, sec === AgentTimeout.block ? Infinity : sec * 1000, () => undefined);
  throw new Fault('agent', 'Guest agent not available for now');
}

/** @throws Fault 'invalid-argument' */
export function requireAgentTimeout(seconds: number): void {
  if (seconds >= AgentTimeout.block) return;
  throw new Fault(
    'invalid-argument',
    `guest agent timeout '${seconds}' is less than the minimum '${AgentTimeout.block}'`,
  );
}
