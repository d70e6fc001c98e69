/**
 * External snapshots: the order as XML, and what it makes of the disks. Nothing is kept of a snapshot but the chains.
 */
import { SnapshotFlag } from '../libvirt/enumerations.js';
import type { XmlNodeElement } from '../util/xml-edit.js';
import { chainOf, requireNoBlockJob, withChain } from './block-jobs.js';
import type { SimulatedDomain } from './domain.js';
import { findDisk, withDisk } from './domain-config.js';
import type { DiskConfig, ImageConfig } from './domain-config.js';
import { sourcePath } from './device-parse.js';
import { Fault } from './fault.js';
import { createOverlay, imageExists, isThere } from './image-file.js';
import { at, attributeAt, readXml } from './xml-text.js';

export interface SnapshotOrder {
  readonly name: string;
  /** File for the memory; undefined: disks only. */
  readonly memoryPath: string | undefined;
  /** New image by disk target. */
  readonly images: ReadonlyMap<string, ImageConfig>;
  /** The new images are there already. */
  readonly reuse: boolean;
}

/** @param nowSec epoch seconds: the name of a snapshot that has none */
export function parseSnapshot(
  domain: SimulatedDomain,
  xml: string,
  flags: number,
  nowSec: number,
): SnapshotOrder {
  const root = readXml(xml);
  if (root.name !== 'domainsnapshot') {
    throw new Fault('xml-error', `expecting root element of 'domainsnapshot', not '${root.name}'`);
  }
  const diskOnly = (flags & SnapshotFlag.diskOnly) !== 0;
  const name = root.child('name')?.text ?? String(nowSec);
  const memory = root.child('memory');
  const memoryPath = attributeAt(memory, 'file');
  const external = memory?.attribute('snapshot') === 'external' || memoryPath !== undefined;
  if (external && diskOnly) {
    throw new Fault('config-unsupported', 'may not request memory snapshot with disk-only snapshot');
  }
  if (external && !memoryPath?.startsWith('/')) {
    throw new Fault('xml-error', 'memory snapshot file path must be absolute');
  }
  if (!external && !diskOnly) {
    throw new Fault('operation-unsupported', 'the simulated host makes no internal snapshots');
  }
  return {
    name,
    memoryPath: external ? memoryPath : undefined,
    images: newImages(domain, at(root, 'disks')?.children('disk') ?? [], name),
    reuse: (flags & SnapshotFlag.reuseExternal) !== 0,
  };
}

function newImages(
  domain: SimulatedDomain,
  orders: readonly XmlNodeElement[],
  name: string,
): Map<string, ImageConfig> {
  const images = new Map<string, ImageConfig>();
  const mentioned = new Set<string>();
  for (const order of orders) {
    const wanted = order.attribute('name') ?? '';
    const disk = findDisk(domain.config, wanted);
    if (!disk) throw new Fault('config-unsupported', `no disk named '${wanted}'`);
    if (mentioned.has(disk.target)) {
      throw new Fault('config-unsupported', `disk '${disk.target}' specified twice`);
    }
    mentioned.add(disk.target);
    const mode = order.attribute('snapshot') ?? 'external';
    if (mode === 'no' || mode === 'manual') continue;
    if (mode !== 'external') {
      throw new Fault(
        'config-unsupported',
        'internal snapshots require all disks to be selected for snapshot',
      );
    }
    images.set(disk.target, orderedImage(disk, order, name));
  }
  for (const disk of domain.config.disks) {
    if (!mentioned.has(disk.target) && takesPart(disk)) images.set(disk.target, generatedImage(disk, name));
  }
  if (images.size === 0) {
    throw new Fault('config-unsupported', 'nothing selected for snapshot');
  }
  return images;
}

/** Drives without medium, and what cannot be written, are left out unless they are named. */
function takesPart({ path, device, base }: DiskConfig): boolean {
  return (
    path !== '' &&
    device !== 'cdrom' &&
    base?.child('readonly') === undefined &&
    base?.attribute('snapshot') !== 'no'
  );
}

function orderedImage(disk: DiskConfig, order: XmlNodeElement, name: string): ImageConfig {
  const path = sourcePath(order.child('source'));
  if (path === '') return generatedImage(disk, name);
  const type = order.attribute('type') === 'block' ? 'block' : 'file';
  return { path, type, format: attributeAt(order, 'driver', 'type') ?? 'qcow2' };
}

function generatedImage(disk: DiskConfig, name: string): ImageConfig {
  if (disk.type !== 'file') {
    throw new Fault(
      'config-unsupported',
      `source for disk '${disk.target}' is not a regular file; refusing to generate external snapshot name`,
    );
  }
  return { path: `${disk.path.replace(/\.[^./]*$/, '')}.${name}`, type: 'file', format: 'qcow2' };
}

/** Whether the order can be carried out; nothing has changed yet. */
export function checkSnapshot(domain: SimulatedDomain, { images, reuse }: SnapshotOrder): void {
  for (const [target, { path, type }] of images) {
    requireNoBlockJob(domain, target);
    if (reuse && !imageExists(path)) {
      throw new Fault(
        'system',
        `missing existing file for disk ${target}: ${path}: No such file or directory`,
      );
    }
    if (!reuse && type === 'file' && isThere(path)) {
      throw new Fault(
        'config-unsupported',
        `external snapshot file for disk ${target} already exists and is not a block device: ${path}`,
      );
    }
  }
}

/** Puts a new image on top of each chain. Where the definition has the same image, it changes as well. */
export function takeDisks(domain: SimulatedDomain, { images, reuse }: SnapshotOrder): void {
  for (const [target, image] of images) {
    const disk = findDisk(domain.config, target);
    if (!disk) continue;
    if (!reuse) createOverlay(image.path, disk, disk.capacityBytes);
    const defined = findDisk(domain.definition, target);
    const changed = withChain(disk, [{ ...image, index: domain.nextNode() }, ...chainOf(disk)]);
    domain.changeLive(withDisk(domain.config, changed));
    if (defined?.path !== disk.path) continue;
    domain.definition = withDisk(domain.definition, withChain(defined, [image, ...chainOf(defined)]));
  }
}
