/** Writes the kernel's initramfs format (cpio "newc"), so that a guest image needs no archiver on the machine. */

export interface CpioEntry {
  readonly path: string;
  /** File type and permission bits, e.g. 0o100755, 0o040755, 0o120777 (link: content is the target). */
  readonly mode: number;
  readonly content?: Buffer;
}

/** The archive's bytes, trailer included. */
export function cpioArchive(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  entries.forEach((entry, index) => parts.push(...record(entry, index + 1)));
  parts.push(...record({ path: 'TRAILER!!!', mode: 0 }, 0));
  return Buffer.concat(parts);
}

function record({ path, mode, content = Buffer.alloc(0) }: CpioEntry, inode: number): Buffer[] {
  const name = Buffer.from(`${path}\0`);
  const links = 1;
  const fields = [inode, mode, 0, 0, links, 0, content.length, 0, 0, 0, 0, name.length, 0];
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
  return [padded(Buffer.concat([Buffer.from(header), name])), padded(content)];
}

function padded(bytes: Buffer): Buffer {
  const missing = (4 - (bytes.length % 4)) % 4;
  return missing === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(missing)]);
}
