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
import type { CauseDetail } from '../domain/vm-status.js';
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
  if (domain.channels.includes(applianceChannel)) return false;
  // One that an earlier agent was starting is listed: an engine would start elsewhere what has vanished.
  return domain.metadata !== undefined || (isActive(state) && !isStarting(state));
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
  return registry.add(
    { id, name, external: metadata === undefined, internal: 'WaitForLaunch' },
    {
      causes: causesOfFound(state, job),
      detail: {
        ...(isPauseCode(pauseCode) && { pauseCode }),
        ...(!isActive(state) && exitDetail(clock, state, metadata)),
      },
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
 * Why a domain is off: what was recorded of its end; else what had been ordered for it, unless it was moved or saved
 * instead; else libvirt's reason. Where that is none, it is not known to have run since libvirt was started.
 */
function exitDetail(
  clock: Clock,
  { reason }: DomainState,
  metadata: OvirtMetadata = {},
): Pick<CauseDetail, 'exit' | 'message'> {
  const { exitCode, exitReason, exitMessage, pendingExitCode, pendingExitReason, startTime = 0 } = metadata;
  const recorded = exitFrom(exitCode, exitReason, exitMessage);
  const ordered =
    reason === 'saved' || reason === 'migrated' ? undefined : exitFrom(pendingExitCode, pendingExitReason);
  const exit = recorded ?? ordered;
  if (exit) return { exit };
  if (reason !== 'unknown') return {};
  const bootedAtMs = clock.wallMs() - clock.nowMs();
  return { message: startTime * 1000 < bootedAtMs ? hostRestarted : neverStarted };
}

const hostRestarted = 'The host was restarted, and the VM ended with it';
const neverStarted =
  'The start of the VM was not completed: it was defined, but libvirt knows of no run of it';

/** A reason that is none is not believed: beyond 32 bits it would void an engine's whole poll. */
function exitFrom(
  code: number | undefined,
  reason: number | undefined,
  message?: string,
): ExitInfo | undefined {
  const messages: Readonly<Record<number, string>> = exitMessages;
  const usual = messages[reason ?? -1];
  if (reason === undefined || usual === undefined) return undefined;
  return { code: code === 0 ? 0 : 1, reason, message: message ?? usual };
}
