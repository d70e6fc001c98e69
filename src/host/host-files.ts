/**
 * Reading the kernel's and the system's files. A file that is not there, or not for us, is undefined: it is then
 * not known. Nothing is parsed here.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

export interface HostRoots {
  readonly proc: string;
  readonly sys: string;
  readonly dev: string;
  readonly etc: string;
}

export type HostRoot = keyof HostRoots;

export class HostFiles {
  constructor(private readonly roots: HostRoots) {}

  async text(root: HostRoot, path: string): Promise<string | undefined> {
    // Reading a file of sysfs may fail in many ways (EINVAL for the speed of a NIC that is down).
    return readFile(join(this.roots[root], path), 'utf8').catch(() => undefined);
  }

  /** Without white space around. */
  async line(root: HostRoot, path: string): Promise<string | undefined> {
    return (await this.text(root, path))?.trim();
  }

  /** Names in a folder, sorted; empty where there is none. */
  async list(root: HostRoot, path: string): Promise<string[]> {
    const names = await readdir(join(this.roots[root], path)).catch(() => []);
    return names.sort();
  }

  async exists(root: HostRoot, path: string): Promise<boolean> {
    return stat(join(this.roots[root], path)).then(
      () => true,
      () => false,
    );
  }
}
