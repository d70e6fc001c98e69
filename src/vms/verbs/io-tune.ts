/**
 * Limits of a VM's disks that are in force (VM.setIoTune, VM.getIoTune), and those of all VMs beside their policies.
 */
import type { DiskDevice, DomainDescription } from '../../domain/devices.js';
import { VerbError } from '../../domain/errors.js';
import type { DiskLimits } from '../../domain/hypervisor-verbs.js';
import type { VmId } from '../../domain/ids.js';
import type { Vm } from '../../domain/vm.js';
import type { VerbInput, VerbResult } from '../../protocol/verbs.js';
import { nameOf } from '../operation.js';
import type { OperationsParts } from '../operation.js';
import { operateWithOwnCode } from './own-code.js';
import { nextTurn } from '../parallel.js';
import { ask } from './ask.js';
import { conflictIn, faultOfGiven, mergedLimits, shownLimits } from './disk-limits.js';
import { requireDrive } from './find-drive.js';
import { refreshAfterChange } from './live-devices.js';
import { diskPoliciesIn } from './vm-policy.js';

type Tunables = VerbInput<'VM.setIoTune'>['tunables'];

/**
 * Limits that are not named stay. Nothing is set where one of the disks cannot be as it is wanted.
 * @throws VerbError updateIoTuneErr, and those of every operation
 */
export async function setIoTune(parts: OperationsParts, id: VmId, tunables: Tunables): Promise<void> {
  const { tuning } = parts.hypervisor;
  const request = { id, verb: 'VM.setIoTune', otherwise: 'updateIoTuneErr', evenMigrating: true } as const;
  await operateWithOwnCode(parts, request, async (vm) => {
    const domain = await parts.hypervisor.describe(id);
    const wanted = new Map<string, DiskLimits>();
    for (const { name, path, ioTune } of tunables) {
      const { target } = requireDrive(domain, { name, path }, 'updateIoTuneErr');
      const present = wanted.get(target) ?? (await tuning.diskLimits(id, target));
      wanted.set(target, checkedMerge(vm, target, present, ioTune as DiskLimits));
    }
    for (const [target, limits] of wanted) await tuning.setDiskLimits(id, target, limits);
    await refreshAfterChange(parts, id);
  });
}

/** @throws VerbError updateIoTuneErr, and those of every operation */
export async function ioTuneOf(parts: OperationsParts, id: VmId): Promise<VerbResult<'VM.getIoTune'>> {
  return ask(parts, { id, verb: 'VM.getIoTune', otherwise: 'updateIoTuneErr' }, async () => {
    const { disks } = await parts.hypervisor.describe(id);
    const found: VerbResult<'VM.getIoTune'> = [];
    for (const { target, source } of disks.filter(isLimitable)) {
      const ioTune = shownLimits(await parts.hypervisor.tuning.diskLimits(id, target));
      found.push({ name: target, path: source, ioTune });
    }
    return found;
  });
}

type Policies = VerbResult<'Host.getAllVmIoTunePolicies'>;

/** A VM with a policy takes up to half a millisecond to read, once for each change of its XML. */
const PER_TURN = 8;
const known = new WeakMap<DomainDescription, Policies[string]>();

/**
 * Of every VM that runs, from what the record has of its XML: no VM is asked, so a frozen one delays nobody. A VM whose
 * XML is not known yet is left out.
 */
export async function allIoTunePolicies({ registry, isReady, log }: OperationsParts): Promise<Policies> {
  if (!isReady()) throw new VerbError('recovery');
  const policies: Policies = {};
  let read = 0;
  for (const { id, name, domain, internal } of registry.all()) {
    if (!domain || internal === 'Down' || internal === 'WaitForLaunch') continue;
    try {
      if (!known.has(domain) && ++read % PER_TURN === 0) await nextTurn();
      policies[id] = policiesOf(domain);
    } catch (error) {
      log.warn({ vmId: id, name, err: error }, "A VM's policy could not be read");
    }
  }
  return policies;
}

function policiesOf(domain: DomainDescription): Policies[string] {
  const found = known.get(domain);
  if (found) return found;
  const policies = {
    policy: diskPoliciesIn(domain.xml),
    current_values: domain.disks.filter(isLimitable).map(({ target, source, ioTune = {} }) => ({
      name: target,
      path: source,
      ioTune: shownLimits(ioTune),
    })),
  };
  known.set(domain, policies);
  return policies;
}

function checkedMerge(vm: Vm, target: string, present: DiskLimits, given: DiskLimits): DiskLimits {
  const merged = mergedLimits(present, given);
  const fault = faultOfGiven(given) ?? conflictIn(merged);
  if (fault === undefined) return merged;
  throw new VerbError('updateIoTuneErr', `${nameOf(vm)}, disk ${target}: ${fault}`);
}

/** Drives without a medium have no limits. */
function isLimitable({ device }: DiskDevice): boolean {
  return device === 'disk' || device === 'lun';
}
