/**
 * The sampler over a simulated daemon whose QEMUs the kernel tells nothing of: many that hang at once, and many that are
 * only slow. Same wire protocol, 20 workers, real time.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { VmId } from '../../src/domain/ids.js';
import { LibvirtHypervisor } from '../../src/libvirt/driver.js';
import { parseLibvirtUri } from '../../src/libvirt/uri.js';
import { Sampler } from '../../src/sampler/sampler.js';
import { SimulatedHost } from '../../src/simulator/simulated-host.js';
import { SimulatorServer, type ServiceTime } from '../../src/simulator/simulator-server.js';
import { silentLogger as log } from '../../src/util/log.js';
import { createMetrics } from '../../src/util/metrics.js';
import { systemClock as clock } from '../../src/util/time.js';
import { makeVm, TestVms } from '../unit/sampler/fixtures.js';

const PERIOD_MS = 4000;
const MAX_STUCK_CALLS = 8;

let stop: (() => Promise<void>) | undefined;

async function setUp(domains: number, serviceTime?: ServiceTime) {
  const folder = mkdtempSync(join(tmpdir(), 'vdsm-agent-slow-'));
  const socketPath = join(folder, 'sock');
  const host = new SimulatedHost({ domains, clock });
  const server = new SimulatorServer({ host, socketPath, clock, log, ...(serviceTime && { serviceTime }) });
  await server.start();
  const target = parseLibvirtUri(`qemu+unix:///system?socket=${socketPath}`, {});
  const metrics = createMetrics();
  const hypervisor = new LibvirtHypervisor({ target, clock, log, metrics });
  await hypervisor.start(new AbortController().signal);
  const ids = [...host.domains].map(({ uuid }) => uuid);
  const vms = new TestVms(...ids.map((id) => makeVm({ id })));
  const health: [VmId, boolean][] = [];
  const sampler = new Sampler({
    ...{ hypervisor, vms, clock, log, metrics },
    periodMs: PERIOD_MS,
    onMonitorHealth: (id, responsive) => {
      health.push([id, responsive]);
      vms.put({ ...vms.get(id)!, monitorResponsive: responsive });
    },
  });
  stop = async () => {
    for (const id of ids) server.release(id);
    await sampler.stop();
    await hypervisor.stop();
    await server.stop();
    rmSync(folder, { recursive: true });
  };
  await sampler.start();
  return { server, hypervisor, sampler, ids, health, metrics };
}

/** Samples the ages until that time is over: the most late VMs of `ids` at one moment, and the most calls that hung. */
async function watch(
  t: TestContext,
  { sampler }: Awaited<ReturnType<typeof setUp>>,
  ids: ReadonlySet<VmId>,
  forMs: number,
): Promise<{ late: number; stuck: number }> {
  let [late, stuck] = [0, 0];
  const endMs = clock.nowMs() + forMs;
  while (clock.nowMs() < endMs) {
    await delay(50);
    late = Math.max(late, sampler.late().filter(({ id }) => ids.has(id)).length);
    stuck = Math.max(stuck, sampler.stuckCalls.now);
  }
  t.diagnostic(`${late} late at most, ${stuck} calls hung at most`);
  return { late, stuck };
}

describe('QEMUs that are not to be seen from here', { timeout: 120_000 }, () => {
  afterEach(async () => {
    await stop?.();
    stop = undefined;
  });

  it('cost 300 healthy VMs no sample when 21 of them hang at once, and come back', async (t) => {
    const agent = await setUp(321);
    while (agent.sampler.lastCycle === undefined) await delay(20);
    const victims = agent.ids.filter((_, n) => n % 15 === 7).slice(0, 21);
    for (const id of victims) agent.server.hang(id);
    const healthy = new Set(agent.ids.filter((id) => !victims.includes(id)));
    const { late, stuck } = await watch(t, agent, healthy, 4 * PERIOD_MS);
    assert.equal(late, 0, 'healthy VMs whose sample was older than one and a half periods');
    assert.ok(stuck <= MAX_STUCK_CALLS, `${stuck} calls hung`);
    assert.deepEqual(
      agent.health.filter(([id]) => healthy.has(id)),
      [],
    );
    assert.ok(agent.sampler.quarantined().length >= 4);
    for (const id of victims) agent.server.release(id);
    while (agent.sampler.quarantined().length > 0 || agent.hypervisor.stuckCalls > 0) await delay(50);
    while (agent.sampler.late().length > 0) await delay(50);
    assert.deepEqual(new Set(agent.health.slice(-1).map(([, responsive]) => responsive)), new Set([true]));
  });

  it('are late and not dead where an answer takes from 1 ms up to 5 s', async (t) => {
    const agent = await setUp(100, { meanMs: 1, tail: 0.01, tailMs: 5000 });
    while (agent.sampler.lastCycle === undefined) await delay(20);
    const { stuck } = await watch(t, agent, new Set(agent.ids), 5 * PERIOD_MS);
    assert.deepEqual(agent.health, [], 'nobody is reported');
    assert.deepEqual(agent.sampler.quarantined(), []);
    assert.ok(stuck <= MAX_STUCK_CALLS, `${stuck} calls hung`);
    assert.ok(agent.sampler.oldestSampleAgeMs() < 4 * PERIOD_MS, `${agent.sampler.oldestSampleAgeMs()} ms`);
  });
});
