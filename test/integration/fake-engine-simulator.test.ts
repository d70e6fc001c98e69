/**
 * The main job against the simulated host: the agent as a child process, a libvirt daemon in this process, and a
 * fake engine whose table must equal the daemon's own state after anything that may happen to the three.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { VdsmError } from '../../src/client/errors.js';
import { LibvirtClient, LibvirtError } from '../../src/libvirt/client.js';
import { State } from '../../src/simulator/domain.js';
import { SeededRandom } from '../../src/simulator/random.js';
import { SimulatedHost } from '../../src/simulator/simulated-host.js';
import { SimulatorServer } from '../../src/simulator/simulator-server.js';
import { silentLogger } from '../../src/util/log.js';
import { systemClock as clock } from '../../src/util/time.js';
import { AgentProcess } from '../support/agent-process.js';
import { FakeEngine } from '../support/fake-engine.js';
import type { StatusGroup, Truth } from '../support/fake-engine.js';

class World {
  readonly folder = mkdtempSync(join(tmpdir(), 'fake-engine-'));
  readonly agentSocket = join(this.folder, 'agent.sock');
  readonly host: SimulatedHost;
  readonly server: SimulatorServer;
  readonly ids: readonly string[];
  agent!: AgentProcess;
  engine!: FakeEngine;

  constructor(domains: number) {
    this.host = new SimulatedHost({ domains, clock });
    this.server = new SimulatorServer({
      host: this.host,
      socketPath: join(this.folder, 'libvirt-sock'),
      clock,
      log: silentLogger,
    });
    this.ids = [...this.host.domains].map((domain) => domain.config.uuid);
  }

  get libvirtUri(): string {
    return `qemu+unix:///system?socket=${this.server.socketPath}`;
  }

  async start(): Promise<void> {
    await this.server.start();
    await this.startAgent();
    this.engine = await new FakeEngine(`unix:${this.agentSocket}`).start(60_000);
  }

  async startAgent(): Promise<void> {
    const listen = `unix:${this.agentSocket}`;
    this.agent = await AgentProcess.start(['--uri', this.libvirtUri, '--listen', listen, '--period', '1']);
  }

  async stop(): Promise<void> {
    await this.engine.stop();
    await this.agent.stop();
    await this.server.stop();
    this.host.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** The daemon's own state, read without the agent. */
  readonly truth = (): Truth => {
    const group = (state: number): StatusGroup => {
      if (state === State.paused) return 'paused';
      return state === State.running ? 'running' : 'off';
    };
    return new Map([...this.host.domains].map((domain) => [domain.config.uuid, group(domain.state)]));
  };
}

/** Pauses and resumes through the agent; refusals (the VM is off by now) are part of a storm. */
async function stormThroughAgent(world: World, random: SeededRandom, steps: number): Promise<void> {
  const calls = Array.from({ length: steps }, async () => {
    const vmID = random.pick(world.ids)!;
    const verb = random.pick(['VM.pause', 'VM.cont'] as const)!;
    await world.engine.client.call(verb, { vmID }).catch((error: unknown) => {
      assert.ok(error instanceof VdsmError, String(error));
    });
  });
  await Promise.all(calls);
}

/** Suspends, resumes, kills and starts over a libvirt connection of its own, as virsh would. */
async function stormBehindBack(world: World, random: SeededRandom, steps: number): Promise<void> {
  const libvirt = await LibvirtClient.connect(world.libvirtUri);
  const procedures = ['DOMAIN_SUSPEND', 'DOMAIN_RESUME', 'DOMAIN_DESTROY', 'DOMAIN_CREATE'] as const;
  for (let step = 0; step < steps; step++) {
    const name = world.host.find(random.pick(world.ids)!)!.name;
    const { dom } = await libvirt.call('DOMAIN_LOOKUP_BY_NAME', { name });
    await libvirt.call(random.pick(procedures)!, { dom }).catch((error: unknown) => {
      assert.ok(error instanceof LibvirtError, String(error));
    });
  }
  await libvirt.close();
}

for (const size of [1, 70, 1000]) {
  describe(`a fake engine, the agent and a simulated host of ${size} VMs`, { timeout: 240_000 }, () => {
    const world = new World(size);
    const random = new SeededRandom(size);
    const steps = Math.min(200, size * 5);
    const [first = ''] = world.ids;

    before(() => world.start());
    after(() => world.stop());

    const engineAgrees = async (): Promise<void> => {
      await world.engine.untilEquals(world.truth);
      world.engine.assertCleanRecord();
    };

    it('begins with a table that equals the truth', () => {
      world.engine.assertTableEquals(world.truth());
      assert.equal(world.engine.monitor.vms.size, size);
    });

    it('learns of a pause and of its end by events, in this order', async () => {
      const { changes } = world.engine;
      const seen = changes.length;
      await world.engine.client.call('VM.pause', { vmID: first });
      await world.engine.client.call('VM.cont', { vmID: first });
      await world.engine.until('two changes', () => changes.length >= seen + 2);
      const news = changes.slice(seen).map(({ vmId, to, source }) => `${vmId} ${to} by ${source}`);
      assert.deepEqual(news, [`${first} Paused by event`, `${first} Up by event`]);
    });

    it('agrees with the truth after a storm of verbs through the agent', async () => {
      await stormThroughAgent(world, random, steps);
      await engineAgrees();
    });

    it("agrees with the truth after a storm behind the agent's back", async () => {
      await stormBehindBack(world, random, steps);
      await engineAgrees();
    });

    it('agrees with the truth after both at once', async () => {
      await Promise.all([stormThroughAgent(world, random, steps), stormBehindBack(world, random, steps)]);
      await engineAgrees();
    });

    it('resumes over a broken connection without a hole', async () => {
      const { resumptions } = world.engine;
      const storm = stormBehindBack(world, random, steps);
      await world.engine.client.close();
      await storm;
      await world.engine.until('resumed', () => world.engine.resumptions > resumptions);
      await engineAgrees();
    });

    it('agrees with the truth after the agent was killed during a storm and started again', async () => {
      const before = world.engine.monitor.position?.epoch;
      const storm = stormBehindBack(world, random, steps);
      await world.agent.kill();
      await storm;
      await world.startAgent();
      await world.engine.until('synchronised', () => world.engine.monitor.synchronised);
      await engineAgrees();
      assert.notEqual(world.engine.monitor.position?.epoch, before);
    });

    it('agrees with the truth after libvirt died and came back, and what changed meanwhile', async () => {
      const agent = world.agent.pid;
      await world.server.kill();
      for (const id of world.ids.slice(0, 20)) {
        const domain = world.host.find(id)!;
        if (domain.running) world.host.lifecycle.suspend(domain);
      }
      await world.server.start();
      await engineAgrees();
      await stormBehindBack(world, random, steps);
      await engineAgrees();
      assert.equal(world.agent.pid, agent);
      assert.equal((await world.engine.client.call('Agent.getHealth', {})).libvirt.state, 'open');
    });

    it('ends in good order on SIGTERM', async () => {
      assert.deepEqual(await world.agent.stop(), { code: 0, signal: null });
      await world.startAgent();
      await world.engine.until('synchronised', () => world.engine.monitor.synchronised);
      await engineAgrees();
    });
  });
}
