/**
 * What a start needs of the host beside the hypervisor: facts to write into the domain's XML, folders for its sockets,
 * and images made of the files that came with it. host/launch-files.ts implements it.
 */
import type { VmId } from './ids.js';

/** What placeholders in a domain's SMBIOS stand for; '' where it is not known. */
export interface HostIdentity {
  readonly osName: string;
  /** VDSM's version-release. */
  readonly osVersion: string;
  readonly uuid: string;
}

export interface PayloadFile {
  /** Relative, with `/` between folders; checked: no empty, `.` or `..` part. */
  readonly path: string;
  /** May be a secret: never log it. */
  readonly content: Buffer;
}

/** A read-only medium with files for the guest, on a CD-ROM or a floppy drive. */
export interface Payload {
  readonly vmId: VmId;
  /** The drive, e.g. sdc: with the VM's id it names the image. */
  readonly target: string;
  readonly format: 'iso' | 'floppy';
  /** Volume label. */
  readonly volumeId?: string;
  readonly files: readonly PayloadFile[];
}

export interface LaunchFiles {
  identity(): Promise<HostIdentity>;
  /** Where the image of a drive's payload lies, or will lie. Pure. */
  imagePath(vmId: VmId, target: string): string;
  /**
   * Makes the image, in place of an earlier one, readable for QEMU and nobody else.
   * @throws Error whose message says which tool or file is to blame
   */
  buildImage(payload: Payload): Promise<void>;
  /** Makes folders for sockets where they are missing. Paths that are not for such sockets are left to libvirt. */
  makeFolders(paths: readonly string[]): Promise<void>;
  /** Removes the images of a VM. Never rejects: what could not be removed is logged. */
  removeImages(vmId: VmId): Promise<void>;
  /** Removes what an earlier life of the agent has left: the images of VMs that are not known. Never rejects. */
  removeStaleImages(isKnown: (vmId: VmId) => boolean): Promise<void>;
}
