/**
 * Handlers of power: start, stop, pause, and the buttons that a guest may ignore.
 */
import { CreateFlag, ShutdownFlag } from '../libvirt/enumerations.js';
import type { DomainHandle } from '../libvirt/objects.js';
import { agentCall, requireAgent } from './agent-call.js';
import type { Call, Handlers } from './call.js';
import type { SimulatedDomain } from './domain.js';
import { Fault } from './fault.js';
import { requireThawed } from './guest-agent.js';

/** How long libvirt tries before it kills a QEMU that does not answer, as measured. */
const DESTROY_STUCK_MS = 11_500;

export function handle({ name, uuid, id }: SimulatedDomain): DomainHandle {
  return { name, uuid, id };
}

async function started(
  call: Call,
  domain: SimulatedDomain,
  flags: number,
  start: (paused: boolean) => Promise<void> | undefined,
): Promise<DomainHandle> {
  if ((flags & CreateFlag.autodestroy) !== 0) call.session.ownDomain(domain);
  await call.withChange(domain, () => start((flags & CreateFlag.paused) !== 0));
  return handle(domain);
}

function start(call: Call, dom: DomainHandle, flags: number): Promise<DomainHandle> {
  const domain = call.domain(dom);
  return started(call, domain, flags, (paused) => call.host.starts.start(domain, paused));
}

function destroy(call: Call, dom: DomainHandle): void | Promise<void> {
  const domain = call.activeDomain(dom);
  const { lifecycle } = call.host;
  if (!domain.monitor.hung) {
    lifecycle.destroy(domain, false);
    return;
  }
  return call.delay(DESTROY_STUCK_MS).then(() => lifecycle.destroy(domain, domain.monitor.hung));
}

/** Runs a change of a running domain through its monitor. */
function control(
  call: Call,
  dom: DomainHandle,
  action: (domain: SimulatedDomain) => void,
): void | Promise<void> {
  const domain = call.activeDomain(dom);
  return call.withChange(domain, () => action(domain));
}

/** The two ways to ask a guest: its agent, and the button where the agent cannot or may not be asked. */
interface Asking {
  readonly byAgent: (domain: SimulatedDomain) => void;
  readonly byButton: (domain: SimulatedDomain) => void;
}

/** libvirt asks the agent where it is connected or was named alone; the button is the second choice, or the first. */
async function ask(
  call: Call,
  dom: DomainHandle,
  flags: number,
  { byAgent, byButton }: Asking,
): Promise<void> {
  const domain = call.activeDomain(dom);
  const unknown = flags & ~(ShutdownFlag.acpi | ShutdownFlag.agent);
  if (unknown !== 0) throw new Fault('invalid-argument', `unsupported flags (0x${unknown.toString(16)})`);
  const agentNamed = (flags & ShutdownFlag.agent) !== 0;
  const button = flags === 0 || (flags & ShutdownFlag.acpi) !== 0;
  if (agentNamed || (flags === 0 && domain.agentConnected)) {
    try {
      if (agentNamed) requireAgent(domain);
      await agentCall(call, domain, () => {
        requireThawed(domain, 'guest-shutdown');
        byAgent(domain);
      });
      return;
    } catch (error) {
      if (!button || !(error instanceof Fault)) throw error;
    }
  }
  await control(call, dom, byButton);
}

export const powerHandlers = {
  async DOMAIN_CREATE(call, { dom }) {
    await start(call, dom, 0);
  },
  async DOMAIN_CREATE_WITH_FLAGS(call, { dom, flags }) {
    return { dom: await start(call, dom, flags) };
  },
  async DOMAIN_CREATE_XML(call, { xml, flags }) {
    const { domain, start } = call.host.prepare(xml);
    return { dom: await started(call, domain, flags, start) };
  },
  DOMAIN_DESTROY: (call, { dom }) => destroy(call, dom),
  DOMAIN_DESTROY_FLAGS: (call, { dom }) => destroy(call, dom),
  DOMAIN_SUSPEND: (call, { dom }) => control(call, dom, (domain) => call.host.lifecycle.suspend(domain)),
  DOMAIN_RESUME: (call, { dom }) => control(call, dom, (domain) => call.host.lifecycle.resume(domain)),
  DOMAIN_SHUTDOWN: (call, { dom }) => shutdown(call, dom, 0),
  DOMAIN_SHUTDOWN_FLAGS: (call, { dom, flags }) => shutdown(call, dom, flags),
  DOMAIN_REBOOT: (call, { dom, flags }) =>
    ask(call, dom, flags, {
      byAgent: (domain) => call.host.guests.rebootByAgent(domain),
      byButton: (domain) => call.host.guests.rebootByButton(domain),
    }),
  DOMAIN_RESET: (call, { dom }) => control(call, dom, (domain) => call.host.guests.reset(domain)),
} as const satisfies Handlers;

function shutdown(call: Call, dom: DomainHandle, flags: number): Promise<void> {
  const press = (domain: SimulatedDomain) => call.host.guests.shutdown(domain);
  return ask(call, dom, flags, { byAgent: press, byButton: press });
}
