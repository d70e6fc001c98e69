/**
 * The document that asks libvirt for an external snapshot. Pure.
 */
import { xmlElement } from '../../util/xml-edit.js';
import type { XmlNodeElement } from '../../util/xml-edit.js';

export interface NewFile {
  /** The disk's target name. */
  readonly disk: string;
  readonly path: string;
  /** A block device, not a file. */
  readonly device: boolean;
}

/**
 * @param files of the disks that go on in a new file
 * @param others target names of all other disks: libvirt would make files of its own choice for those that are not named
 * @param memoryPath file for the guest's memory; without it disks only
 */
export function snapshotXml(
  files: readonly NewFile[],
  others: readonly string[],
  memoryPath: string | undefined,
): string {
  const memory =
    memoryPath === undefined
      ? xmlElement('memory', { snapshot: 'no' })
      : xmlElement('memory', { snapshot: 'external', file: memoryPath });
  const disks = [
    ...files.map(diskXml),
    ...others.map((name) => xmlElement('disk', { name, snapshot: 'no' })),
  ];
  return xmlElement('domainsnapshot', {}, [memory, xmlElement('disks', {}, disks)]).toString();
}

function diskXml({ disk, path, device }: NewFile): XmlNodeElement {
  return xmlElement('disk', { name: disk, snapshot: 'external', type: device ? 'block' : 'file' }, [
    xmlElement('driver', { type: 'qcow2' }),
    xmlElement('source', { [device ? 'dev' : 'file']: path }),
  ]);
}
