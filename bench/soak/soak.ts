/**
 * The soak: faults of every kind arrive at random for an hour while 1,000 simulated VMs live. Shows, by kind of fault,
 * what it cost the healthy, beside a baseline that samples the same host as VDSM does; and whether memory grows.
 *
 *   npm run soak [-- [--minutes N] [--vms N] [--period SECONDS] [--seed N] [--quick]]
 *
 * Ends with exit code 1 where a healthy VM lost a sample, a transition was lost, or a table differs from the truth.
 */
import { Command } from 'commander';
import { machineLine, table } from '../report.js';
import { rssMb } from '../support/programs.js';
import { faults } from './faults.js';
import type { Fault } from './faults.js';
import { World } from './world.js';

const { minutes, vms, period, seed, quick } = new Command()
  .name('soak')
  .option('--minutes <n>', 'how long', Number, 60)
  .option('--vms <n>', 'simulated VMs', Number, 1000)
  .option('--period <seconds>', 'sampling period', Number, 5)
  .option('--seed <n>', 'same seed, same order of faults', Number, Date.now() % 1_000_000)
  .option('--quick', 'each fault once, with 60 VMs')
  .parse()
  .opts<{ minutes: number; vms: number; period: number; seed: number; quick?: true }>();

interface Tally {
  times: number;
  lost: number;
  worstAgeMs: number;
  detectedSec: number;
  recoveredSec: number;
  stallMs: number;
  rss: number;
  lostTransitions: string[];
  baselineLost: number;
}

const world = new World({ vms: quick ? 60 : vms, periodSec: quick ? 2 : period, seed });
const tallies = new Map<string, Tally>();
const memory: { readonly minute: number; readonly mb: number }[] = [];
const failures: string[] = [];

/** The worst of the agent's own account since the last time, from the upper bounds of its histogram. */
class Stalls {
  #before = new Map<number, number>();

  async worstMs(): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${world.port}/metrics`)).text();
    const counts = [...text.matchAll(/event_loop_stall_seconds_bucket\{le="([\d.]+)"\} (\d+)/g)];
    const total = Number(/event_loop_stall_seconds_count (\d+)/.exec(text)?.[1] ?? 0);
    const now = new Map(counts.map(([, bound, count]) => [Number(bound), Number(count)]));
    const news = total - (this.#before.get(Infinity) ?? 0);
    const within = [...now].find(([bound, count]) => count - (this.#before.get(bound) ?? 0) >= news);
    this.#before = now.set(Infinity, total);
    return news === 0 ? 0 : (within?.[0] ?? 30) * 1000;
  }
}

async function inject(fault: Fault, stalls: Stalls): Promise<void> {
  const { witness, baseline, ledger, direct, relayed } = world;
  const tally = tallies.get(fault.name) ?? {
    times: 0,
    lost: 0,
    worstAgeMs: 0,
    detectedSec: 0,
    recoveredSec: 0,
    stallMs: 0,
    rss: 0,
    lostTransitions: [],
    baselineLost: 0,
  };
  tallies.set(fault.name, tally);
  const [lost, baselineLost] = [witness.lost, baseline.lost];
  witness.worstAgeMs = 0;
  // Where events cannot come (no daemon, lies), only the table is compared.
  const counted = fault.name.startsWith('libvirtd')
    ? []
    : [direct, relayed].map((engine) => ({ engine, mark: ledger.mark(engine) }));
  const life = setInterval(() => {
    if (counted.length > 0) ledger.change(world.random);
  }, 100);
  try {
    const { detectedSec = 0, recoveredSec = 0 } = await fault.run(world);
    tally.detectedSec = Math.max(tally.detectedSec, detectedSec);
    tally.recoveredSec = Math.max(tally.recoveredSec, recoveredSec);
  } catch (error) {
    failures.push(`${fault.name}: ${(error as Error).message}`);
  } finally {
    clearInterval(life);
  }
  await world.rest(world.options.periodSec * 1000);
  for (const engine of [direct, relayed]) {
    await engine
      .untilEquals(world.truth, 60_000)
      .catch((error: unknown) => failures.push(`${fault.name}: ${String(error)}`));
    failures.push(...engine.faults.splice(0).map((each) => `${fault.name}: ${each}`));
  }
  for (const { engine, mark } of counted) tally.lostTransitions.push(...ledger.lost(engine, mark));
  tally.times++;
  tally.lost += witness.lost - lost;
  tally.worstAgeMs = Math.max(tally.worstAgeMs, witness.worstAgeMs);
  tally.stallMs = Math.max(tally.stallMs, await stalls.worstMs());
  tally.rss = Math.max(tally.rss, rssMb(world.agent.pid));
  tally.baselineLost += baseline.lost - baselineLost;
}

/** MB per hour, by least squares over all but the first tenth. */
function slope(): number {
  const points = memory.slice(Math.floor(memory.length / 10));
  const mean = (pick: (point: (typeof points)[number]) => number): number =>
    points.reduce((sum, point) => sum + pick(point), 0) / points.length;
  const [minute, mb] = [mean((point) => point.minute), mean((point) => point.mb)];
  const over = points.reduce((sum, point) => sum + (point.minute - minute) * (point.mb - mb), 0);
  const under = points.reduce((sum, point) => sum + (point.minute - minute) ** 2, 0);
  return under === 0 ? 0 : (over / under) * 60;
}

await world.start();
await world.rest(4 * world.options.periodSec * 1000);
const begunMs = performance.now();
const elapsedMin = (): number => (performance.now() - begunMs) / 60_000;
const baseRss = rssMb(world.agent.pid);
const watch = setInterval(
  () => memory.push({ minute: elapsedMin(), mb: rssMb(world.agent.pid) }),
  quick ? 1000 : 10_000,
);
const stalls = new Stalls();
process.stdout.write(
  `${machineLine()}; ${world.options.vms} VMs, period ${world.options.periodSec} s, seed ${seed}\n`,
);
const queue = quick ? [...faults] : [];
for (;;) {
  const fault = quick ? queue.shift() : elapsedMin() < minutes ? world.random.pick(faults) : undefined;
  if (!fault) break;
  process.stdout.write(`${elapsedMin().toFixed(1).padStart(6)} min  ${fault.name}\n`);
  await inject(fault, stalls);
  if (!quick) await world.rest(world.random.between(1000, 5000));
}
clearInterval(watch);

const head = [
  'fault',
  'times',
  'lost samples',
  'worst age s',
  'noticed s',
  'over s',
  'worst stall ms',
  'RSS over base MB',
  'lost transitions',
  'baseline lost',
];
const rows = [...tallies].map(([name, each]) => [
  name,
  each.times,
  each.lost,
  (each.worstAgeMs / 1000).toFixed(1),
  each.detectedSec.toFixed(1),
  each.recoveredSec.toFixed(1),
  each.stallMs.toFixed(0),
  (each.rss - baseRss).toFixed(0),
  each.lostTransitions.length,
  each.baselineLost,
]);
const { witness, baseline, ledger } = world;
process.stdout.write(`\n${table(head, rows)}\n\n`);
process.stdout.write(
  [
    `${witness.samples} samples of healthy VMs seen, ${witness.lost} lost; baseline: ${baseline.samples}, ${baseline.lost} lost`,
    `${ledger.changes} changes of VMs, ${[...tallies.values()].reduce((sum, each) => sum + each.lostTransitions.length, 0)} VMs with a lost transition`,
    `RSS ${baseRss.toFixed(0)} MB at the beginning, slope ${slope().toFixed(1)} MB an hour over ${elapsedMin().toFixed(0)} minutes`,
    '',
  ].join('\n'),
);
for (const { lostTransitions } of tallies.values()) failures.push(...lostTransitions.slice(0, 5));
if (witness.lost > 0) failures.push(`${witness.lost} samples of healthy VMs were lost`);
await world.stop();
for (const failure of failures) process.stderr.write(`FAILED: ${failure}\n`);
process.exitCode = failures.length > 0 ? 1 : 0;
