/**
 * Handlers of Host.*: what concerns the host or all of its VMs. Lists are read from the set of VMs as it is now,
 * statistics are the sampler's bytes; neither asks the hypervisor.
 */
import { parseVmId } from '../domain/ids.js';
import type { Vm, VmSource } from '../domain/vm.js';
import type { VmBrief } from '../protocol/schema-types.js';
import type { VerbsOf } from '../protocol/verbs.js';
import { engineTime, type Clock } from '../util/time.js';
import { EncodedResult, type ApiParts, type Handlers } from './call.js';

export function hostHandlers(parts: ApiParts): Handlers<VerbsOf<'Host'>> {
  const { vms, snapshot, operations, jobs, hostFacts, clock } = parts;
  const list = (ids: readonly string[]): VmBrief[] =>
    (ids.length === 0 ? [...vms.all()] : known(vms, ids)).map((vm) => vmBrief(vm, clock));
  return {
    'Host.ping': () => true,
    'Host.ping2': () => true,
    'Host.echo': ({ message }) => message,
    'Host.getVMList': ({ vmList }) => list(vmList),
    'Host.getVMFullList': ({ vmList }) => list(vmList),
    'Host.dumpxmls': ({ vmList }) =>
      Object.fromEntries(known(vms, vmList).flatMap(({ id, domain }) => (domain ? [[id, domain.xml]] : []))),
    'Host.getAllVmStats': () => new EncodedResult(snapshot.pages()),
    'Host.getJobs': ({ job_type, job_ids }) => jobs.list(job_type, job_ids),
    'Host.getAllVmIoTunePolicies': () => operations.ioTunePolicies(),
    'Host.getCapabilities': () => hostFacts.capabilities(),
    'Host.getStats': () => hostFacts.stats(),
  };
}

export function vmBrief(vm: Vm, clock: Clock): VmBrief {
  return { vmId: vm.id, status: vm.status, statusTime: String(engineTime(clock.nowMs())) };
}

/**
 * VMs by id, without those that are unknown. VDSM's dumpxmls fails as a whole then (-32603), so that one VM that has
 * just gone costs an engine the XML of all others.
 */
function known(vms: VmSource, ids: readonly string[]): Vm[] {
  return ids.flatMap((text) => {
    const id = parseVmId(text);
    return id === undefined ? [] : (vms.get(id) ?? []);
  });
}
