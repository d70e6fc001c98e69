/**
 * VM.pause and VM.cont: stop the guest's CPUs, and let them run.
 *
 * Both may be asked twice. What libvirt's reply says is committed at once, so the event that it causes goes out even if
 * libvirt's own never comes; libvirt's event then finds nothing left to change. Where events came while the call was
 * under way, the state is read instead of assumed.
 */
import { VerbError } from '../../domain/errors.js';
import { HypervisorError } from '../../domain/hypervisor.js';
import type { Hypervisor } from '../../domain/hypervisor.js';
import type { VmId } from '../../domain/ids.js';
import type { Vm } from '../../domain/vm.js';
import { causesOfFound } from '../../domain/vm-found.js';
import type { CauseName } from '../../domain/vm-transitions.js';
import { nameOf, notConnected, requireVm, verbError } from '../operation.js';
import type { OperationsParts } from '../operation.js';

interface CpuVerb {
  readonly verb: string;
  readonly cause: CauseName;
  readonly cpuRunning: boolean;
  readonly call: (hypervisor: Hypervisor, id: VmId) => Promise<void>;
}

const pauseVerb: CpuVerb = {
  verb: 'VM.pause',
  cause: 'paused-by-verb',
  cpuRunning: false,
  call: (hypervisor, id) => hypervisor.suspend(id),
};
const contVerb: CpuVerb = {
  verb: 'VM.cont',
  cause: 'resumed-by-verb',
  cpuRunning: true,
  call: (hypervisor, id) => hypervisor.resume(id),
};

/**
 * Stops the guest's CPUs; a paused VM stays paused.
 * @throws VerbError noVM, down, resourceUnavailable, recovery
 */
export async function pause(parts: OperationsParts, id: VmId): Promise<void> {
  const vm = requireVm(parts, id);
  if (vm.internal === 'Down') throw new VerbError('down', { vmId: id });
  await switchCpus(parts, vm, pauseVerb);
}

/**
 * Lets the guest's CPUs run; a running VM runs on.
 * @throws VerbError noVM, unexpected (what VDSM says of a VM in a wrong state), resourceUnavailable, recovery
 */
export async function cont(parts: OperationsParts, id: VmId): Promise<void> {
  const vm = requireVm(parts, id);
  if (!isContinuable(vm)) {
    throw new VerbError('unexpected', `${nameOf(vm)} cannot be continued while it is ${vm.status}`);
  }
  await switchCpus(parts, vm, contVerb);
}

/** VDSM refuses to continue what is being saved, and a VM that is migrated unless an I/O error stopped it. */
function isContinuable({ internal, pauseCode }: Vm): boolean {
  if (internal === 'Migration Source') return pauseCode !== undefined && pauseCode !== 'POSTCOPY';
  return internal !== 'Down' && internal !== 'Saving State';
}

async function switchCpus(parts: OperationsParts, vm: Vm, cpuVerb: CpuVerb): Promise<void> {
  const { registry, hypervisor } = parts;
  const { verb, cause, cpuRunning, call } = cpuVerb;
  const { id, name } = vm;
  if (hypervisor.status.state !== 'open') throw notConnected(vm, hypervisor.status.reason);
  const release = registry.locks.take(id, name, verb);
  const watch = registry.watch();
  try {
    await call(hypervisor, id);
    if (!watch.touched(id)) registry.move(id, cause);
    else if (registry.get(id)?.cpuRunning !== cpuRunning) registry.doubt(id);
  } catch (error) {
    if (await isSo(parts, vm, cpuRunning, error)) return;
    // What failed half-way or without an answer has to be looked at.
    registry.doubt(id);
    throw verbError(error, vm, verb);
  } finally {
    watch.end();
    release();
  }
}

/** After "the domain is not in a state for that": true where it is in the wanted one already. */
async function isSo(
  { registry, hypervisor }: OperationsParts,
  { id }: Vm,
  cpuRunning: boolean,
  error: unknown,
): Promise<boolean> {
  if (!(error instanceof HypervisorError && error.kind === 'invalid-state')) return false;
  const watch = registry.watch();
  try {
    const causes = causesOfFound(await hypervisor.domainState(id));
    if (!watch.touched(id)) registry.change(id, { causes });
  } catch {
    return false;
  } finally {
    watch.end();
  }
  const vm = registry.get(id);
  return vm !== undefined && vm.internal !== 'Down' && vm.cpuRunning === cpuRunning;
}
