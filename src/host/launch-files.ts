/**
 * What a start needs of the real host: folders for sockets, and payload images in a folder of the agent's own, one file
 * per VM and drive (`<vmId>.<drive>.img`), readable for QEMU's user and root. untouchedHost does none of it.
 */
import { chmod, chown, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseVmId } from '../domain/ids.js';
import type { VmId } from '../domain/ids.js';
import type { HostIdentity, LaunchFiles, Payload } from '../domain/launch-files.js';
import type { Logger } from '../util/log.js';
import type { Owner } from './host-identity.js';
import { makePayloadImage } from './payload-image.js';

export interface LaunchFilesParts {
  /** Absolute; made when it is first needed. */
  readonly folder: string;
  readonly facts: {
    identity(): Promise<HostIdentity>;
    /** Whom QEMU runs as; undefined: not known. */
    qemuOwner(): Promise<Owner | undefined>;
  };
  readonly log: Logger;
  /** Folders for sockets are made below these alone. */
  readonly socketRoots?: readonly string[];
}

/** Channels and consoles of oVirt's VMs: /var/lib/libvirt/qemu/channels, /var/run/ovirt-vmconsole-console. */
const SOCKET_ROOTS = ['/var/lib/libvirt/qemu/', '/run/', '/var/run/'];
const IMAGE = /^(.{36})\.[A-Za-z0-9_-]+\.img$/;
/** Of this process; those of others are left behind. */
const DRAFT = `.draft-${process.pid}-`;

export class HostLaunchFiles implements LaunchFiles {
  /** By VM: the images that are there. */
  readonly #images = new Map<VmId, Set<string>>();
  /** A new VM of the same id must not lose its image to the end of the old one. */
  readonly #removals = new Map<VmId, Promise<void>>();

  constructor(private readonly parts: LaunchFilesParts) {}

  #identity: HostIdentity | undefined;
  #owner: Owner | undefined;

  /** Read once: many VMs may start together. */
  async identity(): Promise<HostIdentity> {
    if (this.#identity) return this.#identity;
    const identity = await this.parts.facts.identity();
    if (identity.uuid !== '') this.#identity = identity;
    return identity;
  }

  imagePath(vmId: VmId, target: string): string {
    return join(this.parts.folder, `${vmId}.${target}.img`);
  }

  async buildImage(payload: Payload): Promise<void> {
    const { folder } = this.parts;
    const { vmId, target } = payload;
    const path = this.imagePath(vmId, target);
    await this.#removals.get(vmId);
    // QEMU has to get through, and needs to see nothing.
    await mkdir(folder, { recursive: true, mode: 0o711 });
    const draft = await mkdtemp(join(folder, DRAFT));
    try {
      const image = await makePayloadImage(payload, draft);
      await chmod(image, 0o600);
      await this.#giveToQemu(image);
      await rename(image, path);
      this.#note(vmId, path);
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
  }

  async makeFolders(paths: readonly string[]): Promise<void> {
    const { socketRoots = SOCKET_ROOTS } = this.parts;
    for (const path of paths) {
      if (!socketRoots.some((root) => path.startsWith(root)) || (await exists(path))) continue;
      try {
        await mkdir(path, { recursive: true, mode: 0o755 });
        await this.#giveToQemu(path);
      } catch (error) {
        const { message } = error as Error;
        throw new Error(`the folder ${path} for a socket could not be made: ${message}`, { cause: error });
      }
    }
  }

  removeImages(vmId: VmId): Promise<void> {
    const paths = this.#images.get(vmId);
    if (!paths) return this.#removals.get(vmId) ?? Promise.resolve();
    this.#images.delete(vmId);
    const removal = this.#remove([...paths]).finally(() => this.#removals.delete(vmId));
    this.#removals.set(vmId, removal);
    return removal;
  }

  async removeStaleImages(isKnown: (vmId: VmId) => boolean): Promise<void> {
    const { folder } = this.parts;
    const names = await readdir(folder).catch(() => []);
    const stale: string[] = [];
    for (const name of names) {
      const vmId = parseVmId(IMAGE.exec(name)?.[1]);
      if (vmId !== undefined && isKnown(vmId)) this.#note(vmId, join(folder, name));
      else if (vmId !== undefined || (name.startsWith('.draft-') && !name.startsWith(DRAFT)))
        stale.push(join(folder, name));
    }
    if (stale.length > 0)
      this.parts.log.info({ images: stale.length }, 'Removing payload images of unknown VMs');
    await this.#remove(stale);
  }

  #note(vmId: VmId, path: string): void {
    this.#images.set(vmId, (this.#images.get(vmId) ?? new Set()).add(path));
  }

  async #remove(paths: readonly string[]): Promise<void> {
    for (const path of paths) {
      await rm(path, { recursive: true, force: true }).catch((error: unknown) => {
        this.parts.log.warn({ path, err: error }, 'A payload image could not be removed');
      });
    }
  }

  /** libvirt does it too, but not for a disk that forbids it (`relabel='no'`), as an engine's do. */
  async #giveToQemu(path: string): Promise<void> {
    if (process.getuid?.() !== 0) return;
    this.#owner ??= await this.parts.facts.qemuOwner();
    if (this.#owner) await chown(path, this.#owner.uid, this.#owner.gid);
  }
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** For a simulated hypervisor: nothing of this host is touched. */
export function untouchedHost(folder: string, facts: LaunchFilesParts['facts']): LaunchFiles {
  const nothing = (): Promise<void> => Promise.resolve();
  return {
    identity: () => facts.identity(),
    imagePath: (vmId, target) => join(folder, `${vmId}.${target}.img`),
    buildImage: nothing,
    makeFolders: nothing,
    removeImages: nothing,
    removeStaleImages: nothing,
  };
}
