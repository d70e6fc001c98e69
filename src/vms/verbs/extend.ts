/**
 * VM.diskSizeExtend: the guest sees a larger disk. An image file is grown with it; a device that is used as it is was
 * grown by its storage, so the guest gets what the device has.
 */
import { VerbError } from '../../domain/errors.js';
import type { VmId } from '../../domain/ids.js';
import type { VerbInput } from '../../protocol/verbs.js';
import { nameOf, operate } from '../operation.js';
import type { OperationsParts } from '../operation.js';
import { diskChain } from './disk-chain.js';
import { requireDrive } from './find-drive.js';
import type { ImageFiles } from './image-files.js';

type ExtendInput = VerbInput<'VM.diskSizeExtend'>;

/**
 * @returns the size now, bytes
 * @throws VerbError imageErr (no such drive), resizeErr (smaller than now), updateDevice, and those of every operation
 */
export function extendVerb(
  parts: OperationsParts,
  images: ImageFiles,
  id: VmId,
  { driveSpecs, newSize }: ExtendInput,
): Promise<string> {
  const { hypervisor } = parts;
  const request = { id, verb: 'VM.diskSizeExtend', otherwise: 'updateDevice' } as const;
  return operate(parts, request, async (vm) => {
    const domain = await hypervisor.describe(id);
    const { target } = requireDrive(domain, driveSpecs, 'imageErr');
    const [image] = diskChain(domain.xml, target) ?? [];
    if (!image) throw new VerbError('imageErr', `${target} of ${nameOf(vm)} has no image`);
    const isRawDevice = image.kind === 'block' && image.format === 'raw';
    const wanted = isRawDevice ? ((await images.look(image.path))?.bytes ?? 0) : Number(newSize);
    const { capacity } = await hypervisor.disks.size(id, target);
    if (!Number.isSafeInteger(wanted) || wanted < capacity) {
      const what = isRawDevice ? `${image.path} has ${wanted}` : newSize;
      throw new VerbError(
        'resizeErr',
        `${target} of ${nameOf(vm)} has ${capacity} bytes and cannot shrink (${what})`,
      );
    }
    if (wanted === capacity) return String(capacity);
    await hypervisor.disks.resize(id, target, wanted);
    return String((await hypervisor.disks.size(id, target)).capacity);
  });
}
