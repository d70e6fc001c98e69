/**
 * What the soak runs against: a simulated host for the agent and its twin for the baseline, which meets the same hung and
 * slow QEMUs and the same deaths of its daemon; the agent as a process; and two engines, of which one comes through a relay
 * that can be cut.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { State } from '../../src/simulator/domain.js';
import { SeededRandom } from '../../src/simulator/random.js';
import { SimulatedHost } from '../../src/simulator/simulated-host.js';
import { SimulatorServer } from '../../src/simulator/simulator-server.js';
import type { ServiceTime } from '../../src/simulator/simulator-server.js';
import { silentLogger } from '../../src/util/log.js';
import { systemClock as clock } from '../../src/util/time.js';
import { AgentProcess } from '../../test/support/agent-process.js';
import { FakeEngine } from '../../test/support/fake-engine.js';
import type { StatusGroup, Truth } from '../../test/support/fake-engine.js';
import { SocketRelay } from '../../test/support/socket-relay.js';
import { Ledger } from './ledger.js';
import { VdsmWay } from './vdsm-way.js';
import { Witness } from './witness.js';
import type { PolledRecord } from './witness.js';

export interface SoakOptions {
  readonly vms: number;
  readonly periodSec: number;
  readonly seed: number;
}

/** Pause between two polls of the witness; part of what a sample's age may be. */
const POLL_MS = 500;
/** A busy machine's own: polls and cycles are late by as much. */
const SLACK_MS = 1000;

export class World {
  readonly folder = mkdtempSync(join(tmpdir(), 'vdsm-agent-soak-'));
  readonly agentSocket = join(this.folder, 'agent.sock');
  readonly random: SeededRandom;
  readonly host: SimulatedHost;
  readonly server: SimulatorServer;
  readonly witness: Witness;
  readonly ledger: Ledger;
  readonly baseline: VdsmWay;
  readonly relay = new SocketRelay(this.agentSocket);
  readonly hung = new Set<string>();
  /** Changed by faults. */
  readonly serviceTime: { -readonly [K in keyof ServiceTime]: ServiceTime[K] } = { meanMs: 0 };
  lie: ((packet: Buffer) => Buffer | undefined) | undefined;
  readonly #twin: SimulatedHost;
  readonly #twinServer: SimulatorServer;
  agent!: AgentProcess;
  direct!: FakeEngine;
  relayed!: FakeEngine;

  constructor(readonly options: SoakOptions) {
    const { vms: domains, seed, periodSec } = options;
    const periodMs = periodSec * 1000;
    this.random = new SeededRandom(seed);
    this.host = new SimulatedHost({ clock, domains, seed });
    const parts = { host: this.host, clock, log: silentLogger, serviceTime: this.serviceTime };
    const socketPath = join(this.folder, 'libvirt-sock');
    this.server = new SimulatorServer({
      ...parts,
      socketPath,
      mutatePacket: (packet) => (this.lie ? this.lie(packet) : packet),
    });
    this.#twin = new SimulatedHost({ clock, domains, seed });
    const twinSocket = join(this.folder, 'twin-sock');
    this.#twinServer = new SimulatorServer({ ...parts, host: this.#twin, socketPath: twinSocket });
    // The sampler's shard deadline: an eighth of the period, but half a second at least.
    const shardDeadlineMs = Math.max(500, periodMs / 8);
    this.witness = new Witness({ periodMs, slackMs: shardDeadlineMs + POLL_MS + SLACK_MS });
    this.ledger = new Ledger(this.host);
    this.baseline = new VdsmWay({
      uri: `qemu+unix:///system?socket=${twinSocket}`,
      periodMs,
      host: this.#twin,
      healthy: (id) => !this.hung.has(id),
    });
  }

  async start(): Promise<void> {
    await this.server.start();
    await this.#twinServer.start();
    const file = join(this.folder, 'agent.json');
    const settings = {
      uri: `qemu+unix:///system?socket=${this.server.socketPath}`,
      listen: [`unix:${this.agentSocket}`, '127.0.0.1:0'],
      periodSec: this.options.periodSec,
      compareSec: 20,
      // Where no kernel tells that a QEMU stands still, those beyond the first few are found by their age.
      commandTimeoutSec: 2 * this.options.periodSec,
      logLevel: 'error',
    };
    writeFileSync(file, JSON.stringify(settings));
    this.agent = await AgentProcess.start(['--config', file]);
    await this.relay.open();
    this.direct = new FakeEngine(`unix:${this.agentSocket}`, { pollIntervalMs: POLL_MS });
    let askedMs = clock.nowMs();
    this.direct.monitor.addListener({
      polled: (records) => {
        this.witness.polled(records as PolledRecord[], askedMs);
        askedMs = clock.nowMs();
      },
    });
    this.relayed = new FakeEngine(`unix:${this.relay.path}`, { pollIntervalMs: 5000 });
    await Promise.all([this.direct.start(60_000), this.relayed.start(60_000)]);
    this.witness.excuseAll(clock.nowMs() + 3 * this.options.periodSec * 1000);
    this.baseline.start();
  }

  async stop(): Promise<void> {
    await this.baseline.stop();
    await Promise.all([this.direct.stop(), this.relayed.stop()]);
    await this.agent.stop();
    await this.relay.dispose();
    await this.server.stop();
    await this.#twinServer.stop();
    this.host.close();
    this.#twin.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Port of the TCP listener, for hostile clients. */
  get port(): number {
    return Number(/ and ws:\/\/127\.0\.0\.1:(\d+)/.exec(this.agent.output)?.[1]);
  }

  readonly truth = (): Truth => {
    const groupOf = (state: number): StatusGroup => {
      if (state === State.paused) return 'paused';
      return state === State.running ? 'running' : 'off';
    };
    return new Map([...this.host.domains].map((domain) => [domain.config.uuid, groupOf(domain.state)]));
  };

  hang(id: string): void {
    this.hung.add(id);
    this.server.hang(id);
    // The twin's VMs do not live: all run.
    this.#twinServer.hang(id);
  }

  release(id: string): void {
    this.server.release(id);
    this.#twinServer.release(id);
  }

  async killDaemon(): Promise<void> {
    await Promise.all([this.server.kill(), this.#twinServer.kill()]);
  }

  async startDaemon(): Promise<void> {
    await Promise.all([this.server.start(), this.#twinServer.start()]);
  }

  /** What the agent says of its connection to libvirt. */
  async libvirtState(): Promise<string> {
    return (await this.direct.client.call('Agent.getHealth', {})).libvirt.state;
  }

  /** These VMs are expected to be sampled again, after three periods. */
  pardon(ids: readonly string[]): void {
    for (const id of ids) this.witness.excuse(id, clock.nowMs() + 3 * this.options.periodSec * 1000);
  }

  /** All VMs are expected to be sampled again, after two periods. */
  endExcuse(): void {
    this.witness.excuseAll(clock.nowMs() + 2 * this.options.periodSec * 1000);
  }

  /** From now on for that long, and two periods more, no VM is expected to be sampled. */
  excuseAll(forMs: number): void {
    this.witness.excuseAll(clock.nowMs() + forMs + 2 * this.options.periodSec * 1000);
  }

  rest(ms: number): Promise<void> {
    return delay(ms);
  }
}
