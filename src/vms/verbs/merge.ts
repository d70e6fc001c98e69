/**
 * VM.merge: what a caller means for the chain that the disk has now, whether it can be done, and the start. merges.ts
 * brings it to its end.
 */
import { randomUUID } from 'node:crypto';
import type { DomainDescription } from '../../domain/devices.js';
import { VerbError } from '../../domain/errors.js';
import type { VmId } from '../../domain/ids.js';
import type { VerbInput } from '../../protocol/verbs.js';
import { nameOf, operate } from '../operation.js';
import type { OperationsParts } from '../operation.js';
import { diskChain, positionInChain } from './disk-chain.js';
import type { ChainFile } from './disk-chain.js';
import { requireDrive } from './find-drive.js';
import type { ImageFiles } from './image-files.js';
import type { Merge } from './merge-record.js';
import type { Merges } from './merges.js';

type MergeInput = VerbInput<'VM.merge'>;

/** A merge, and the files that it is about. */
interface MergePlan {
  readonly merge: Merge;
  readonly top: ChainFile;
  readonly base: ChainFile;
}

/**
 * Begins to commit one file of a disk's chain into another that is below it.
 * @throws VerbError imageErr (no such drive or file), mergeErr, destVolumeTooSmall, and those of every operation
 */
export async function mergeVerb(
  parts: OperationsParts,
  { merges, images }: { readonly merges: Merges; readonly images: ImageFiles },
  id: VmId,
  input: MergeInput,
): Promise<true> {
  const { hypervisor } = parts;
  const isSame = ({ id: jobId }: Merge): boolean => jobId === input.jobUUID;
  if (merges.of(id).some(isSame)) return true;
  await operate(parts, { id, verb: 'VM.merge', otherwise: 'mergeErr' }, async (vm) => {
    const plan = planMerge(await hypervisor.describe(id), input);
    const { drive } = plan.merge;
    const isBusy =
      merges.of(id).some((other) => other.drive === drive) || (await hypervisor.disks.job(id, drive));
    if (isBusy)
      throw new VerbError(
        'mergeErr',
        `${drive} of ${nameOf(vm)} has another job; try again when it has ended`,
      );
    await checkRoom(parts, images, id, plan);
    await merges.begin(vm, plan.merge);
  });
  return true;
}

/** @throws VerbError imageErr, mergeErr */
export function planMerge(domain: DomainDescription, input: MergeInput): MergePlan {
  const { topVolUUID, baseVolUUID, bandwidth, jobUUID = randomUUID() } = input;
  const { target: drive, imageId } = requireDrive(domain, input.drive, 'imageErr');
  const chain = diskChain(domain.xml, drive) ?? [];
  const find = (name: string): number => {
    const position = positionInChain(chain, name);
    if (position >= 0) return position;
    const files = chain.map(({ path }) => path).join(', ');
    throw new VerbError(
      'imageErr',
      `${drive} of ${nameOf(domain)} has no file ${name}; its chain is: ${files}`,
    );
  };
  const [topAt, baseAt] = [find(topVolUUID), find(baseVolUUID)];
  const [top, base] = [chain[topAt], chain[baseAt]];
  if (!top || !base || baseAt <= topAt) {
    const what = `${baseVolUUID} is not below ${topVolUUID} in the chain of ${drive}`;
    throw new VerbError('mergeErr', `${nameOf(domain)}: ${what}`);
  }
  const merge: Merge = {
    id: jobUUID,
    drive,
    imageId,
    base: base.path,
    top: top.path,
    active: topAt === 0,
    bandwidthMiB: bandwidth,
  };
  return { merge, top, base };
}

/**
 * QEMU makes files grow as they have to, but a device that is used as it is holds what it holds: the commit would fail
 * half-way.
 * @throws VerbError destVolumeTooSmall
 */
async function checkRoom(
  { hypervisor }: OperationsParts,
  images: ImageFiles,
  id: VmId,
  { merge, top, base }: MergePlan,
): Promise<void> {
  if (base.kind !== 'block' || base.format !== 'raw') return;
  const room = (await images.look(base.path))?.bytes ?? 0;
  const header = merge.active ? undefined : (await images.look(top.path))?.qcow2;
  const needed =
    typeof header === 'object' ? header.virtualSize : (await hypervisor.disks.size(id, merge.drive)).capacity;
  if (room >= needed) return;
  throw new VerbError('destVolumeTooSmall', `${base.path} has ${room} bytes, ${top.path} has ${needed}`);
}
