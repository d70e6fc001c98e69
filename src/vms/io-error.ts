/**
 * What there is to tell of an I/O error that has stopped a guest: the pause code, and VDSM's `ioerror` member with the
 * disk. Pure.
 */
import type { DiskError } from '../domain/hypervisor.js';
import type { PauseCode, Vm } from '../domain/vm.js';
import { isPauseCode } from './adoption.js';

export interface IoError {
  readonly alias: string;
  /** Target, e.g. vda. */
  readonly name?: string;
  readonly path?: string;
}

/** Of libvirt's event, which names the disk by its alias. */
export function ioErrorOfEvent(
  vm: Vm,
  { alias, path }: { readonly alias: string; readonly path: string },
): IoError {
  const name = vm.domain?.disks.find((disk) => disk.alias === alias)?.target;
  return { alias, ...(name !== undefined && { name }), ...(path !== '' && { path }) };
}

/** libvirt's event says 'enospc' or nothing. */
export function pauseCodeOfReason(reason: string): PauseCode {
  const code = reason.toUpperCase();
  return isPauseCode(code) ? code : 'EOTHER';
}

export interface FoundIoError {
  readonly pauseCode: PauseCode;
  readonly ioerror: IoError;
}

/**
 * Of the errors that the disks are found with; undefined where there is none. libvirt 9 has no event for a disk without
 * a path (network disks), so this may be the first news of which disk it is. An I/O error goes before missing space:
 * more space would not help.
 */
export function ioErrorOfDisks(vm: Vm, errors: readonly DiskError[]): FoundIoError | undefined {
  const found =
    errors.find(({ error }) => error === 'unspecified') ?? errors.find(({ error }) => error === 'no-space');
  if (!found) return undefined;
  const disk = vm.domain?.disks.find(({ target }) => target === found.disk);
  const { alias = '', source = '' } = disk ?? {};
  const ioerror = { alias, name: found.disk, ...(source !== '' && { path: source }) };
  return { pauseCode: found.error === 'unspecified' ? 'EIO' : 'ENOSPC', ioerror };
}
