/**
 * VM.reset and VM.setDestroyOnReboot. A reboot that the guest is asked for is a kind of VM.shutdown.
 */
import { VerbError } from '../../domain/errors.js';
import type { VmId } from '../../domain/ids.js';
import { operate, requireVm } from '../operation.js';
import type { OperationsParts } from '../operation.js';
import { updateDescription } from '../refresher.js';

/**
 * Presses the reset button. The status is RebootInProgress for 60 s, announced with the reply; libvirt's REBOOT event
 * restarts the guest's age.
 * @throws VerbError noVM (also for a Down VM, as VDSM has it), resetErr, migrationActive, resourceUnavailable, recovery
 */
export async function reset(parts: OperationsParts, id: VmId): Promise<void> {
  if (requireVm(parts, id).internal === 'Down') throw new VerbError('noVM', { vmId: id });
  await operate(parts, { id, verb: 'VM.reset', otherwise: 'resetErr' }, async () => {
    await parts.hypervisor.power.reset(id);
    parts.registry.move(id, 'reset-ordered');
  });
}

/**
 * Has the next reboot of the guest end the VM, with exit reason 13. Kept in the domain's metadata (`destroy_on_reboot`),
 * so it outlives the agent; and read back at once, so that it holds for a reboot that follows the reply.
 * @throws VerbError noVM, down, migrationActive, resourceUnavailable, recovery
 */
export async function setDestroyOnReboot(parts: OperationsParts, id: VmId): Promise<void> {
  const { hypervisor, metadata, registry } = parts;
  await operate(parts, { id, verb: 'VM.setDestroyOnReboot' }, async () => {
    await metadata.setValues(id, { destroy_on_reboot: true });
    updateDescription(registry, await hypervisor.describe(id));
  });
}
