/**
 * CPU and longest event-loop stall of one sampling cycle, beside the naive way: an object per VM with a member per
 * parameter, and the answer stringified anew for each reader. Both ask the same simulated daemon over the same protocol,
 * each in a process of its own; both are checked for having a fresh record of every VM.
 *
 * A stall is the longest interval that a delay monitor of 1 ms saw, so even an idle process shows 1-2 ms, and more where
 * the machine is busy. Hence this process, which idles during the cycles, measures its own as the bare limit, and the
 * times are given that a core was taken away.
 */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { CycleFigures } from './clients/sampling.js';
import { percentile, quick, report } from './report.js';
import { startSimulator } from './support/programs.js';

const SIZES = quick ? [70, 1000] : [70, 500, 1000, 6000];
const CYCLES = quick ? 3 : 10;
/** Cycles before measuring: code is compiled, layouts are known, both samples are there. */
const WARM_UP = quick ? 2 : 4;
const PERIOD_MS = 15_000;
const WAYS = ['agent', 'naive'] as const;

interface Figures extends CycleFigures {
  /** Of this process, which idled meanwhile. */
  readonly bareMs: number;
}

async function sample(way: (typeof WAYS)[number], uri: string): Promise<Figures[]> {
  const program = join(import.meta.dirname, 'clients/sampling.js');
  const child = fork(program, [way, uri, String(WARM_UP), String(CYCLES)]);
  const exited = once(child, 'exit');
  const figures: Figures[] = [];
  const delays = monitorEventLoopDelay({ resolution: 1 });
  child.on('message', (message: 'ready' | CycleFigures) => {
    if (message === 'ready') {
      delays.enable();
      delays.reset();
      child.send('go');
    } else {
      delays.disable();
      figures.push({ ...message, bareMs: delays.max / 1e6 });
    }
  });
  const [code] = (await exited) as [number | null];
  assert.equal(code, 0);
  assert.equal(figures.length, CYCLES);
  return figures;
}

const rows: (string | number)[][] = [];
for (const size of SIZES) {
  const simulator = await startSimulator(size);
  let agentCpuMs = 0;
  for (const way of WAYS) {
    const figures = await sample(way, simulator.uri);
    const at = (key: keyof Figures, p: number): number =>
      percentile(
        figures.map((figure) => figure[key]),
        p,
      );
    const cpuMs = at('cpuMs', 50);
    if (way === 'agent') agentCpuMs = cpuMs;
    rows.push([
      size,
      way,
      cpuMs.toFixed(1),
      ((cpuMs * 1000) / size).toFixed(1),
      `${((cpuMs / PERIOD_MS) * 100).toFixed(2)} %`,
      at('stallMs', 50).toFixed(1),
      at('stallMs', 100).toFixed(1),
      at('bareMs', 50).toFixed(1),
      at('bareMs', 100).toFixed(1),
      at('preemptions', 50),
      at('wallMs', 50).toFixed(0),
      (at('answerBytes', 50) / 1024).toFixed(0),
      way === 'agent' ? '' : `${(cpuMs / agentCpuMs).toFixed(1)}x`,
    ]);
  }
  await simulator.stop();
}
report(
  'tick',
  `What does one sampling cycle cost the agent? (${CYCLES} cycles; core share at a period of 15 s; medians, and the worst)`,
  [
    'VMs',
    'way',
    'CPU ms',
    'us per VM',
    'of a core',
    'stall ms',
    'worst',
    'bare ms',
    'worst',
    'preempted',
    'wall ms',
    'answer KiB',
    'CPU naive / agent',
  ],
  rows,
);
