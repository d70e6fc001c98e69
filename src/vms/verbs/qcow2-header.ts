/**
 * The header of a qcow2 image: as much of it as says whether a file may become the top of a disk's chain. Pure; the
 * layout is QEMU's docs/interop/qcow2.txt.
 */

export interface Qcow2Header {
  /** As the guest sees it, bytes. */
  readonly virtualSize: number;
  /** As written, often relative to the image's own folder; undefined for an image that stands alone. */
  readonly backingFile: string | undefined;
}

/** The backing file's name lies in the first cluster, whose size is 64 KiB usually. */
export const HEADER_BYTES = 65_536;

const MAGIC = 0x5146_49fb;
const FIXED_BYTES = 32;
const MAX_NAME_BYTES = 1023;

/** @returns undefined for what is no qcow2 image of version 2 or 3, or names a backing file outside of `head` */
export function readQcow2Header(head: Buffer): Qcow2Header | undefined {
  if (head.length < FIXED_BYTES || head.readUInt32BE(0) !== MAGIC) return undefined;
  const version = head.readUInt32BE(4);
  if (version !== 2 && version !== 3) return undefined;
  const virtualSize = Number(head.readBigUInt64BE(24));
  const nameOffset = Number(head.readBigUInt64BE(8));
  if (nameOffset === 0) return { virtualSize, backingFile: undefined };
  const nameBytes = head.readUInt32BE(16);
  if (nameBytes > MAX_NAME_BYTES || nameOffset + nameBytes > head.length) return undefined;
  return { virtualSize, backingFile: head.toString('utf8', nameOffset, nameOffset + nameBytes) };
}
