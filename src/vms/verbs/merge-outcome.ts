/**
 * How far a merge is: by libvirt's word while its job runs, and by the disk's chain when there is none any more. Pure.
 */
import type { BlockJob } from '../../domain/hypervisor-verbs.js';
import { diskChain } from './disk-chain.js';
import type { Merge } from './merge-record.js';

/** True for the job of a merge, of whoever's; other jobs on the disk are none of ours. */
export function isCommit(job: BlockJob | undefined): job is BlockJob {
  return job?.type === 'commit' || job?.type === 'active-commit';
}

/** Everything is copied and kept the same. libvirt never shows an active commit as complete before that. */
export function isReady({ type, cur, end }: BlockJob): boolean {
  return type === 'active-commit' && end > 0 && cur >= end;
}

/** @param xml of the running domain */
export function isMerged(xml: string, { drive, base, top, active }: Merge): boolean {
  const paths = (diskChain(xml, drive) ?? []).map(({ path }) => path);
  return active ? paths[0] === base : paths.includes(base) && !paths.includes(top);
}
