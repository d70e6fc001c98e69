/**
 * Which of a VM's drives a caller means. Callers name it by what they know: target device, alias, path, oVirt's image
 * ids or a LUN's GUID. Pure.
 *
 * Where several are given, all must fit: a caller whose ids and name disagree means no drive that there is. The volume
 * is not compared, since it changes with every snapshot while the image is still the same drive.
 */
import type { DiskDevice, DomainDescription } from '../../domain/devices.js';
import { VerbError } from '../../domain/errors.js';
import type { ErrorKey } from '../../domain/errors.js';
import { nameOf } from '../operation.js';

/** A path, a name or an alias; or an object with one or more of VDSM's members. */
export type DriveSpec = string | Readonly<Record<string, unknown>>;

/** VDSM's member to the drive's own. */
const comparisons: Readonly<Record<string, (drive: DiskDevice) => string | undefined>> = {
  name: ({ target }) => target,
  alias: ({ alias }) => alias,
  path: ({ source }) => source,
  imageID: ({ imageId }) => imageId,
  GUID: ({ lunGuid }) => lunGuid,
};

/** Undefined where no drive fits, and where the specification says nothing that could be compared. */
export function findDrive(drives: readonly DiskDevice[], spec: DriveSpec): DiskDevice | undefined {
  if (typeof spec === 'string') {
    if (spec === '') return undefined;
    return drives.find((drive) => [drive.target, drive.alias, drive.source].includes(spec));
  }
  const wanted = wantedOf(spec);
  if (wanted.length === 0) return undefined;
  return drives.find((drive) => wanted.every(([member, text]) => comparisons[member]?.(drive) === text));
}

/**
 * @param key the verb's error where there is no such drive
 * @throws VerbError `key`, naming the VM, what was asked for and the drives that there are
 */
export function requireDrive(
  domain: Pick<DomainDescription, 'id' | 'name' | 'disks'>,
  spec: DriveSpec,
  key: ErrorKey,
): DiskDevice {
  const drive = findDrive(domain.disks, spec);
  if (drive) return drive;
  const present = domain.disks.map(({ target }) => target).join(', ') || 'none';
  throw new VerbError(key, `${nameOf(domain)} has no drive with ${specText(spec)}; it has: ${present}`);
}

/** For messages: `name vda, imageID ...`. */
export function specText(spec: DriveSpec): string {
  if (typeof spec === 'string') return `name, alias or path '${spec}'`;
  const wanted = wantedOf(spec).map(([member, text]) => `${member} '${text}'`);
  return wanted.length > 0 ? wanted.join(', ') : `a name, an alias, a path, image ids or a GUID`;
}

function wantedOf(spec: Readonly<Record<string, unknown>>): [string, string][] {
  return Object.keys(comparisons).flatMap((member): [string, string][] => {
    const text = spec[member];
    return typeof text === 'string' && text !== '' ? [[member, text]] : [];
  });
}
