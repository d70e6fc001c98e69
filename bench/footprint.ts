/**
 * How much memory does the agent take and how long does it take to start, by number of VMs, beside a bare Node process
 * and one with only `ws` loaded?
 *
 * Start-up is from the start of the process to its word that it listens, all VMs listed; for the bare processes to the
 * end of their script. Memory is the resident set after some sampling cycles and answered polls.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { VdsmClient } from '../src/client/client.js';
import { percentile, quick, report } from './report.js';
import { rssMb, startAgent, startSimulator } from './support/programs.js';

const SIZES = quick ? [0, 70] : [0, 70, 1000, 6000];
const CYCLES = quick ? 2 : 5;
const STARTS = quick ? 1 : 3;
/** Longest wait for all VMs. */
const PATIENCE_MS = 30_000;

interface Footprint {
  readonly startMs: number;
  readonly rssMb: number;
}

async function bare(script: string): Promise<Footprint> {
  const started = performance.now();
  const child = spawn(
    process.execPath,
    ['--input-type=module', '-e', `${script}; console.log(1); setInterval(() => 0, 1e6)`],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  await once(createInterface({ input: child.stdout }), 'line');
  const startMs = performance.now() - started;
  const rss = rssMb(child.pid!);
  child.kill('SIGTERM');
  await once(child, 'exit');
  return { startMs, rssMb: rss };
}

async function agentWith(vms: number): Promise<Footprint> {
  const simulator = await startSimulator(vms);
  const started = performance.now();
  const agent = await startAgent(simulator, 1);
  const client = await VdsmClient.connect(agent.address);
  let listed = await listedVms(client);
  while (listed < vms && performance.now() - started < PATIENCE_MS) listed = await listedVms(client);
  const startMs = performance.now() - started;
  assert.equal(listed, vms, 'every VM is listed');
  for (let cycle = 0; cycle < CYCLES; cycle++) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    assert.equal((await client.call('Host.getAllVmStats', {})).length, vms);
  }
  const rss = rssMb(agent.pid);
  await client.close();
  await agent.stop();
  await simulator.stop();
  return { startMs, rssMb: rss };
}

async function listedVms(client: VdsmClient): Promise<number> {
  return (await client.call('Agent.getHealth', {})).vms;
}

async function medianOf(times: number, measure: () => Promise<Footprint>): Promise<Footprint> {
  const all: Footprint[] = [];
  for (let time = 0; time < times; time++) all.push(await measure());
  return {
    startMs: percentile(
      all.map((each) => each.startMs),
      50,
    ),
    rssMb: percentile(
      all.map((each) => each.rssMb),
      50,
    ),
  };
}

const node = await medianOf(STARTS, () => bare('0'));
const withWs = await medianOf(STARTS, () => bare("await import('ws')"));
const row = (name: string, { startMs, rssMb: rss }: Footprint): string[] => [
  name,
  rss.toFixed(1),
  Math.round(startMs).toString(),
  `${(rss / node.rssMb).toFixed(2)}x memory, ${(startMs / node.startMs).toFixed(1)}x time`,
];
const rows = [row('node', node), row('node with ws', withWs)];
for (const vms of SIZES) rows.push(row(`agent, ${vms} VMs`, await agentWith(vms)));

report(
  'footprint',
  'Resident memory and start-up time, beside a bare Node process and one with ws loaded',
  ['process', 'RSS MB', 'start ms', 'to bare node'],
  rows,
);
