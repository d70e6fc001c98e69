/**
 * What the agent itself looks at in disk images: whether a file is there, the header of a qcow2, the size of a block
 * device. Reads only, and little.
 *
 * A dead file server holds up whoever touches its files, without end, and Node has four threads for all files: so no
 * more than two looks are under way, and each is waited for a while only. What hangs keeps its place.
 */
import { constants } from 'node:fs';
import type { Stats } from 'node:fs';
import { open, readFile, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute } from 'node:path';
import type { Clock } from '../../util/time.js';
import { Slots } from '../parallel.js';
import { HEADER_BYTES, readQcow2Header } from './qcow2-header.js';
import type { Qcow2Header } from './qcow2-header.js';

export interface ImageFile {
  /** A block device. */
  readonly device: boolean;
  /** Of a device its size; of a file its length. */
  readonly bytes: number;
  /** Undefined for what is no qcow2; 'unreadable' where this agent may not look inside (root-squashing servers). */
  readonly qcow2: Qcow2Header | 'unreadable' | undefined;
}

export interface ImageFiles {
  /** Undefined where there is no such file. @throws Error whose message is for people */
  look(path: string): Promise<ImageFile | undefined>;
  /** Whether `backing`, as the header of the image at `path` has it, is the file `source`. */
  isBacking(path: string, backing: string, source: string): Promise<boolean>;
}

const PARALLEL = 2;
const DEADLINE_MS = 10_000;
const SECTOR_BYTES = 512;

export class HostImageFiles implements ImageFiles {
  readonly #slots = new Slots(PARALLEL);

  constructor(private readonly clock: Clock) {}

  look(path: string): Promise<ImageFile | undefined> {
    return this.#bounded(path, () => look(path));
  }

  isBacking(path: string, backing: string, source: string): Promise<boolean> {
    // Not simplified: behind a symbolic link '..' is another folder.
    const named = isAbsolute(backing) ? backing : `${dirname(path)}/${backing}`;
    if (named === source) return Promise.resolve(true);
    return this.#bounded(path, async () => {
      const places = await Promise.all([named, source].map(realPathOf));
      return places[0] !== undefined && places[0] === places[1];
    });
  }

  #bounded<T>(path: string, task: () => Promise<T>): Promise<T> {
    const work = this.#slots.run(task);
    let cancel: () => void = () => undefined;
    const late = new Promise<never>((_, reject) => {
      cancel = this.clock.after(DEADLINE_MS, () =>
        reject(new Error(`the storage of ${path} did not answer within ${DEADLINE_MS / 1000} s`)),
      );
    });
    return Promise.race([work, late]).finally(cancel);
  }
}

async function look(path: string): Promise<ImageFile | undefined> {
  // O_NONBLOCK: a pipe without a writer would be waited for.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) =>
    insteadOfFile(error),
  );
  if (file === undefined) return undefined;
  if (file === 'unreadable') return { ...(await sizeOf(path, await stat(path))), qcow2: 'unreadable' };
  try {
    const size = await sizeOf(path, await file.stat());
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
    return { ...size, qcow2: readQcow2Header(buffer.subarray(0, bytesRead)) };
  } finally {
    await file.close();
  }
}

async function sizeOf(path: string, stats: Stats): Promise<Pick<ImageFile, 'device' | 'bytes'>> {
  if (stats.isBlockDevice()) return { device: true, bytes: await deviceBytes(stats.rdev) };
  if (stats.isFile()) return { device: false, bytes: stats.size };
  throw new Error(`${path} is neither a file nor a block device`);
}

/** The kernel's own word; a device has no length of its own. @param number as stat has it, glibc's coding */
async function deviceBytes(number: number): Promise<number> {
  const major = ((number >>> 8) & 0xfff) | (Math.floor(number / 2 ** 32) & ~0xfff);
  const minor = (number & 0xff) | ((number >>> 12) & ~0xff);
  const sectors = await readFile(`/sys/dev/block/${major}:${minor}/size`, 'utf8');
  return Number(sectors.trim()) * SECTOR_BYTES;
}

/** Undefined where there is no such file. */
function realPathOf(path: string): Promise<string | undefined> {
  return realpath(path).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });
}

function insteadOfFile(error: unknown): 'unreadable' | undefined {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return undefined;
  if (code === 'EACCES' || code === 'EPERM') return 'unreadable';
  throw error;
}
