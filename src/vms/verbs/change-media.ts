/**
 * VM.changeCD and VM.changeFloppy: another medium into a drive, or none.
 *
 * The image is looked at first: a missing one must not cost the present medium. A load forces the tray; an ejection asks
 * the guest first and forces only what it has locked. The definition changes with the running domain.
 */
import type { DiskDevice, DomainDescription } from '../../domain/devices.js';
import { VerbError } from '../../domain/errors.js';
import { HypervisorError } from '../../domain/hypervisor.js';
import type { VmId } from '../../domain/ids.js';
import { xmlElement } from '../../util/xml-edit.js';
import type { XmlNodeElement } from '../../util/xml-edit.js';
import { nameOf } from '../operation.js';
import type { OperationsParts } from '../operation.js';
import { operateWithOwnCode } from './own-code.js';
import { namesOfDevice, putDevices, removeDevice } from './device-metadata.js';
import type { ImageFiles } from './image-files.js';
import { liveDevices, putChild, dropChildren, refreshAfterChange, targetOf } from './live-devices.js';
import { mediumOrder } from './medium-order.js';
import type { DriveWish, Medium, MediumOrder } from './medium-order.js';

export interface MediumVerb {
  readonly verb: 'VM.changeCD' | 'VM.changeFloppy';
  readonly device: 'cdrom' | 'floppy';
}

const driveNames: Readonly<Record<MediumVerb['device'], string>> = { cdrom: 'CD', floppy: 'floppy' };

/** @throws VerbError imageErr, changeDisk, missParam, invalidParameter, and those of every operation */
export async function changeMedium(
  parts: OperationsParts,
  id: VmId,
  what: MediumVerb,
  driveSpec: string | Readonly<Record<string, unknown>>,
): Promise<void> {
  const order = mediumOrder(driveSpec);
  await operateWithOwnCode(parts, { id, verb: what.verb, otherwise: 'changeDisk' }, async () => {
    const { domain, devices } = await liveDevices(parts, id);
    const drive = chosenDrive(domain, what, order.drive);
    const element = devices.find((each) => each.name === 'disk' && targetOf(each) === drive.target);
    if (!element) throw new VerbError('changeDisk', `${nameOf(domain)} has lost its drive ${drive.target}`);
    if (order.medium) await load(parts, id, element, order.medium);
    else await eject(parts, id, element, what);
    await noteMedium(parts, domain, element, order);
    await refreshAfterChange(parts, id);
  });
}

async function load(
  parts: OperationsParts,
  id: VmId,
  drive: XmlNodeElement,
  { path }: Medium,
): Promise<void> {
  const isDevice = await isBlockDevice(parts.images, path);
  const type = isDevice ? 'block' : 'file';
  emptied(drive).attributes.set('type', type);
  putChild(drive, xmlElement('source', { [isDevice ? 'dev' : 'file']: path }));
  await parts.hypervisor.devices.update(id, String(drive), { force: true, persist: true });
}

async function eject(
  { hypervisor, log }: OperationsParts,
  id: VmId,
  drive: XmlNodeElement,
  { device }: MediumVerb,
): Promise<void> {
  const xml = String(emptied(drive));
  // Guests have no lock on floppy drives.
  if (device === 'floppy') return hypervisor.devices.update(id, xml, { force: true, persist: true });
  try {
    await hypervisor.devices.update(id, xml, { force: false, persist: true });
  } catch (error) {
    // After 10 s libvirt calls this a failure; a QEMU that does not answer is another matter.
    if (!(error instanceof HypervisorError && error.kind === 'failed')) throw error;
    log.info({ vmId: id, drive: targetOf(drive), err: error }, 'A guest keeps its CD: the tray is forced');
    await hypervisor.devices.update(id, xml, { force: true, persist: true });
  }
}

/** In place: the drive without what belonged to the old medium. */
function emptied(drive: XmlNodeElement): XmlNodeElement {
  dropChildren(drive, 'source', 'backingStore', 'mirror');
  return drive;
}

async function isBlockDevice(images: ImageFiles, path: string): Promise<boolean> {
  let image: Awaited<ReturnType<ImageFiles['look']>>;
  try {
    image = await images.look(path);
  } catch (error) {
    throw new VerbError('imageErr', `${path}: ${(error as Error).message}`, { cause: error });
  }
  if (!image) throw new VerbError('imageErr', `${path} does not exist`);
  return image.device;
}

/** @throws VerbError changeDisk, missParam */
function chosenDrive(domain: DomainDescription, { device }: MediumVerb, wish: DriveWish): DiskDevice {
  const drives = domain.disks.filter((each) => each.device === device);
  const present = drives.map(({ target }) => target).join(', ') || 'none';
  const whose = `${nameOf(domain)} has`;
  if ('target' in wish) {
    const named = drives.find(({ target, alias }) => target === wish.target || alias === wish.target);
    if (named) return named;
    throw new VerbError(
      'changeDisk',
      `${whose} no ${driveNames[device]} drive ${wish.target}; it has: ${present}`,
    );
  }
  const ofBus = drives.filter(({ bus }) => wish.bus === undefined || bus === wish.bus);
  const [only, second] = ofBus;
  if (only && !second) return only;
  if (!only)
    throw new VerbError('changeDisk', `${whose} no such ${driveNames[device]} drive; it has: ${present}`);
  throw new VerbError(
    'missParam',
    `${whose} more than one ${driveNames[device]} drive (${present}): name one`,
  );
}

/** oVirt's ids of the medium go into the metadata with it, and those of the last one out of them. */
async function noteMedium(
  { metadata, log }: OperationsParts,
  { id, name }: DomainDescription,
  drive: XmlNodeElement,
  { medium }: MediumOrder,
): Promise<void> {
  const ids = Object.entries(medium?.ids ?? {}).map(([member, value]) => xmlElement(member, {}, value));
  const element = xmlElement('device', { devtype: 'disk', name: targetOf(drive) }, ids);
  try {
    await metadata.edit(id, 'vm', (vm) => {
      if (ids.length > 0) putDevices(vm, [element]);
      else removeDevice(vm, namesOfDevice(drive));
    });
  } catch (error) {
    log.warn({ vmId: id, name, err: error }, "The ids of a drive's medium could not be noted");
  }
}
