/**
 * What is wrong with sampling, in words: VMs in quarantine, late ones, too many calls that hang, errors of our own.
 * Pure; it asks the sampler and the set of VMs.
 */
import type { VmId } from '../domain/ids.js';
import type { VmSource } from '../domain/vm.js';
import type { Clock } from '../util/time.js';
import type { Finding } from './finding.js';

/** A VM whose QEMU does not answer, and that is left alone; times are monotonic ms. */
export interface SilentVm {
  readonly id: VmId;
  /** Its process is stopped, or blocked in the kernel; or its monitor is held for no reason that is known. */
  readonly why: 'stopped' | 'blocked' | 'hung';
  readonly sinceMs: number;
  readonly lastProbeMs: number | undefined;
  readonly nextProbeMs: number;
  readonly pid: number | undefined;
}

/** What the sampler tells of itself. */
export interface SamplingState {
  /** Of our own errors since a cycle last ended well. */
  readonly failure:
    { readonly sinceMs: number; readonly count: number; readonly message: string } | undefined;
  readonly stuckCalls: { readonly now: number; readonly max: number };
  quarantined(): readonly SilentVm[];
  /** Without fresh samples for no known reason, the oldest first. */
  late(): readonly { readonly id: VmId; readonly ageMs: number }[];
}

/** Late VMs that are named. */
const NAMED = 5;
const OTHERS = 'the other VMs are sampled as before';

export function* samplingFindings(
  sampling: SamplingState,
  vms: VmSource,
  clock: Clock,
): Generator<Finding, void, undefined> {
  const { failure, stuckCalls } = sampling;
  if (failure) {
    yield {
      what: `sampling fails for an error of the agent's own: ${failure.message}`,
      action: `it begins anew each time (${failure.count} times so far); please report it, with the log`,
      sinceMs: failure.sinceMs,
    };
  }
  if (stuckCalls.now >= stuckCalls.max) {
    yield {
      what: `${stuckCalls.now} calls hang in libvirt, each holding one of its workers`,
      action:
        'monitors are not asked until one comes back; state, NICs and CPU time go on. See which VMs do not answer',
    };
  }
  const quarantined = sampling.quarantined();
  for (const silent of quarantined) yield silentVm(silent, vms, clock);
  const known = new Set(quarantined.map(({ id }) => id));
  for (const vm of vms.all()) {
    if (vm.monitorResponsive || vm.internal === 'Down' || known.has(vm.id)) continue;
    yield {
      what: `VM ${vm.name} (${vm.id}) does not answer on its monitor`,
      action: `look at its QEMU process and its storage; ${OTHERS}`,
      tolerable: true,
    };
  }
  const late = sampling.late();
  if (late.length > 0) yield lateVms(late, vms);
}

function silentVm({ id, why, sinceMs, pid, nextProbeMs }: SilentVm, vms: VmSource, clock: Clock): Finding {
  const process = `its QEMU process${pid === undefined ? '' : ` (pid ${pid})`}`;
  const [reason, action] = {
    stopped: [
      `${process} is stopped`,
      `not asked again until it runs; ${OTHERS}. If nobody debugs it: kill -CONT ${pid ?? 'its pid'}`,
    ],
    blocked: [
      `${process} is blocked in the kernel, on storage as a rule`,
      `not asked again until it runs; ${OTHERS}. Look at the storage of its disks`,
    ],
    hung: [
      `its monitor is held by a call that ${process} does not answer`,
      `not asked again until its monitor is free${notBefore(nextProbeMs, clock)}; ${OTHERS}. Look at its disks' storage`,
    ],
  }[why] as [string, string];
  return { what: `VM ${nameOf(id, vms)} does not answer: ${reason}`, action, sinceMs, tolerable: true };
}

function notBefore(atMs: number, clock: Clock): string {
  const inMs = atMs - clock.nowMs();
  return inMs > 0 ? `, and not before ${new Date(clock.wallMs() + inMs).toISOString()}` : '';
}

function lateVms(late: readonly { readonly id: VmId; readonly ageMs: number }[], vms: VmSource): Finding {
  const named = late
    .slice(0, NAMED)
    .map(({ id, ageMs }) => `${nameOf(id, vms)} ${Math.round(ageMs / 1000)} s`);
  const others = late.length > NAMED ? ` and ${late.length - NAMED} more` : '';
  return {
    what: `samples of ${late.length === 1 ? 'a VM are' : `${late.length} VMs are`} late`,
    action: `still asked in each cycle; the oldest: ${named.join(', ')}${others}`,
    tolerable: true,
  };
}

function nameOf(id: VmId, vms: VmSource): string {
  const vm = vms.get(id);
  return vm ? `${vm.name} (${id})` : id;
}
