/**
 * Files of the simulated host that are really there: disk images that snapshots make, and saved memory.
 *
 * Most images of simulated domains are on storage that this machine has not: where the folder of a path does not
 * exist, its files count as present. Making one fails there as anywhere, but for oVirt's /rhev, where nothing is
 * written. In folders that exist, files are what they are. All files are small, so nothing here is asynchronous.
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { Fault } from './fault.js';

const SAVE_MAGIC = 'SimulatedSave1\n';
/** A document is far smaller. */
const MAX_SAVE_BYTES = 16 * 2 ** 20;

/** What stands in a file of saved memory. */
export interface SavedDomain {
  /** Document of the domain, passwords included. */
  readonly xml: string;
  /** Whether its CPUs ran when it was saved. */
  readonly running: boolean;
}

function errnoText(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return errnos[code] ?? (code || 'Input/output error');
}

const errnos: Readonly<Record<string, string>> = {
  ENOENT: 'No such file or directory',
  ENOTDIR: 'Not a directory',
  EISDIR: 'Is a directory',
  EACCES: 'Permission denied',
  EEXIST: 'File exists',
  ENOSPC: 'No space left on device',
  EROFS: 'Read-only file system',
};

function isElsewhere(path: string): boolean {
  return !path.startsWith('/') || !existsSync(dirname(path));
}

/** @throws Fault 'system' where a disk's image should be there and is not. '' is a drive without medium. */
export function requireImage(path: string): void {
  if (path === '' || imageExists(path)) return;
  throw new Fault('system', `Cannot access storage file '${path}': No such file or directory`);
}

/** Whether an image that is to be used can be: there, or on storage that this machine has not. */
export function imageExists(path: string): boolean {
  return isElsewhere(path) || existsSync(path);
}

/** Whether the file is really there. */
export function isThere(path: string): boolean {
  return existsSync(path);
}

const CLUSTER = 65_536;

/**
 * Makes an empty qcow2 image on top of another, as QEMU does for a snapshot.
 * @param sizeBytes what the guest sees
 */
export function createOverlay(
  path: string,
  backing: { path: string; format: string },
  sizeBytes: number,
): void {
  if (isElsewhere(path) && path.startsWith('/rhev/')) return;
  const l1Entries = Math.max(1, Math.ceil(sizeBytes / (CLUSTER * (CLUSTER / 8))));
  const l1Clusters = Math.ceil((l1Entries * 8) / CLUSTER);
  const file = Buffer.alloc((3 + l1Clusters) * CLUSTER);
  const name = Buffer.from(backing.path);
  const format = Buffer.from(backing.format);
  const NAME_AT = 512;
  file.write('QFI\xfb', 0, 'latin1');
  file.writeUInt32BE(3, 4);
  file.writeBigUInt64BE(BigInt(NAME_AT), 8);
  file.writeUInt32BE(name.length, 16);
  file.writeUInt32BE(16, 20); // cluster bits
  file.writeBigUInt64BE(BigInt(sizeBytes), 24);
  file.writeUInt32BE(l1Entries, 36);
  file.writeBigUInt64BE(BigInt(3 * CLUSTER), 40); // L1 table
  file.writeBigUInt64BE(BigInt(CLUSTER), 48); // refcount table
  file.writeUInt32BE(1, 56);
  file.writeUInt32BE(4, 96); // refcount order: 16 bits
  file.writeUInt32BE(104, 100); // header length
  file.writeUInt32BE(0xe279_2aca, 104); // extension: backing format
  file.writeUInt32BE(format.length, 108);
  format.copy(file, 112);
  name.copy(file, NAME_AT);
  file.writeBigUInt64BE(BigInt(2 * CLUSTER), CLUSTER); // refcount block
  for (let cluster = 0; cluster < 3 + l1Clusters; cluster++) {
    file.writeUInt16BE(1, 2 * CLUSTER + cluster * 2);
  }
  writeNew(path, file, 'failed to create image file');
}

/** A FIFO or device must not keep the host waiting. */
const { O_WRONLY, O_RDONLY, O_CREAT, O_TRUNC, O_NONBLOCK } = constants;

function withFile<T>(path: string, flags: number, complaint: string, use: (file: number) => T): T {
  let file: number | undefined;
  try {
    file = openSync(path, flags | O_NONBLOCK, 0o600);
    return use(file);
  } catch (error) {
    throw new Fault('system', `${complaint} '${path}': ${errnoText(error)}`);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** @throws Fault 'system' */
function writeNew(path: string, content: Buffer, complaint: string): void {
  withFile(path, O_WRONLY | O_CREAT | O_TRUNC, complaint, (file) => writeSync(file, content));
}

/** Makes the file that saved memory goes to, or empties it. */
export function createSaved(path: string): void {
  writeNew(path, Buffer.alloc(0), 'Failed to create file');
}

export function writeSaved(path: string, saved: SavedDomain): void {
  writeNew(path, Buffer.from(SAVE_MAGIC + JSON.stringify(saved)), 'Failed to create file');
}

export function removeSaved(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody else removed it.
  }
}

/** @throws Fault 'system' where it cannot be read, 'operation-failed' where it is something else */
export function readSaved(path: string): SavedDomain {
  const text = withFile(path, O_RDONLY, 'Failed to open file', (file) => {
    const { size } = fstatSync(file);
    const content = Buffer.alloc(Math.min(size, MAX_SAVE_BYTES));
    return content.toString('utf8', 0, readSync(file, content));
  });
  if (!text.startsWith(SAVE_MAGIC)) throw new Fault('operation-failed', 'image magic is incorrect');
  try {
    const { xml, running } = JSON.parse(text.slice(SAVE_MAGIC.length)) as Partial<SavedDomain>;
    if (typeof xml !== 'string') throw new Error('incomplete');
    return { xml, running: running === true };
  } catch {
    throw new Fault('operation-failed', 'failed to read qemu header');
  }
}
