/**
 * The files that a disk's data lie in, as the live XML tells: the one that the guest writes to first, then what it is
 * based on, down to the last. Pure.
 */
import { parseXmlTree } from '../../util/xml-tree.js';
import type { XmlElement } from '../../util/xml-tree.js';

export interface ChainFile {
  /** As in the XML; for network images their name. */
  readonly path: string;
  /** libvirt's type of the source: file, block, network ... */
  readonly kind: string;
  /** qcow2, raw ...; '' where the XML does not tell. */
  readonly format: string;
}

const SOURCE_ATTRIBUTES = ['file', 'dev', 'name', 'volume'];
/** Longer chains than QEMU can open. */
const MAX_FILES = 1000;

/**
 * @param xml of the domain
 * @param target e.g. vda
 * @returns undefined where there is no such disk; empty for a drive without a medium
 */
export function diskChain(xml: string, target: string): readonly ChainFile[] | undefined {
  const disks = parseXmlTree(xml).child('devices')?.children('disk') ?? [];
  const disk = disks.find((each) => each.child('target')?.attribute('dev') === target);
  if (!disk) return undefined;
  const files: ChainFile[] = [];
  for (let layer: XmlElement | undefined = disk; layer; layer = layer.child('backingStore')) {
    const path = pathOf(layer.child('source'));
    if (path === undefined || files.length === MAX_FILES) break;
    const format = layer === disk ? layer.child('driver') : layer.child('format');
    files.push({
      path,
      kind: layer.attribute('type') ?? 'file',
      format: format?.attribute('type') ?? '',
    });
  }
  return files;
}

/**
 * The position of the file that a caller means by its path or by the path's last part (VDSM: a volume's id); -1 where there
 * is none, or more than one.
 */
export function positionInChain(chain: readonly ChainFile[], name: string): number {
  const exact = chain.findIndex(({ path }) => path === name);
  if (exact >= 0) return exact;
  const isNamed = ({ path }: ChainFile): boolean => lastPart(path) === name;
  const first = chain.findIndex(isNamed);
  return first === chain.findLastIndex(isNamed) ? first : -1;
}

export function lastPart(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function pathOf(source: XmlElement | undefined): string | undefined {
  for (const name of SOURCE_ATTRIBUTES) {
    const value = source?.attribute(name);
    if (value !== undefined) return value;
  }
  return undefined;
}
