/**
 * A simulated host whose daemon lies when it is told to, and the part of the agent that believes it: adapter, registry,
 * reconciler, sampler and fan-out, in this process. Their clock runs ten times as fast as the world's, so that what the
 * agent does about lies within minutes takes seconds here.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { VmId } from '../../src/domain/ids.js';
import { LibvirtHypervisor } from '../../src/libvirt/driver.js';
import { parseLibvirtUri } from '../../src/libvirt/uri.js';
import { Sampler } from '../../src/sampler/sampler.js';
import { State } from '../../src/simulator/domain.js';
import { SimulatedHost } from '../../src/simulator/simulated-host.js';
import { SimulatorServer } from '../../src/simulator/simulator-server.js';
import { FanOut } from '../../src/transport/fan-out.js';
import { silentLogger } from '../../src/util/log.js';
import { createMetrics } from '../../src/util/metrics.js';
import { systemClock } from '../../src/util/time.js';
import type { Clock } from '../../src/util/time.js';
import { Reconciler } from '../../src/vms/reconciler.js';
import { Registry } from '../../src/vms/registry.js';
import { statusGroup } from './fake-engine.js';

export const SPEED = 10;
const PERIOD_MS = 10_000;
const COMPARE_PERIOD_MS = 10_000;

export type LieCounter =
  | 'libvirt_malformed_total'
  | 'libvirt_unknown_total'
  | 'libvirt_calls_total'
  | 'libvirt_lost_replies_total'
  | 'libvirt_events_total'
  | 'stats_layout_misses_total'
  | 'vm_events_unknown_total';

export type Lie = (packet: Buffer) => Buffer | undefined;

/** Monotonic time times SPEED; wall time is left alone. */
export const fastClock: Clock = {
  nowMs: () => systemClock.nowMs() * SPEED,
  wallMs: () => systemClock.wallMs(),
  after: (delayMs, callback) => systemClock.after(delayMs / SPEED, callback),
  every: (periodMs, callback) => systemClock.every(periodMs / SPEED, callback),
};

export class LyingHost {
  lie: Lie | undefined;
  readonly metrics = createMetrics();
  readonly host: SimulatedHost;
  readonly server: SimulatorServer;
  readonly hypervisor: LibvirtHypervisor;
  readonly registry: Registry;
  readonly sampler: Sampler;
  readonly #reconciler: Reconciler;
  readonly #fanOut: FanOut;
  readonly #folder = mkdtempSync(join(tmpdir(), 'vdsm-agent-lies-'));

  constructor(domains: number) {
    const socketPath = join(this.#folder, 'libvirt-sock');
    this.host = new SimulatedHost({ clock: systemClock, domains, seed: 7 });
    this.server = new SimulatorServer({
      host: this.host,
      socketPath,
      clock: systemClock,
      log: silentLogger,
      mutatePacket: (packet) => (this.lie ? this.lie(packet) : packet),
    });
    const parts = { clock: fastClock, log: silentLogger, metrics: this.metrics };
    const target = parseLibvirtUri(`qemu+unix:///system?socket=${socketPath}`, {});
    this.hypervisor = new LibvirtHypervisor({ target, ...parts });
    this.#fanOut = new FanOut(parts);
    this.registry = new Registry({ ...parts, publish: (event) => this.#fanOut.publish(event) });
    const { hypervisor, registry } = this;
    this.#reconciler = new Reconciler({
      hypervisor,
      registry,
      hostShutdown: { underWay: false, check: () => Promise.resolve(false) },
      comparePeriodMs: COMPARE_PERIOD_MS,
      ...parts,
    });
    this.sampler = new Sampler({
      hypervisor,
      vms: registry,
      periodMs: PERIOD_MS,
      onMonitorHealth: (id, responsive) => registry.setMonitorResponsive(id, responsive),
      ...parts,
    });
  }

  async start(): Promise<this> {
    await this.server.start();
    const { signal } = new AbortController();
    for (const service of [this.#fanOut, this.hypervisor, this.#reconciler, this.sampler])
      await service.start(signal);
    await this.untilWell(30);
    return this;
  }

  async stop(): Promise<void> {
    for (const service of [this.sampler, this.#reconciler, this.hypervisor, this.#fanOut])
      await service.stop();
    await this.server.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Ids of the domains in the order of their names. */
  get ids(): VmId[] {
    return [...this.host.domains].map(({ uuid }) => uuid);
  }

  /** The sum of a counter over what has the given value of a label, or over all. */
  async count(name: LieCounter, label?: string): Promise<number> {
    const { values } = await this.metrics[name].get();
    return values
      .filter(({ labels }) => label === undefined || Object.values(labels).includes(label))
      .reduce((sum, { value }) => sum + value, 0);
  }

  /** Suspends and resumes a running domain. */
  flicker(index = 0): void {
    const domain = [...this.host.domains][index];
    if (!domain) return;
    this.host.lifecycle.suspend(domain);
    this.host.lifecycle.resume(domain);
  }

  /** What is not well, in words. */
  async ailments(): Promise<string[]> {
    const { hypervisor, registry, sampler, host } = this;
    const found: string[] = [];
    if (hypervisor.status.state !== 'open') found.push(`libvirt is ${hypervisor.status.state}`);
    if (hypervisor.stuckCalls > 0) found.push(`${hypervisor.stuckCalls} calls hang`);
    const known = new Set(this.ids);
    for (const vm of registry.all()) {
      if (!known.has(vm.id)) found.push(`${vm.id} (${vm.status}) does not exist`);
      if (!vm.monitorResponsive) found.push(`${vm.name} is said not to respond`);
    }
    for (const { uuid, state } of host.domains) {
      const told = statusGroup(registry.get(uuid)?.status);
      const real = state === State.paused ? 'paused' : state === State.running ? 'running' : 'off';
      if (told !== real) found.push(`${uuid} is ${real}, the table says ${told}`);
    }
    const ageMs = sampler.oldestSampleAgeMs();
    if (ageMs > 1.5 * PERIOD_MS) found.push(`a sample is ${Math.round(ageMs)} ms old`);
    if (sampler.quarantined().length > 0) found.push(`${sampler.quarantined().length} VMs are in quarantine`);
    if (found.length > 0) return found;
    // Every lane answers.
    const [id] = this.ids;
    if (!id) return found;
    const asks = {
      priority: () => hypervisor.domainState(id, { deadlineMs: 5000 }),
      free: () => hypervisor.scheduler(id, { deadlineMs: 5000 }),
      backed: () => hypervisor.activeJob(id, { deadlineMs: 5000 }),
      list: () => hypervisor.listDomains({ deadlineMs: 5000 }),
    };
    for (const [lane, ask] of Object.entries(asks)) {
      await ask().catch((error: unknown) => found.push(`${lane}: ${String(error)}`));
    }
    return found;
  }

  /** @param limitSec of real time. @returns how long it took, of the agent's time, s */
  async untilWell(limitSec: number): Promise<number> {
    const startMs = performance.now();
    for (;;) {
      const found = await this.ailments();
      const tookSec = (performance.now() - startMs) / 1000;
      if (found.length === 0) return tookSec * SPEED;
      assert.ok(tookSec < limitSec, `not well after ${limitSec * SPEED} s: ${found.join('; ')}`);
      await delay(20);
    }
  }
}
