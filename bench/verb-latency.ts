/**
 * What does the agent add to a verb? Round trips of pause and cont through the agent, beside the bare libvirt call on
 * the same daemon and beside virsh (a process per command, as scripts use it).
 */
import { VdsmClient } from '../src/client/client.js';
import { LibvirtClient } from '../src/libvirt/client.js';
import { percentile, quick, report } from './report.js';
import { agentOn, benchVms, missingLibvirt, realUri, removeAll, virsh, XmlFiles } from './support/lives.js';
import type { BenchVm } from './support/lives.js';
import { startSimulator } from './support/programs.js';

const PAIRS = quick ? 5 : 200;
const VIRSH_PAIRS = quick ? 2 : 20;

type Verb = () => Promise<unknown>;

/** Times of single verbs, ms: a pair is two. */
async function timed(pairs: number, suspend: Verb, resume: Verb): Promise<number[]> {
  const times: number[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    for (const verb of [suspend, resume]) {
      const begunMs = performance.now();
      await verb();
      times.push(performance.now() - begunMs);
    }
  }
  return times;
}

async function bare(uri: string, { name }: BenchVm): Promise<number[]> {
  const libvirt = await LibvirtClient.connect(uri);
  const { dom } = await libvirt.call('DOMAIN_LOOKUP_BY_NAME', { name });
  const times = await timed(
    PAIRS,
    () => libvirt.call('DOMAIN_SUSPEND', { dom }),
    () => libvirt.call('DOMAIN_RESUME', { dom }),
  );
  await libvirt.close();
  return times;
}

async function throughAgent(client: VdsmClient, { id }: BenchVm): Promise<number[]> {
  return timed(
    PAIRS,
    () => client.call('VM.pause', { vmID: id }),
    () => client.call('VM.cont', { vmID: id }),
  );
}

async function compare(label: string, uri: string): Promise<string[][]> {
  const vms = benchVms(1, uri === realUri);
  const vm = vms[0]!;
  await removeAll(uri, vms);
  const files = new XmlFiles(vms);
  await virsh(uri, `define ${files.pathOf(vm)}`, `start ${vm.name}`);
  const { client, stop } = await agentOn(uri, { periodSec: 300 });
  try {
    // In turns, so that whatever else the machine does strikes all of them alike.
    const [calls, verbs]: [number[], number[]] = [[], []];
    for (let round = 0; round < 3; round++) {
      calls.push(...(await bare(uri, vm)));
      verbs.push(...(await throughAgent(client, vm)));
    }
    const shell = await timed(
      VIRSH_PAIRS,
      () => virsh(uri, `suspend ${vm.name}`),
      () => virsh(uri, `resume ${vm.name}`),
    );
    const base = percentile(calls, 50);
    return [['bare libvirt call', calls] as const, ['agent', verbs] as const, ['virsh', shell] as const].map(
      ([way, times]) => [
        label,
        way,
        percentile(times, 50).toFixed(2),
        percentile(times, 99).toFixed(2),
        `${(percentile(times, 50) / base).toFixed(2)}x`,
        (percentile(times, 50) - base).toFixed(2),
      ],
    );
  } finally {
    await stop();
    files.remove();
    await removeAll(uri, vms);
  }
}

const rows: string[][] = [];
const missing = missingLibvirt();
if (missing === undefined) rows.push(...(await compare('QEMU', realUri)));
else process.stdout.write(`${missing}\n`);
const simulator = await startSimulator(0);
rows.push(...(await compare('simulated', simulator.uri)));
await simulator.stop();

report(
  'verb-latency',
  'Round trip of pause and cont, ms: through the agent, by a bare libvirt call, by virsh',
  ['domain', 'by', 'p50 ms', 'p99 ms', 'to bare call', 'added, p50 ms'],
  rows,
);
