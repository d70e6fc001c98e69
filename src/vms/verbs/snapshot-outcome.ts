/**
 * What became of a snapshot, told by the VM's live XML: libvirt's answer may be lost, the XML is not.
 */
import { HypervisorError } from '../../domain/hypervisor.js';
import type { VmId } from '../../domain/ids.js';
import type { OperationsParts, VmName } from '../operation.js';
import { updateDescription } from '../refresher.js';
import { syncVolumes } from './volume-metadata.js';

type OutcomeParts = Pick<OperationsParts, 'hypervisor' | 'registry' | 'metadata' | 'clock' | 'log'>;

const ATTEMPTS = 10;
const PAUSE_MS = 3000;

/**
 * Whether the VM writes to these files, which libvirt takes into use last, after the memory. Waits a while for a libvirt
 * that is away.
 * @param files by target name; of none nothing can be told, which is "no"
 * @throws HypervisorError
 */
export async function hasTaken(
  parts: OutcomeParts,
  id: VmId,
  files: Readonly<Record<string, string>>,
): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    try {
      const { disks } = await parts.hypervisor.describe(id);
      const sources = new Map(disks.map(({ target, source }) => [target, source]));
      const wanted = Object.entries(files);
      return wanted.length > 0 && wanted.every(([disk, path]) => sources.get(disk) === path);
    } catch (error) {
      const isAway = error instanceof HypervisorError && error.kind === 'unavailable';
      if (!isAway || attempt >= ATTEMPTS) throw error;
    }
    await new Promise<void>((resolve) => void parts.clock.after(PAUSE_MS, resolve));
  }
}

/** Has the record's disks and hash say what the VM writes to now. Never rejects. */
export async function refreshDisks(parts: OutcomeParts, vm: VmName): Promise<void> {
  const { hypervisor, registry, log } = parts;
  try {
    const domain = await hypervisor.describe(vm.id);
    updateDescription(registry, domain);
    await syncVolumes(parts, domain);
  } catch (error) {
    log.debug({ vmId: vm.id, name: vm.name, err: error }, "A VM's disks could not be read after a snapshot");
  }
}

/** Never rejects: what stays behind is taken up, and found to be over, at the agent's next start. */
export async function forgetSnapshot({ metadata, log }: OutcomeParts, { id, name }: VmName): Promise<void> {
  try {
    await metadata.setValues(id, { snapshot_job: undefined });
  } catch (error) {
    if (error instanceof HypervisorError && error.kind === 'no-domain') return;
    log.warn({ vmId: id, name, err: error }, 'The metadata of a VM still tells of a snapshot that has ended');
  }
}
