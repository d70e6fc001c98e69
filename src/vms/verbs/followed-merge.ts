/** A merge under way, as merges.ts holds it. */
import type { VmJob } from '../../domain/vm.js';
import type { VmName } from '../operation.js';
import type { Merge } from './merge-record.js';

export interface Followed {
  readonly vm: VmName;
  readonly merge: Merge;
  /** Bytes. */
  cur: number;
  end: number;
  cancelPoll: () => void;
  /** It is being looked at, or begun. */
  polling: boolean;
  /** Something happened while it was being looked at. */
  again: boolean;
  pivotFailures: number;
  over: boolean;
}

export function followedMerge({ id, name }: VmName, merge: Merge): Followed {
  return {
    vm: { id, name },
    merge,
    cur: 0,
    end: 0,
    cancelPoll: () => undefined,
    polling: false,
    again: false,
    pivotFailures: 0,
    over: false,
  };
}

/** As the VM's record shows it. */
export function vmJobOf({ merge, cur, end }: Followed): VmJob {
  const { id, drive, imageId, bandwidthMiB } = merge;
  return { id, drive, ...(imageId !== undefined && { imageId }), bandwidthMiB, cur, end };
}
