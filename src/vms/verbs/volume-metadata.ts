/**
 * The volume that oVirt's metadata name for a drive, `<device devtype="disk" name="vda"><volumeID>`: it has to be the file
 * that the guest writes to, which snapshots and merges change.
 */
import { dirname } from 'node:path';
import type { DiskDevice, DomainDescription } from '../../domain/devices.js';
import type { Logger } from '../../util/log.js';
import type { XmlNodeElement } from '../../util/xml-edit.js';
import type { MetadataStore } from '../metadata-store.js';
import { lastPart } from './disk-chain.js';

/** Pure but for the element. Where a drive's file is not in its image's folder, who knows what its volume is. */
export function putVolumes(vm: XmlNodeElement, disks: readonly DiskDevice[]): void {
  for (const device of vm.children('device')) {
    const disk = disks.find(({ target }) => target === device.attribute('name'));
    const image = device.child('imageID')?.text.trim();
    const volume = device.child('volumeID');
    if (!disk || !volume || device.attribute('devtype') !== 'disk') continue;
    if (lastPart(dirname(disk.source)) !== image) continue;
    const present = lastPart(disk.source);
    if (volume.text.trim() !== present) volume.text = present;
  }
}

/** Never rejects: what an engine goes by is the domain's own XML. */
export async function syncVolumes(
  { metadata, log }: { readonly metadata: Pick<MetadataStore, 'edit'>; readonly log: Logger },
  { id, name, disks }: DomainDescription,
): Promise<void> {
  try {
    await metadata.edit(id, 'vm', (vm) => putVolumes(vm, disks));
  } catch (error) {
    log.warn(
      { vmId: id, name, err: error },
      "A VM's metadata still name the volumes that it wrote to before",
    );
  }
}
