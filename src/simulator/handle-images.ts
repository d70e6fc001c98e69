/**
 * Handlers of disk images: sizes, snapshots, commits.
 */
import { BlockCommitFlag, BlockJobAbortFlag, SnapshotFlag } from '../libvirt/enumerations.js';
import { agentCall } from './agent-call.js';
import { requireDisk } from './block-jobs.js';
import type { Call, Handlers } from './call.js';
import { affected, changeConfig } from './affect.js';
import type { SimulatedDomain } from './domain.js';
import { findDisk, withDisk } from './domain-config.js';
import { Fault } from './fault.js';
import { freeze, thaw } from './guest-agent.js';
import { checkSnapshot, parseSnapshot, takeDisks } from './snapshots.js';

const RESIZE_BYTES = 1;
const MIB = 2 ** 20;

export const blockJobQueries = {
  DOMAIN_GET_BLOCK_JOB_INFO(call, { dom, path }) {
    const domain = call.activeDomain(dom);
    return call.withJob(domain, () => {
      const job = call.host.blockJobs.find(domain, path);
      if (!job) return { found: 0, type: 0, bandwidth: 0, cur: 0, end: 0 };
      const { plan, bandwidth, processedBytes } = job;
      return { found: 1, type: plan.type, bandwidth, cur: processedBytes, end: plan.bytes };
    });
  },
} as const satisfies Handlers;

export const imageHandlers = {
  DOMAIN_BLOCK_RESIZE(call, { dom, disk: name, size, flags }) {
    const domain = call.activeDomain(dom);
    return call.withChange(domain, () =>
      resize(domain, name, (flags & RESIZE_BYTES) !== 0 ? size : size * 1024),
    );
  },
  DOMAIN_SNAPSHOT_CREATE_XML(call, { dom, xml, flags }) {
    const domain = call.activeDomain(dom);
    return call.withChange(domain, async () => {
      const name = await takeSnapshot(call, domain, xml, flags);
      return { snapshot: { name, dom: { name: domain.name, uuid: domain.uuid, id: domain.id } } };
    });
  },
  DOMAIN_BLOCK_COMMIT(call, { dom, disk, base, top, bandwidth, flags }) {
    const domain = call.activeDomain(dom);
    const inBytes = (flags & BlockCommitFlag.bandwidthInBytes) !== 0;
    return call.withChange(domain, () =>
      call.host.blockJobs.commit(domain, disk, {
        base,
        top,
        active: (flags & BlockCommitFlag.active) !== 0,
        shallow: (flags & BlockCommitFlag.shallow) !== 0,
        bandwidth: inBytes ? bandwidth : bandwidth * MIB,
      }),
    );
  },
  DOMAIN_BLOCK_JOB_ABORT(call, { dom, path, flags }) {
    const domain = call.activeDomain(dom);
    const pivot = (flags & BlockJobAbortFlag.pivot) !== 0;
    return call.withChange(domain, () => call.host.blockJobs.end(domain, path, pivot));
  },
  DOMAIN_BLOCK_JOB_SET_SPEED(call, { dom, path, bandwidth, flags }) {
    const domain = call.activeDomain(dom);
    const bytes = (flags & 1) !== 0 ? bandwidth : bandwidth * MIB;
    return call.withChange(domain, () => call.host.blockJobs.setSpeed(domain, path, bytes));
  },
} as const satisfies Handlers;

function resize(domain: SimulatedDomain, name: string, capacityBytes: number): void {
  const disk = findDisk(domain.config, name);
  if (!disk) throw new Fault('invalid-argument', `disk '${name}' was not found in the domain config`);
  if (disk.path === '' || disk.device === 'cdrom') {
    throw new Fault('operation-unsupported', `can't resize empty or readonly disk '${disk.target}'`);
  }
  if (domain.blockJobs.has(disk.target)) {
    throw new Fault('internal', "unable to execute QEMU command 'block_resize': Device '(null)' is in use");
  }
  const where = {
    ...affected(domain, 0),
    definition: findDisk(domain.definition, disk.target)?.path === disk.path,
  };
  changeConfig(domain, where, (config) =>
    withDisk(config, { ...requireDisk(config, disk.target), capacityBytes }),
  );
}

/** Returns its name. */
async function takeSnapshot(
  call: Call,
  domain: SimulatedDomain,
  xml: string,
  flags: number,
): Promise<string> {
  call.host.lifecycle.requireActive(domain);
  if ((flags & SnapshotFlag.noMetadata) === 0) {
    throw new Fault('operation-unsupported', 'the simulated host keeps no metadata of snapshots');
  }
  const nowSec = Math.floor(call.host.clock.wallMs() / 1000);
  const order = parseSnapshot(domain, xml, flags, nowSec);
  checkSnapshot(domain, order);
  const { memoryPath } = order;
  if (memoryPath !== undefined) {
    if ((flags & SnapshotFlag.quiesce) !== 0) {
      throw new Fault('config-unsupported', 'quiesce requires disk-only snapshot');
    }
    await call.host.memory.snapshot(domain, memoryPath, () => takeDisks(domain, order));
    return order.name;
  }
  if ((flags & SnapshotFlag.quiesce) === 0) takeDisks(domain, order);
  else {
    await agentCall(call, domain, () => freeze(domain, undefined));
    try {
      takeDisks(domain, order);
    } finally {
      thaw(domain);
    }
  }
  return order.name;
}
