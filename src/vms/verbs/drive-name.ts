/** The target name that oVirt gives a drive of an interface and an index: ide 2 is hdc. Pure. */

const prefixes: Readonly<Record<string, string>> = {
  ide: 'hd',
  scsi: 'sd',
  sata: 'sd',
  usb: 'sd',
  virtio: 'vd',
  fdc: 'fd',
};

/** Undefined for an interface that has no drives of its own. @param index from 0 */
export function driveName(iface: string, index: number): string | undefined {
  const prefix = prefixes[iface];
  return prefix === undefined ? undefined : prefix + letters(index);
}

/** a ... z, aa, ab ...: there is no zero in it. */
function letters(index: number): string {
  const last = String.fromCharCode('a'.charCodeAt(0) + (index % 26));
  return index < 26 ? last : letters(Math.floor(index / 26) - 1) + last;
}
