/**
 * What does Host.getAllVmStats cost, in latency and in CPU of the server, beside a bare `ws` server that answers every
 * message with a constant Buffer of the same size?
 *
 * Agents, simulators and bare servers are processes of their own. Requests go to the two servers in turns, one at
 * a time, between two sampling cycles, and after both samples of every VM are there.
 */
import assert from 'node:assert/strict';
import { percentile, quick, report } from './report.js';
import { cpuMs, startAgent, startBareServer, startSimulator } from './support/programs.js';
import type { Program } from './support/programs.js';
import { RawClient } from './support/raw-client.js';

const SIZES = quick ? [70, 500] : [70, 500, 1000, 6000];
/** Measuring has to end within one. */
const PERIOD_SEC = quick ? 5 : 20;
const REQUEST = '{"jsonrpc":"2.0","id":1,"method":"Host.getAllVmStats","params":{}}';

interface Figures {
  readonly latenciesMs: readonly number[];
  readonly cpuMsPerRequest: number;
}

interface Server {
  readonly pid: number;
  readonly client: RawClient;
}

/** Asks until the records carry rates, which takes two cycles; returns the size of that answer. */
async function untilSampled(client: RawClient, vms: number): Promise<number> {
  for (;;) {
    const answer = await client.ask(REQUEST);
    const { result } = JSON.parse(answer.toString()) as { result: { vmId: string; cpuActual?: boolean }[] };
    assert.equal(result.length, vms);
    assert.equal(new Set(result.map(({ vmId }) => vmId)).size, vms);
    if (result.every(({ cpuActual }) => cpuActual === true)) return answer.length;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** Both servers in turns, so that the machine's other load hits them alike. */
async function measure(servers: readonly Server[], requests: number, bytes: number): Promise<Figures[]> {
  // Both run optimised code when it counts.
  for (let warm = 0; warm < requests / 2; warm++) {
    for (const { client } of servers) await client.ask(REQUEST);
  }
  const before = servers.map(({ pid }) => cpuMs(pid));
  const latencies = servers.map((): number[] => []);
  for (let request = 0; request < requests; request++) {
    for (const [at, { client }] of servers.entries()) {
      const started = performance.now();
      const answer = await client.ask(REQUEST);
      latencies[at]!.push(performance.now() - started);
      assert.ok(Math.abs(answer.length - bytes) < bytes / 50, 'the answer has its size');
    }
  }
  return servers.map(({ pid }, at) => ({
    latenciesMs: latencies[at]!,
    cpuMsPerRequest: (cpuMs(pid) - before[at]!) / requests,
  }));
}

const running: Program[] = [];
const agents = [];
for (const vms of SIZES) {
  const simulator = await startSimulator(vms);
  const agent = await startAgent(simulator, PERIOD_SEC);
  running.push({ pid: agent.pid, stop: () => agent.stop().then(() => undefined) }, simulator);
  agents.push({ vms, pid: agent.pid, client: await RawClient.connect(agent.address) });
}

const rows: (string | number)[][] = [];
const sizes: number[] = [];
for (const { vms, client } of agents) sizes.push(await untilSampled(client, vms));
for (const [at, { vms, pid, client }] of agents.entries()) {
  const bytes = sizes[at]!;
  const bare = await startBareServer(bytes);
  running.push(bare);
  const bareServer: Server = { pid: bare.pid, client: await RawClient.connect(bare.address) };
  const requests = Math.round((quick ? 40 : 3000) / (vms / 70) ** 0.7);
  const [ours, theirs] = await measure([{ pid, client }, bareServer], requests, bytes);
  for (const [name, figures] of [
    ['agent', ours!],
    ['bare ws', theirs!],
  ] as const) {
    const p50 = percentile(figures.latenciesMs, 50);
    rows.push([
      vms,
      name,
      Math.round(bytes / 1024),
      p50.toFixed(2),
      percentile(figures.latenciesMs, 99).toFixed(2),
      figures.cpuMsPerRequest.toFixed(3),
      name === 'bare ws'
        ? ''
        : `${(p50 / percentile(theirs!.latenciesMs, 50)).toFixed(2)}x latency, ` +
          `${(figures.cpuMsPerRequest / theirs!.cpuMsPerRequest).toFixed(2)}x CPU`,
    ]);
  }
  bareServer.client.close();
  client.close();
}
for (const program of running) await program.stop();

report(
  'get-all-vm-stats',
  'Host.getAllVmStats: latency and CPU of the server per request, beside a bare ws server with a constant Buffer',
  ['VMs', 'server', 'answer KiB', 'p50 ms', 'p99 ms', 'CPU ms', 'agent / bare'],
  rows,
);
