/**
 * The agent's sampler on the libvirt adapter, cycle by cycle, with nothing above them: the VMs are a fixed set, and the
 * clock's period never comes, so that a benchmark says when a cycle begins.
 */
import assert from 'node:assert/strict';
import type { DomainDescription } from '../../src/domain/devices.js';
import type { VmId } from '../../src/domain/ids.js';
import { defaultGuest } from '../../src/domain/guest-info.js';
import type { Vm, VmSource } from '../../src/domain/vm.js';
import { LibvirtHypervisor } from '../../src/libvirt/driver.js';
import { parseLibvirtUri } from '../../src/libvirt/uri.js';
import { Sampler } from '../../src/sampler/sampler.js';
import { silentLogger } from '../../src/util/log.js';
import { createMetrics } from '../../src/util/metrics.js';
import { systemClock, type Clock } from '../../src/util/time.js';

export const PERIOD_MS = 15_000;

/** One way of sampling: a cycle, and the answer that a reader would get after it. */
export interface Way {
  readonly vms: ReadonlyMap<VmId, Vm>;
  cycle(): Promise<void>;
  /** What a reader costs; returns the bytes of the answer. */
  read(): number;
  answer(): string;
  stop(): Promise<void>;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function runningVm(domain: DomainDescription): Vm {
  return {
    id: domain.id,
    name: domain.name,
    internal: 'Up',
    cpuRunning: true,
    status: 'Up',
    domain,
    startedAtMs: Date.now(),
    clientIp: '',
    clientPort: '',
    timeOffsetSec: 0,
    monitorResponsive: true,
    guest: defaultGuest,
    external: false,
  };
}

export async function agentWay(uri: string): Promise<Way> {
  let tick = (): void => undefined;
  const clock: Clock = {
    ...systemClock,
    every: (_, callback) => {
      tick = callback;
      return () => undefined;
    },
  };
  const metrics = createMetrics();
  const hypervisor = new LibvirtHypervisor({
    target: parseLibvirtUri(uri, {}),
    clock: systemClock,
    log: silentLogger,
    metrics,
  });
  await hypervisor.start(new AbortController().signal);
  while (hypervisor.status.state !== 'open') await pause(5);
  const refs = await hypervisor.listDomains();
  const domains = await hypervisor.describeMany(refs.map(({ id }) => id));
  const vms = new Map(domains.map((domain) => [domain.id, runningVm(domain)]));
  const source: VmSource = {
    get: (id) => vms.get(id),
    all: () => vms.values(),
    size: vms.size,
    onChange: () => () => undefined,
  };
  const sampler = new Sampler({
    hypervisor,
    vms: source,
    clock,
    log: silentLogger,
    metrics,
    periodMs: PERIOD_MS,
    onMonitorHealth: (id) => assert.fail(`VM ${id} was found unresponsive`),
  });
  const finished = async (before: number | undefined): Promise<void> => {
    while (sampler.snapshot.sampledAtMs === before) await pause(2);
  };
  await sampler.start();
  await finished(undefined);
  return {
    vms,
    cycle: async () => {
      const before = sampler.snapshot.sampledAtMs;
      tick();
      await finished(before);
    },
    read: () => sampler.snapshot.pages().reduce((bytes, page) => bytes + page.length, 0),
    answer: () => Buffer.concat([...sampler.snapshot.pages()]).toString(),
    stop: async () => {
      await sampler.stop();
      await hypervisor.stop();
    },
  };
}
