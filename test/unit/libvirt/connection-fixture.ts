/** For tests of connections: a fake daemon, a manual clock, and connections that are closed after each test. */
import { afterEach, beforeEach } from 'node:test';
import { HypervisorError } from '../../../src/domain/hypervisor.js';
import type { HypervisorErrorKind } from '../../../src/domain/hypervisor.js';
import type { VmId } from '../../../src/domain/ids.js';
import { Connection } from '../../../src/libvirt/connection.js';
import type { ConnectionListener } from '../../../src/libvirt/connection.js';
import { RateLimiter, silentLogger } from '../../../src/util/log.js';
import { createMetrics } from '../../../src/util/metrics.js';
import type { Metrics } from '../../../src/util/metrics.js';
import { ManualClock } from '../../support/manual-clock.js';
import { FakeDaemon } from './fake-daemon.js';
import { wr1 } from './golden-packets.js';

export const dom = { name: 'wr1', uuid: wr1 as VmId, id: 7 };
export const onDom = { dom, flags: 0 };

export class ConnectionFixture {
  daemon = new FakeDaemon();
  clock = new ManualClock();
  metrics: Metrics = createMetrics();
  #connections: Connection[] = [];

  /** Registers the hooks; call it at the top of a test file. */
  static use(): ConnectionFixture {
    const fixture = new ConnectionFixture();
    beforeEach(() => fixture.#start());
    afterEach(() => fixture.#stop());
    return fixture;
  }

  async open(listener: ConnectionListener = {}): Promise<Connection> {
    const { clock, metrics } = this;
    const connection = await Connection.open(
      { path: this.daemon.path, name: 'qemu:///system', readOnly: false, lane: 'test' },
      { clock, metrics, log: silentLogger, limiter: new RateLimiter(clock) },
      listener,
    );
    this.#connections.push(connection);
    return connection;
  }

  async counter(name: 'libvirt_late_replies_total' | 'libvirt_unknown_total'): Promise<number> {
    const { values } = await this.metrics[name].get();
    return values.reduce((sum, { value }) => sum + value, 0);
  }

  async #start(): Promise<void> {
    this.daemon = new FakeDaemon();
    this.clock = new ManualClock();
    this.metrics = createMetrics();
    await this.daemon.start();
  }

  async #stop(): Promise<void> {
    for (const connection of this.#connections.splice(0)) await connection.close();
    await this.daemon.dispose();
  }
}

/** For assert.rejects. */
export function kind(expected: HypervisorErrorKind, message = /./): (error: unknown) => boolean {
  return (error) =>
    error instanceof HypervisorError && error.kind === expected && message.test(error.message);
}
