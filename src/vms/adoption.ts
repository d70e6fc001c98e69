/**
 * Making a VM of a domain that this agent did not start: after a restart, or because somebody else started it.
 *
 * Managed is what carries ovirt-vm metadata. An external domain is a VM only while it runs: an engine destroys an
 * unknown VM that is Down. libguestfs appliances are nobody's VMs.
 */
import type { DomainDescription, OvirtMetadata } from '../domain/devices.js';
import type { DomainState } from '../domain/hypervisor.js';
import type { ExitInfo, PauseCode, Vm } from '../domain/vm.js';
import { exitMessages } from '../domain/vm-exit.js';
import { causesOfFound, isActive, isStarting } from '../domain/vm-found.js';
import type { Clock } from '../util/time.js';
import type { Registry } from './registry.js';

/** What was read of a domain's state. */
export interface Found {
  readonly state: DomainState;
  /** The active job's operation, where it was read and there is one. */
  readonly job?: string | undefined;
}

const applianceChannel = 'org.libguestfs.channel.0';
const pauseCodes: ReadonlySet<string> = new Set<PauseCode>([
  'NOERR',
  'ENOSPC',
  'EIO',
  'EOTHER',
  'EPERM',
  'POSTCOPY',
]);

export function isPauseCode(text: string | undefined): text is PauseCode {
  return text !== undefined && pauseCodes.has(text);
}

/** False for domains that must not be listed as VMs in their present state. */
function isAdoptable(domain: DomainDescription, state: DomainState): boolean {
  if (domain.channels.includes(applianceChannel) || isStarting(state)) return false;
  return domain.metadata !== undefined || isActive(state);
}

/** Makes the record, in place of a Down one, and announces it; undefined where the domain is not to be listed. */
export function adopt(
  registry: Registry,
  clock: Clock,
  domain: DomainDescription,
  { state, job }: Found,
): Vm | undefined {
  if (!isAdoptable(domain, state)) return undefined;
  const { id, name, metadata } = domain;
  const pauseCode = metadata?.pauseCode;
  const exit = isActive(state) ? undefined : persistedExit(metadata);
  return registry.add(
    { id, name, external: metadata === undefined, internal: 'WaitForLaunch' },
    {
      causes: causesOfFound(state, job),
      detail: { ...(isPauseCode(pauseCode) && { pauseCode }), ...(exit && { exit }) },
      facts: {
        domain,
        startedAtMs: startedAtMs(registry, clock, domain),
        ...(metadata?.balloonTargetKiB !== undefined && { balloonTargetKiB: metadata.balloonTargetKiB }),
      },
    },
  );
}

/** As the metadata has it, unless this agent has seen that run of the domain end. */
function startedAtMs(registry: Registry, clock: Clock, { id, metadata }: DomainDescription): number {
  const startTimeSec = registry.get(id) ? undefined : metadata?.startTime;
  return startTimeSec === undefined ? clock.wallMs() : startTimeSec * 1000;
}

/**
 * The exit record that was left in the metadata of a domain that is shut off. A reason that is none is not believed: beyond
 * 32 bits it would void an engine's whole poll.
 */
function persistedExit(metadata: OvirtMetadata = {}): ExitInfo | undefined {
  const { exitCode, exitReason: reason = -1, exitMessage } = metadata;
  const messages: Readonly<Record<number, string>> = exitMessages;
  const usual = messages[reason];
  return usual === undefined
    ? undefined
    : { code: exitCode === 0 ? 0 : 1, reason, message: exitMessage ?? usual };
}
