/**
 * The port's calls for images of disks: sizes, snapshots, block jobs. Those that last as long as the data or a frozen
 * guest takes have the lane of jobs.
 */
import type { BlockJob, DiskCalls } from '../domain/hypervisor-verbs.js';
import { withAgent } from './domain-calls.js';
import type { DomainCalls } from './domain-calls.js';
import { BlockCommitFlag, BlockJobAbortFlag, blockJobTypes, nameOf, SnapshotFlag } from './enumerations.js';

const RESIZE_IN_BYTES = 1;
const BANDWIDTH_IN_BYTES = 1;

export function diskCalls(domains: DomainCalls): DiskCalls {
  const { backed, jobs, verbs } = domains.lanes;
  const on = domains.on.bind(domains);
  return {
    async size(id, disk, options) {
      const { capacity, physical } = await backed.call(
        'DOMAIN_GET_BLOCK_INFO',
        { ...on(id), path: disk },
        options,
      );
      return { capacity, physical };
    },

    async resize(id, disk, bytes, options) {
      await verbs.call('DOMAIN_BLOCK_RESIZE', { ...on(id, RESIZE_IN_BYTES), disk, size: bytes }, options);
    },

    async snapshot(id, xml, { diskOnly, reuse, atomic, quiesce }, options) {
      const flags =
        SnapshotFlag.noMetadata |
        (diskOnly ? SnapshotFlag.diskOnly : 0) |
        (reuse ? SnapshotFlag.reuseExternal : 0) |
        (atomic ? SnapshotFlag.atomic : 0) |
        (quiesce ? SnapshotFlag.quiesce : 0);
      const request = { ...on(id, flags), xml };
      const take = (): Promise<unknown> => {
        if (diskOnly && !quiesce) return verbs.call('DOMAIN_SNAPSHOT_CREATE_XML', request, options);
        return jobs.call('DOMAIN_SNAPSHOT_CREATE_XML', request, { deadlineMs: Infinity, ...options });
      };
      await (quiesce ? withAgent(take()) : take());
    },

    async commit(id, disk, { base, top, active, bandwidth }, options) {
      const request = { ...on(id, active ? BlockCommitFlag.active : 0), disk, base, top, bandwidth };
      await verbs.call('DOMAIN_BLOCK_COMMIT', request, options);
    },

    async job(id, disk, options) {
      const request = { ...on(id, BANDWIDTH_IN_BYTES), path: disk };
      const reply = await backed.call('DOMAIN_GET_BLOCK_JOB_INFO', request, options);
      if (reply.found === 0) return undefined;
      const { cur, end, bandwidth } = reply;
      return { type: nameOf(blockJobTypes, reply.type), cur, end, bandwidth } satisfies BlockJob;
    },

    async endJob(id, disk, { pivot }, options) {
      const request = { ...on(id, pivot ? BlockJobAbortFlag.pivot : 0), path: disk };
      await jobs.call('DOMAIN_BLOCK_JOB_ABORT', request, options);
    },
  };
}
