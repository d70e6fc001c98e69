/** Image files of the fake host, by path: none but those that a test puts there. */
import { dirname, resolve } from 'node:path';
import type { ImageFile, ImageFiles } from '../../src/vms/verbs/image-files.js';

export class FakeImages implements ImageFiles {
  readonly files = new Map<string, ImageFile>();

  /** A qcow2 image, by default as oVirt's storage prepares one for a snapshot of `backingFile`. */
  addQcow2(path: string, backingFile: string | undefined, virtualSize = 2 ** 30): void {
    this.files.set(path, { device: false, bytes: 196_616, qcow2: { backingFile, virtualSize } });
  }

  /** A block device without anything in it. */
  addDevice(path: string, bytes: number): void {
    this.files.set(path, { device: true, bytes, qcow2: undefined });
  }

  look(path: string): Promise<ImageFile | undefined> {
    return Promise.resolve(this.files.get(path));
  }

  isBacking(path: string, backing: string, source: string): Promise<boolean> {
    return Promise.resolve(resolve(dirname(path), backing) === source);
  }
}
