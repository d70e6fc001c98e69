/**
 * VM.updateVmPolicy and VM.getIoTunePolicy: limits that a policy program is to enforce, kept with the VM.
 */
import type { DomainDescription } from '../../domain/devices.js';
import { VerbError } from '../../domain/errors.js';
import type { DiskLimits } from '../../domain/hypervisor-verbs.js';
import type { VmId } from '../../domain/ids.js';
import type { VerbResult } from '../../protocol/verbs.js';
import { parseXmlForEdit } from '../../util/xml-edit.js';
import { nameOf } from '../operation.js';
import type { OperationsParts } from '../operation.js';
import { operateWithOwnCode } from './own-code.js';
import { ovirtNamespaces } from '../ovirt-metadata.js';
import { ask } from './ask.js';
import { conflictIn, faultOfGiven } from './disk-limits.js';
import { findDrive, requireDrive } from './find-drive.js';
import { refreshDescription } from './live-devices.js';
import { countMember, listMember, objectMember, textMember } from './members.js';
import type { OpenObject } from './members.js';
import { changePolicy, diskPoliciesOf } from './vm-policy.js';
import type { DiskPolicy } from './vm-policy.js';

/**
 * The record's vcpuUserLimit follows at once.
 * @param params vcpuLimit (per cent), ioTune: disks by name, path or image ids, with guaranteed and maximum
 * @throws VerbError missParam (nothing to store), invalidParameter, updateVmPolicyErr, and those of every operation
 */
export async function updateVmPolicy(parts: OperationsParts, id: VmId, params: OpenObject): Promise<void> {
  const vcpuLimit = countMember(params, 'vcpuLimit');
  const wanted = listMember(params, 'ioTune');
  if (vcpuLimit === undefined && wanted === undefined) {
    throw new VerbError('missParam', 'vcpuLimit or ioTune');
  }
  const request = { id, verb: 'VM.updateVmPolicy', otherwise: 'updateVmPolicyErr' } as const;
  await operateWithOwnCode(parts, request, async (vm) => {
    if (vm.external) {
      throw new VerbError('updateVmPolicyErr', `${nameOf(vm)} was not created here: nothing is kept with it`);
    }
    const domain = await parts.hypervisor.describe(id);
    const disks = (wanted ?? []).map((tunable) => diskPolicyOf(domain, tunable));
    await parts.metadata.edit(id, 'tune', (qos) =>
      changePolicy(qos, { disks, ...(vcpuLimit !== undefined && { vcpuLimit }) }),
    );
    await refreshDescription(parts, id);
  });
}

/** @throws VerbError updateVmPolicyErr, and those of every operation */
export async function ioTunePolicyOf(
  parts: OperationsParts,
  id: VmId,
): Promise<VerbResult<'VM.getIoTunePolicy'>> {
  return ask(parts, { id, verb: 'VM.getIoTunePolicy', otherwise: 'updateVmPolicyErr' }, async () => {
    const qos = await parts.hypervisor.metadata.get(id, ovirtNamespaces.tune.uri, 'live');
    return diskPoliciesOf(qos === undefined ? undefined : parseXmlForEdit(qos));
  });
}

/** A disk that the VM does not have yet may be named by name and path together. */
function diskPolicyOf(domain: DomainDescription, tunable: OpenObject): DiskPolicy {
  const limits = {
    guaranteed: limitsOf(domain, tunable, 'guaranteed'),
    maximum: limitsOf(domain, tunable, 'maximum'),
  };
  const drive = findDrive(domain.disks, tunable);
  if (drive) return { name: drive.target, path: drive.source, ...limits };
  const [name, path] = [textMember(tunable, 'name') ?? '', textMember(tunable, 'path') ?? ''];
  if (name !== '' && path !== '') return { name, path, ...limits };
  const { target, source } = requireDrive(domain, tunable, 'updateVmPolicyErr');
  return { name: target, path: source, ...limits };
}

function limitsOf(domain: DomainDescription, tunable: OpenObject, name: string): DiskLimits {
  const holder = objectMember(tunable, name) ?? {};
  const given = Object.fromEntries(
    Object.keys(holder).flatMap((limit): [string, number][] => {
      const value = countMember(holder, limit);
      return value === undefined ? [] : [[limit, value]];
    }),
  );
  const fault = faultOfGiven(given) ?? conflictIn(given);
  if (fault === undefined) return given;
  throw new VerbError('invalidParameter', `policy of ${nameOf(domain)}, ${name}: ${fault}`);
}
