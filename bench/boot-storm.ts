/**
 * How long until many VMs that are created at once all run, by how many the agent starts at a time, beside virsh doing
 * the same work (define and start) one by one and in parallel?
 *
 * 20 empty domains of real QEMU, and 500 simulated ones whose starts take as long as QEMU's. A VM's time is from the
 * first request to the event (virsh: the end of its process) that says that it runs. "unlimited" is a place for each.
 */
import { quick, report } from './report.js';
import {
  agentOn,
  benchVms,
  metric,
  missingLibvirt,
  realUri,
  removeAll,
  virsh,
  whenRunning,
  XmlFiles,
} from './support/lives.js';
import type { BenchVm } from './support/lives.js';
import { startSimulator } from './support/programs.js';

const REAL = quick ? 4 : 20;
const SIMULATED = quick ? 40 : 500;
const PLACES = quick ? [4] : [1, 2, 4, 8, 16, Infinity];
/** Of real storms; simulated ones differ little from each other. `--once` for a quick look. */
const REPEATS = quick || process.argv.includes('--once') ? 1 : 3;
/** Of a simulated start, ms: what an empty QEMU takes to come up on an idle host. */
const SIMULATED_START_MS = 250;

/** Milliseconds from the beginning of the storm until each VM ran. */
interface Storm {
  readonly timesMs: readonly number[];
  /** Spent waiting for a place, all VMs together. */
  readonly waitedSec?: number;
}

async function byAgent(uri: string, vms: readonly BenchVm[], places: number): Promise<Storm> {
  const parallelStarts = Math.min(places, vms.length);
  const { agent, client, stop } = await agentOn(uri, { parallelStarts, periodSec: 15 });
  try {
    const arrived = whenRunning(
      client,
      vms.map(({ id }) => id),
    );
    const begunMs = performance.now();
    await Promise.all(vms.map(({ id, xml }) => client.call('VM.create', { vmID: id, vmParams: { xml } })));
    const at = await arrived;
    const waitedSec = await metric(agent, 'vm_start_wait_seconds_sum');
    return { timesMs: [...at.values()].map((ms) => ms - begunMs), waitedSec };
  } finally {
    await stop();
  }
}

async function byVirsh(uri: string, vms: readonly BenchVm[], width: number): Promise<Storm> {
  const files = new XmlFiles(vms);
  const timesMs: number[] = [];
  const begunMs = performance.now();
  const queue = [...vms];
  const worker = async (): Promise<void> => {
    for (let vm = queue.shift(); vm; vm = queue.shift()) {
      await virsh(uri, `define ${files.pathOf(vm)}`, `start ${vm.name}`);
      timesMs.push(performance.now() - begunMs);
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(width, vms.length) }, worker));
  } finally {
    files.remove();
  }
  return { timesMs };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const worst = ({ timesMs }: Storm): number => Math.max(...timesMs);

/** The repeat whose last VM ran in the median time. */
async function median(uri: string, vms: readonly BenchVm[], storm: () => Promise<Storm>): Promise<Storm> {
  const storms: Storm[] = [];
  const repeats = uri === realUri ? REPEATS : 1;
  for (let repeat = 0; repeat < repeats; repeat++) {
    storms.push(await storm());
    await removeAll(uri, vms);
  }
  return storms.sort((a, b) => worst(a) - worst(b))[Math.floor(repeats / 2)]!;
}

async function compare(
  label: string,
  uri: string,
  vms: readonly BenchVm[],
  virshWidth: number,
): Promise<string[][]> {
  await removeAll(uri, vms);
  // The daemon's and QEMU's first start is slower than all others.
  await byVirsh(uri, vms.slice(0, 1), 1);
  await removeAll(uri, vms);
  const ways: [string, () => Promise<Storm>][] = [
    ...(vms.length <= REAL
      ? [['virsh, one by one', () => byVirsh(uri, vms, 1)] as [string, () => Promise<Storm>]]
      : []),
    [`virsh, ${virshWidth} at a time`, () => byVirsh(uri, vms, virshWidth)],
    ...PLACES.map((places): [string, () => Promise<Storm>] => [
      `agent, ${Number.isFinite(places) ? places : 'unlimited'}`,
      () => byAgent(uri, vms, places),
    ]),
  ];
  const rows: string[][] = [];
  let peerMs = NaN;
  for (const [way, storm] of ways) {
    const result = await median(uri, vms, storm);
    if (way.startsWith('virsh')) peerMs = worst(result);
    const seconds = (ms: number): string => (ms / 1000).toFixed(2);
    rows.push([
      label,
      way,
      seconds(worst(result)),
      `${(worst(result) / peerMs).toFixed(2)}x`,
      seconds(Math.min(...result.timesMs)),
      seconds(sum(result.timesMs) / result.timesMs.length),
      result.waitedSec === undefined ? '-' : result.waitedSec.toFixed(1),
    ]);
    process.stderr.write(`  ${rows.at(-1)?.join('  ') ?? ''}\n`);
  }
  return rows;
}

const rows: string[][] = [];
const missing = missingLibvirt();
if (missing === undefined) {
  const vms = benchVms(REAL, true);
  rows.push(...(await compare(`${REAL} QEMU`, realUri, vms, REAL)));
} else {
  process.stdout.write(`${missing}\n`);
}
const simulator = await startSimulator(0, ['--start-ms', String(SIMULATED_START_MS)]);
const simulated = benchVms(SIMULATED, false);
rows.push(...(await compare(`${SIMULATED} simulated`, simulator.uri, simulated, 16)));
await simulator.stop();

report(
  'boot-storm',
  'Seconds until all VMs run, by the number that is started at a time; the ratio is to virsh in parallel',
  ['VMs', 'started by', 'all run, s', 'to virsh', 'best, s', 'mean, s', 'waited in all, s'],
  rows,
);
