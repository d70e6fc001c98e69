/**
 * Limits of a disk: which there are, and which go together. Pure.
 */
import type { DiskLimits } from '../../domain/hypervisor-verbs.js';

/** VDSM's six; libvirt has more, which are taken and shown where they are set. */
export const basicLimits = [
  'total_bytes_sec',
  'read_bytes_sec',
  'write_bytes_sec',
  'total_iops_sec',
  'read_iops_sec',
  'write_iops_sec',
] as const;

const known: ReadonlySet<string> = new Set([
  ...basicLimits,
  ...basicLimits.map((name) => `${name}_max`),
  ...basicLimits.map((name) => `${name}_max_length`),
  'size_iops_sec',
]);

/** A sentence that says what is wrong with limits that somebody gave; undefined where nothing is. */
export function faultOfGiven(given: Readonly<Record<string, unknown>>): string | undefined {
  for (const [name, value] of Object.entries(given)) {
    if (!known.has(name)) return `${name} is no limit that a disk has`;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
      return `${name} must be a whole number from 0 on`;
    }
  }
  return undefined;
}

/** A sentence where a total stands beside a part of the same kind, which QEMU refuses; undefined where none does. */
export function conflictIn(limits: DiskLimits): string | undefined {
  const isSet = (name: string): boolean => (limits[name] ?? 0) > 0;
  for (const kind of ['bytes', 'iops']) {
    for (const suffix of ['', '_max']) {
      const [total, ...parts] = ['total', 'read', 'write'].map((part) => `${part}_${kind}_sec${suffix}`);
      const part = parts.find(isSet);
      if (total !== undefined && isSet(total) && part !== undefined) {
        return `${total} excludes ${part}, which is ${limits[part] ?? 0}: set one of them to 0`;
      }
    }
  }
  return undefined;
}

/**
 * All that the disk is to have from now on: limits that are not given stay. The basic ones and those that are given are
 * always named, since libvirt leaves kinds alone that nobody names.
 */
export function mergedLimits(present: DiskLimits, given: DiskLimits): DiskLimits {
  return { ...shownLimits(present), ...given };
}

/** The basic ones, 0 where there is none, and further ones that are set. */
export function shownLimits(limits: DiskLimits): Record<string, number> {
  const further = Object.entries(limits).filter(([name, value]) => known.has(name) && value > 0);
  return { ...Object.fromEntries(basicLimits.map((name) => [name, 0])), ...Object.fromEntries(further) };
}
