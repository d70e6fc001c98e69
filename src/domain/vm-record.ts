/**
 * The blocks of VDSM's VM record that follow from the Vm alone: status, configuration, running and guest block.
 *
 * Used by the sampler (poll answers) and by the registry (event payloads), so that the two never disagree. The part
 * that needs samples is sampler/vm-stats.ts. Types are VDSM's, as the engine casts them: most numbers are strings,
 * and a key that has no value is left out, never null.
 */
import type { DomainDescription } from './devices.js';
import type { GuestInfo } from './guest-info.js';
import type { Vm, VmJob, VmStatus } from './vm.js';

/** `status`, and for a Down VM why: with vmId that is its whole record (besides statusTime). */
export type StatusBlock =
  | { readonly status: Exclude<VmStatus, 'Down'> }
  | {
      readonly status: 'Down';
      readonly vmId: string;
      readonly exitCode: number;
      readonly exitMessage: string;
      readonly exitReason: number;
      /** Seconds. */
      readonly timeOffset?: string;
    };

export interface ConfigurationBlock {
  readonly vmId: string;
  readonly vmName: string;
  readonly vmType: string;
  readonly kvmEnable: 'true';
  readonly acpiEnable: 'true' | 'false';
}

export interface DisplayInfo {
  readonly type: string;
  readonly port: string;
  readonly tlsPort: string;
  readonly ipAddress: string;
}

export interface DiskTuning {
  readonly name: string;
  readonly path: string;
  readonly ioTune: Readonly<Record<string, string>>;
}

export interface VmJobEntry {
  readonly id: string;
  readonly jobType: 'block';
  readonly blockJobType: 'commit';
  /** Target name. */
  readonly drive: string;
  readonly imgUUID: string;
  /** MiB/s. */
  readonly bandwidth: number;
  readonly cur: string;
  readonly end: string;
}

/** The running block without `elapsedTime`: it stays the same as long as the Vm does. */
export interface SteadyBlock {
  readonly monitorResponse: '0' | '-1';
  readonly clientIp: string;
  /** Seconds. */
  readonly timeOffset: string;
  readonly displayInfo: readonly DisplayInfo[];
  /** An engine takes `{}` for "all have ended", and its absence for "not known yet". */
  readonly vmJobs?: Readonly<Record<string, VmJobEntry>>;
  readonly pauseCode?: string;
  readonly hash?: string;
  /** `time` in epoch seconds. */
  readonly watchdogEvent?: { readonly time: number; readonly action: string };
  /** µs. */
  readonly vcpuQuota?: string;
  /** µs. */
  readonly vcpuPeriod?: number;
  /** Per cent. */
  readonly vcpuUserLimit?: number;
  readonly ioTune?: readonly DiskTuning[];
}

/** `elapsedTime` in seconds since the guest's start. */
export type RunningBlock = SteadyBlock & { readonly elapsedTime: string };

/**
 * `{status}`, and for a Down VM its exit record. A Down VM without exit information is an abnormal end (1/1): saying
 * 0 would make an engine believe in a clean stop.
 */
export function statusBlock(vm: Vm): StatusBlock {
  if (vm.status !== 'Down') return { status: vm.status };
  const exit = vm.exit ?? { code: 1, reason: 1, message: 'The reason of the stop is not known' };
  return {
    status: 'Down',
    vmId: vm.id,
    exitCode: exit.code,
    exitMessage: exit.message,
    exitReason: exit.reason,
    ...(vm.domain && { timeOffset: integerText(timeOffsetSec(vm)) }),
  };
}

export function configurationBlock(vm: Vm): ConfigurationBlock {
  return {
    vmId: vm.id,
    vmName: vm.name,
    vmType: vm.domain?.type ?? 'kvm',
    kvmEnable: 'true',
    acpiEnable: (vm.domain?.acpi ?? true) ? 'true' : 'false',
  };
}

export function steadyBlock(vm: Vm): SteadyBlock {
  const { domain, watchdogEvent } = vm;
  const vcpuUserLimit = domain?.metadata?.vcpuLimit;
  const ioTune = domain ? diskTunings(domain) : [];
  return {
    monitorResponse: vm.monitorResponsive ? '0' : '-1',
    clientIp: vm.clientIp,
    timeOffset: integerText(timeOffsetSec(vm)),
    displayInfo: domain ? displayInfo(domain) : [],
    ...vmJobs(vm),
    ...(vm.pauseCode !== undefined && { pauseCode: vm.pauseCode }),
    // A domain that is only defined has other devices (no ports, no tap names) than the one that will run.
    ...(domain && vm.internal !== 'WaitForLaunch' && { hash: domain.devicesHash }),
    ...(watchdogEvent && { watchdogEvent: { time: watchdogEvent.timeSec, action: watchdogEvent.action } }),
    ...(isSet(vm.vcpuQuota) && { vcpuQuota: integerText(vm.vcpuQuota) }),
    ...(isSet(vm.vcpuPeriod) && { vcpuPeriod: Math.trunc(vm.vcpuPeriod) }),
    ...(vcpuUserLimit !== undefined && { vcpuUserLimit: Math.trunc(vcpuUserLimit) }),
    ...(ioTune.length > 0 && { ioTune }),
  };
}

/** @param wallMs wall clock, epoch ms */
export function runningBlock(vm: Vm, wallMs: number): RunningBlock {
  return { elapsedTime: String(elapsedSec(vm, wallMs)), ...steadyBlock(vm) };
}

/** Whole seconds since the guest's start; 0 before it, and where the wall clock was set back. */
export function elapsedSec(vm: Vm, wallMs: number): number {
  if (vm.startedAtMs === undefined) return 0;
  return Math.max(0, Math.floor((wallMs - vm.startedAtMs) / 1000)) || 0;
}

/** An engine starts the VM next time with the offset that was reported last: 0 would lose the guest's own. */
function timeOffsetSec({ timeOffsetSec, domain }: Vm): number {
  return timeOffsetSec ?? domain?.clockAdjustmentSec ?? 0;
}

/** Without `memUsage` where the agent does not tell it: the balloon does, in records. */
export function guestBlock({
  guest,
}: Vm): Omit<GuestInfo, 'memUsage'> & Partial<Pick<GuestInfo, 'memUsage'>> {
  const { memUsage, ...others } = guest;
  return memUsage === '0' ? others : guest;
}

/** Jobs that the metadata tells of and that nobody follows yet have not ended. */
function vmJobs({ blockJobs, domain }: Vm): Pick<SteadyBlock, 'vmJobs'> {
  if (blockJobs === undefined && domain?.metadata?.blockJobs !== undefined) return {};
  return { vmJobs: Object.fromEntries((blockJobs ?? []).map((job) => [job.id, vmJobEntry(job)])) };
}

/** An engine parses the image's id: where there is none it gets the empty one. */
function vmJobEntry({ id, drive, imageId, bandwidthMiB, cur, end }: VmJob): VmJobEntry {
  return {
    id,
    jobType: 'block',
    blockJobType: 'commit',
    drive,
    imgUUID: imageId ?? '00000000-0000-0000-0000-000000000000',
    bandwidth: Math.trunc(bandwidthMiB),
    cur: integerText(cur),
    end: integerText(end),
  };
}

function displayInfo(domain: DomainDescription): DisplayInfo[] {
  return domain.graphics.map(({ type, port, tlsPort, listenAddress }) => ({
    type,
    port,
    tlsPort,
    ipAddress: listenAddress,
  }));
}

function diskTunings(domain: DomainDescription): DiskTuning[] {
  return domain.disks.flatMap(({ target, source, ioTune }) =>
    ioTune && Object.keys(ioTune).length > 0
      ? [
          {
            name: target,
            path: source,
            ioTune: Object.fromEntries(
              Object.entries(ioTune).map(([key, limit]) => [key, integerText(limit)]),
            ),
          },
        ]
      : [],
  );
}

/** The scheduler says 0 where it knows nothing; VDSM leaves both out then. */
function isSet(value: number | undefined): value is number {
  return value !== undefined && Number.isFinite(value) && value !== 0;
}

/** Digits only: an engine reads no exponents. */
function integerText(value: number): string {
  const whole = Math.trunc(value);
  return Number.isSafeInteger(whole) ? String(whole) : '0';
}
