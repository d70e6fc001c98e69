/** What a start needs of the host, in memory: which images there are, and which folders were asked for. */
import type { VmId } from '../../src/domain/ids.js';
import type { HostIdentity, LaunchFiles, Payload } from '../../src/domain/launch-files.js';

export class FakeLaunchFiles implements LaunchFiles {
  readonly images = new Map<string, Payload>();
  readonly folders: string[] = [];
  /** Of the next image. */
  failure: Error | undefined;

  identity(): Promise<HostIdentity> {
    return Promise.resolve({ osName: 'Fake Linux', osVersion: '9-stable', uuid: 'host-uuid' });
  }

  imagePath(vmId: VmId, target: string): string {
    return `/state/${vmId}.${target}.img`;
  }

  buildImage(payload: Payload): Promise<void> {
    const { failure } = this;
    this.failure = undefined;
    if (failure) return Promise.reject(failure);
    this.images.set(this.imagePath(payload.vmId, payload.target), payload);
    return Promise.resolve();
  }

  makeFolders(paths: readonly string[]): Promise<void> {
    this.folders.push(...paths);
    return Promise.resolve();
  }

  removeImages(vmId: VmId): Promise<void> {
    return this.removeStaleImages((id) => id !== vmId);
  }

  removeStaleImages(isKnown: (vmId: VmId) => boolean): Promise<void> {
    for (const [path, { vmId }] of this.images) if (!isKnown(vmId)) this.images.delete(path);
    return Promise.resolve();
  }
}
