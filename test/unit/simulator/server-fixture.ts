/** A simulated daemon on a socket in a folder of its own, with a clock that tests move. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SimulatedHost } from '../../../src/simulator/simulated-host.js';
import type { SimulatedHostOptions } from '../../../src/simulator/simulated-host.js';
import { SimulatorServer } from '../../../src/simulator/simulator-server.js';
import type { SimulatorServerOptions } from '../../../src/simulator/simulator-server.js';
import { silentLogger } from '../../../src/util/log.js';
import { ManualClock } from '../../support/manual-clock.js';
import { RpcClient } from './rpc-client.js';

export interface Fixture {
  readonly clock: ManualClock;
  readonly host: SimulatedHost;
  readonly server: SimulatorServer;
  readonly path: string;
  /** An open connection, closed with the fixture. */
  open(flags?: number): Promise<RpcClient>;
  connect(): Promise<RpcClient>;
}

export async function withServer(
  options: Partial<SimulatedHostOptions> & Partial<SimulatorServerOptions>,
  test: (fixture: Fixture) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'simulator-'));
  const clock = new ManualClock();
  const host = new SimulatedHost({ clock, domains: 3, ...options });
  const path = join(folder, 'sock');
  const server = new SimulatorServer({ clock, log: silentLogger, socketPath: path, ...options, host });
  const clients: RpcClient[] = [];
  const keep = (client: RpcClient) => {
    clients.push(client);
    return client;
  };
  await server.start();
  try {
    await test({
      clock,
      host,
      server,
      path,
      open: async (flags) => keep(await RpcClient.open(path, flags)),
      connect: async () => keep(await RpcClient.connect(path)),
    });
  } finally {
    for (const client of clients) client.close();
    await server.stop();
    rmSync(folder, { recursive: true });
  }
}

/** The outcome of a call that is under way. */
export function watch(promise: Promise<unknown>): { settled: boolean; value?: unknown; error?: unknown } {
  const watched: { settled: boolean; value?: unknown; error?: unknown } = { settled: false };
  promise.then(
    (value) => Object.assign(watched, { settled: true, value }),
    (error: unknown) => Object.assign(watched, { settled: true, error }),
  );
  return watched;
}
