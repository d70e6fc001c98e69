/**
 * Does anything stay behind of VMs that come and go? Memory, open files, metric series and VMs of the agent after
 * cycles of VM.create, running, VM.destroy, beside the same figures after the first cycles (which fill caches and pools).
 * Fails where files, series or VMs are left; memory is shown with its slope.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { quick, report } from './report.js';
import {
  agentOn,
  benchVms,
  metricsText,
  missingLibvirt,
  realUri,
  removeAll,
  whenRunning,
} from './support/lives.js';
import type { AgentUnderTest, BenchVm } from './support/lives.js';
import { rssMb, startSimulator } from './support/programs.js';

/** Labels that are met for the first time: lanes, results, statuses. */
const MAX_NEW_SERIES = 40;

interface Standing {
  readonly rss: number;
  readonly files: number;
  readonly series: readonly string[];
  readonly vms: number;
}

async function standing({ agent, client }: AgentUnderTest): Promise<Standing> {
  return {
    rss: rssMb(agent.pid),
    files: readdirSync(`/proc/${agent.pid}/fd`).length,
    series: (await metricsText(agent))
      .split('\n')
      .filter((line) => line.startsWith('vdsm_agent_'))
      .map((line) => line.slice(0, line.lastIndexOf(' '))),
    vms: (await client.call('Agent.getHealth', {})).vms,
  };
}

/** Creates all, waits until they run, destroys all. */
async function cycle({ client }: AgentUnderTest, vms: readonly BenchVm[]): Promise<void> {
  const arrived = whenRunning(
    client,
    vms.map(({ id }) => id),
  );
  await Promise.all(vms.map(({ id, xml }) => client.call('VM.create', { vmID: id, vmParams: { xml } })));
  await arrived;
  await Promise.all(vms.map(({ id }) => client.call('VM.destroy', { vmID: id })));
}

/** @param lives of VMs: a cycle has as many as there are VMs */
async function churn(label: string, uri: string, vms: readonly BenchVm[], lives: number): Promise<string[]> {
  await removeAll(uri, vms);
  const underTest = await agentOn(uri, { periodSec: 2 });
  try {
    const cycles = Math.ceil(lives / vms.length);
    const warmUp = Math.max(2, Math.floor(cycles / 4));
    for (let done = 0; done < warmUp; done++) await cycle(underTest, vms);
    const before = await standing(underTest);
    for (let done = 0; done < cycles; done++) await cycle(underTest, vms);
    const after = await standing(underTest);
    assert.equal(after.vms, before.vms, 'VMs are left in the registry');
    // A label may be met for the first time (a status, a result); what is left of a VM would name it.
    const left = after.series.filter((series) =>
      vms.some(({ id, name }) => series.includes(id) || series.includes(name)),
    );
    assert.deepEqual(left, [], 'metric series of VMs are left');
    const grown = after.series.filter((series) => !before.series.includes(series));
    assert.ok(grown.length <= MAX_NEW_SERIES, `new metric series: ${grown.join(' ')}`);
    // A lane opens up to three connections, when it first needs them.
    assert.ok(after.files <= before.files + 3, `open files: ${before.files} before, ${after.files} after`);
    const grownKb = (after.rss - before.rss) * 1000;
    return [
      label,
      String(cycles * vms.length),
      `${before.rss.toFixed(1)} -> ${after.rss.toFixed(1)}`,
      `${(after.rss / before.rss).toFixed(2)}x`,
      (grownKb / (cycles * vms.length)).toFixed(1),
      `${before.files} -> ${after.files}`,
      `${before.series.length} -> ${after.series.length}`,
      `${before.vms} -> ${after.vms}`,
    ];
  } finally {
    await underTest.stop();
    await removeAll(uri, vms);
  }
}

const rows: string[][] = [];
const simulator = await startSimulator(0);
rows.push(await churn('simulated', simulator.uri, benchVms(20, false), quick ? 60 : 1000));
await simulator.stop();
const missing = missingLibvirt();
if (missing === undefined) rows.push(await churn('QEMU', realUri, benchVms(5, true), quick ? 5 : 50));
else process.stdout.write(`${missing}\n`);

report(
  'churn',
  'What VMs that come and go leave in the agent',
  ['domains', 'lives', 'RSS MB', 'ratio', 'KB a life', 'open files', 'metric series', 'VMs'],
  rows,
);
