/**
 * A simulated host inside the agent's process, behind a socket in a folder of its own: for `--simulate`, and where there
 * is no libvirt.
 */
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServiceStack } from '../util/lifecycle.js';
import type { Service } from '../util/lifecycle.js';
import type { Logger } from '../util/log.js';
import type { Clock } from '../util/time.js';
import { LivingHost } from './living-host.js';
import { SimulatedHost } from './simulated-host.js';
import { SimulatorServer } from './simulator-server.js';

export class EmbeddedHost implements Service {
  readonly #folder = mkdtempSync(join(tmpdir(), 'vdsm-agent-'));
  readonly socketPath = join(this.#folder, 'libvirt-sock');
  readonly #services: ServiceStack;

  constructor({
    domains,
    clock,
    log,
  }: {
    readonly domains: number;
    readonly clock: Clock;
    readonly log: Logger;
  }) {
    const host = new SimulatedHost({ domains, clock });
    const server = new SimulatorServer({ host, socketPath: this.socketPath, clock, log });
    this.#services = new ServiceStack([server, new LivingHost(host, clock)]);
  }

  start(signal: AbortSignal): Promise<void> {
    return this.#services.start(signal);
  }

  async stop(): Promise<void> {
    await this.#services.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
