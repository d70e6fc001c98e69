/**
 * Files that hold a VM's state while it does not run. All access goes through this interface, so that tests need none.
 */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rename, unlink } from 'node:fs/promises';

export interface StateFiles {
  /** Makes an empty file, 0600. Rejects where something of that name is there already, or its folder is not. */
  reserve(path: string): Promise<void>;
  /** Puts the text in place of the file's content, whole or not at all, 0600. */
  replace(path: string, text: string): Promise<void>;
  /** The content; rejects where it is longer than `maxBytes`, or no regular file. */
  read(path: string, maxBytes: number): Promise<Buffer>;
  /** A file that is not there is removed already. */
  remove(path: string): Promise<void>;
}

const PRIVATE = 0o600;

export const stateFiles: StateFiles = {
  async reserve(path) {
    const file = await open(path, 'wx', PRIVATE);
    await file.close();
  },

  async replace(path, text) {
    const draft = `${path}.${randomUUID()}`;
    const file = await open(draft, 'wx', PRIVATE);
    try {
      await file.writeFile(text);
      await file.sync();
      await file.close();
      await rename(draft, path);
    } catch (error) {
      await file.close().catch(() => undefined);
      await unlink(draft).catch(() => undefined);
      throw error;
    }
  },

  async read(path, maxBytes) {
    // Nobody writes to a FIFO that stands in the file's place: opening it must not wait.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = await file.stat();
      if (!stat.isFile()) throw new Error(`${path} is not a regular file`);
      if (stat.size > maxBytes) throw new Error(`${path} is longer than ${maxBytes} bytes`);
      return await file.readFile();
    } finally {
      await file.close();
    }
  },

  async remove(path) {
    await unlink(path).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    });
  },
};
