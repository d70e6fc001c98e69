/**
 * Block I/O limits: their names, and what a call makes of those that are set. Rules as recorded from libvirt 9.0.
 */
import type { TypedParam } from '../libvirt/typed-params.js';
import type { DiskLimits } from './domain-config.js';
import { Fault } from './fault.js';

/** Of each kind: those that exclude the first of them. A call that names one of a kind resets the others of it. */
const kinds: readonly (readonly string[])[] = [
  ['total_bytes_sec', 'read_bytes_sec', 'write_bytes_sec'],
  ['total_iops_sec', 'read_iops_sec', 'write_iops_sec'],
  ['total_bytes_sec_max', 'read_bytes_sec_max', 'write_bytes_sec_max'],
  ['total_iops_sec_max', 'read_iops_sec_max', 'write_iops_sec_max'],
  ['size_iops_sec'],
  ['group_name'],
  ['total_bytes_sec_max_length', 'read_bytes_sec_max_length', 'write_bytes_sec_max_length'],
  ['total_iops_sec_max_length', 'read_iops_sec_max_length', 'write_iops_sec_max_length'],
];
const GROUP_NAME = 'group_name';
/** In the order of virDomainGetBlockIoTune. */
const names = kinds.flat();
const MAX_LIMIT = 1_000_000_000_000_000;

/** @param strings whether the caller can read text parameters */
export function readLimits(limits: DiskLimits | undefined, strings: boolean): TypedParam[] {
  return names.flatMap((field): TypedParam[] => {
    const value = limits?.get(field);
    if (field !== GROUP_NAME) return [{ field, type: 'ullong', value: Number(value ?? 0) }];
    return strings ? [{ field, type: 'string', value: String(value ?? '') }] : [];
  });
}

/** @throws Fault for what libvirt refuses */
export function changedLimits(limits: DiskLimits | undefined, params: readonly TypedParam[]): DiskLimits {
  for (const { field, type, value } of params) {
    if (!names.includes(field)) throw new Fault('argument-unsupported', `parameter '${field}' not supported`);
    const expected = field === GROUP_NAME ? 'string' : 'ullong';
    if (type !== expected) {
      throw new Fault(
        'invalid-argument',
        `invalid type '${type}' for parameter '${field}', expected '${expected}'`,
      );
    }
    if (Number(value) > MAX_LIMIT) {
      throw new Fault('invalid-argument', `block I/O throttle limit value must be less than ${MAX_LIMIT}`);
    }
  }
  const given = new Map(params.map(({ field, value }) => [field, typeof value === 'boolean' ? 0 : value]));
  const changed = new Map<string, number | string>();
  for (const kind of kinds) {
    const named = kind.some((name) => given.has(name));
    for (const name of kind) {
      const value = (named ? given : limits)?.get(name) ?? 0;
      if (value !== 0 && value !== '') changed.set(name, value);
    }
  }
  checkTogether(changed);
  return changed;
}

function checkTogether(limits: DiskLimits): void {
  const isSet = (name: string | undefined) => name !== undefined && limits.has(name);
  for (const [total, read, write] of kinds.slice(0, 4)) {
    if (isSet(total) && (isSet(read) || isSet(write))) {
      const what = total?.replace('total_', '') ?? '';
      throw new Fault('invalid-argument', `total and read/write of ${what} cannot be set at the same time`);
    }
  }
  for (const name of names) {
    if (name.endsWith('_sec') && isSet(`${name}_max`) && !isSet(name)) {
      throw new Fault('config-unsupported', `cannot reset '${name}' when '${name}_max' is set`);
    }
  }
}
