/**
 * The new files of a snapshot as they are now: all to be made by libvirt, or all there already (as oVirt's storage makes
 * them), which QEMU then takes as they are. A file with a wrong backing file or a smaller disk in it would not be refused
 * by QEMU but would destroy the guest's data at its next start, so that is looked at here.
 */
import type { Hypervisor } from '../../domain/hypervisor.js';
import type { VmId } from '../../domain/ids.js';
import type { ImageFile, ImageFiles } from './image-files.js';
import type { PlannedFile } from './snapshot-plan.js';
import type { NewFile } from './snapshot-xml.js';

export interface CheckedFiles {
  readonly files: readonly NewFile[];
  readonly reuse: boolean;
}

/** @throws Error whose message is for people, HypervisorError */
export async function checkNewFiles(
  hypervisor: Pick<Hypervisor, 'disks'>,
  images: ImageFiles,
  id: VmId,
  planned: readonly PlannedFile[],
): Promise<CheckedFiles> {
  const found = await Promise.all(
    planned.map(async (file) => ({ file, image: await images.look(file.path) })),
  );
  const present = found.filter(({ image }) => image !== undefined);
  if (present.length > 0 && present.length < found.length) {
    const [missing] = found.filter(({ image }) => image === undefined);
    throw new Error(
      `some of the new files are there and others (${missing?.file.path}) are not: make all or none`,
    );
  }
  for (const { file, image } of present) {
    if (image) await checkPresent(hypervisor, images, id, { file, image });
  }
  return {
    files: found.map(({ file, image }) => ({
      disk: file.disk,
      path: file.path,
      device: image?.device ?? false,
    })),
    reuse: present.length > 0,
  };
}

async function checkPresent(
  { disks }: Pick<Hypervisor, 'disks'>,
  images: ImageFiles,
  id: VmId,
  { file, image }: { readonly file: PlannedFile; readonly image: ImageFile },
): Promise<void> {
  const { disk, path, source } = file;
  const { qcow2 } = image;
  // Whoever made it where even root may not look is trusted to have made it right.
  if (qcow2 === 'unreadable') return;
  if (!qcow2) throw new Error(`${path} exists and is no qcow2 image`);
  const { backingFile, virtualSize } = qcow2;
  if (backingFile === undefined || !(await images.isBacking(path, backingFile, source))) {
    throw new Error(`${path} exists and is based on ${backingFile ?? 'nothing'}, not on ${source}`);
  }
  const { capacity } = await disks.size(id, disk);
  if (virtualSize < capacity) {
    throw new Error(`${path} exists and has ${virtualSize} bytes, fewer than the ${capacity} of ${disk}`);
  }
}
