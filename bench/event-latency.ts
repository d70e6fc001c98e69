/**
 * How long from libvirt's event packet to the message at a client, idle and during a sampling cycle of 6,000 VMs, beside
 * the round trip of a bare `ws` echo?
 *
 * This process listens to the same simulated daemon as the agent does, so it sees the packet itself: the time is from
 * that sight to the arrival of the agent's event. VMs are suspended and resumed one at a time, behind the agent's back.
 */
import assert from 'node:assert/strict';
import { VdsmClient } from '../src/client/client.js';
import { LibvirtClient } from '../src/libvirt/client.js';
import { percentile, quick, report } from './report.js';
import { startAgent, startBareServer, startSimulator } from './support/programs.js';
import { RawClient } from './support/raw-client.js';

const VMS = quick ? 500 : 6000;
const ECHOES = quick ? 300 : 3000;
/** Long enough for some cycles. */
const PHASE_MS = quick ? 3000 : 10_000;
/** Fewer say nothing of a p99; the short form only has to run. */
const LEAST_EVENTS = quick ? 1 : 100;
/** While nothing is sampled, and cycle after cycle. */
const PHASES = [
  { name: 'idle', periodSec: 300 },
  { name: 'sampling', periodSec: 1 },
] as const;

interface Sighting {
  readonly atMs: number;
  readonly latencyMs: number;
}

interface Cycle {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Suspends and resumes VM after VM; one sighting each. */
async function sightings(uri: string, agent: VdsmClient): Promise<Sighting[]> {
  const libvirt = await LibvirtClient.connect(uri);
  const packetAt = new Map<string, number>();
  await libvirt.onDomainEvent((event) => {
    if (event.kind === 'lifecycle') packetAt.set(event.id, performance.now());
  });
  let arrived: (id: string) => void = () => undefined;
  agent.onEvent(({ method }) => arrived(method.split('|')[3] ?? ''));
  const found: Sighting[] = [];
  const endMs = performance.now() + PHASE_MS;
  // Ends with a resume: the next phase begins with running VMs.
  for (let step = 0; step % 2 === 1 || performance.now() < endMs; step++) {
    const name = `vm-${String(1 + (Math.floor(step / 2) % VMS)).padStart(4, '0')}`;
    const { dom } = await libvirt.call('DOMAIN_LOOKUP_BY_NAME', { name });
    const message = new Promise<{ id: string; atMs: number }>((resolve) => {
      arrived = (id) => resolve({ id, atMs: performance.now() });
    });
    await libvirt.call(step % 2 === 0 ? 'DOMAIN_SUSPEND' : 'DOMAIN_RESUME', { dom });
    const { id, atMs } = await message;
    const seenMs = packetAt.get(id);
    assert.ok(seenMs !== undefined, 'the event is of the VM that was changed');
    packetAt.clear();
    found.push({ atMs: seenMs, latencyMs: atMs - seenMs });
  }
  await libvirt.close();
  return found;
}

/** Notes the agent's sampling cycles while something else runs. */
async function cyclesDuring<Result>(agent: VdsmClient, work: Promise<Result>): Promise<[Result, Cycle[]]> {
  const cycles: Cycle[] = [];
  const state = { over: false };
  const watched = work.finally(() => (state.over = true));
  while (!state.over) {
    const { sampler } = await agent.call('Agent.getHealth', {});
    const { lastTickAgeSec, lastTickSec } = sampler;
    const toMs = performance.now() - (lastTickAgeSec ?? 0) * 1000;
    if (lastTickSec !== null) cycles.push({ fromMs: toMs - lastTickSec * 1000, toMs });
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return [await watched, cycles];
}

/** Verbs are refused until every VM was read. */
async function untilReady(client: VdsmClient): Promise<void> {
  while ((await client.call('Agent.getHealth', {})).status === 'starting') {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function echoLatencies(): Promise<number[]> {
  const server = await startBareServer('echo');
  const client = await RawClient.connect(server.address);
  const text = 'x'.repeat(180);
  const latencies: number[] = [];
  for (let round = 0; round < ECHOES; round++) {
    const started = performance.now();
    assert.equal((await client.ask(text)).length, text.length);
    latencies.push(performance.now() - started);
  }
  client.close();
  await server.stop();
  return latencies;
}

const echo = await echoLatencies();
const echoP50 = percentile(echo, 50);
const row = (name: string, latencies: readonly number[]): (string | number)[] => [
  name,
  latencies.length,
  percentile(latencies, 50).toFixed(3),
  percentile(latencies, 99).toFixed(3),
  Math.max(...latencies).toFixed(3),
  `${(percentile(latencies, 50) / echoP50).toFixed(1)}x`,
];
const rows = [row('bare ws echo', echo)];

const simulator = await startSimulator(VMS);
for (const { name, periodSec } of PHASES) {
  const agent = await startAgent(simulator, periodSec);
  const client = await VdsmClient.connect(agent.address);
  await untilReady(client);
  await client.call('Agent.subscribe', {});
  const watcher = await VdsmClient.connect(agent.address);
  const [all, cycles] = await cyclesDuring(watcher, sightings(simulator.uri, client));
  const during = all.filter(({ atMs }) => cycles.some(({ fromMs, toMs }) => atMs >= fromMs && atMs <= toMs));
  const chosen = name === 'idle' ? all.filter((each) => !during.includes(each)) : during;
  assert.ok(
    chosen.length >= LEAST_EVENTS,
    `${chosen.length} events in the phase "${name}" are too few to tell`,
  );
  rows.push(
    row(
      name === 'idle' ? `agent, idle` : `agent, in a cycle of ${VMS} VMs`,
      chosen.map((each) => each.latencyMs),
    ),
  );
  await client.close();
  await watcher.close();
  await agent.stop();
}
await simulator.stop();

report(
  'event-latency',
  'From libvirt’s event packet to the client’s message, beside the round trip of a bare ws echo',
  ['path', 'events', 'p50 ms', 'p99 ms', 'max ms', 'p50 / echo'],
  rows,
);
