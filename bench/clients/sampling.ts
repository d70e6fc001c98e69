/**
 * One way of sampling in a process of its own: `sampling.js agent|naive URI WARM_UP CYCLES`, forked with a channel. Says
 * 'ready' before each cycle and waits for 'go'; sends the cycle's figures after it. Ends when all records were checked,
 * or with its parent.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { agentWay, pause, type Way } from '../support/agent-way.js';
import { naiveWay } from '../support/naive-way.js';

/** Of one cycle. */
export interface CycleFigures {
  /** All threads of the process. */
  readonly cpuMs: number;
  readonly wallMs: number;
  /** As the delay monitor tells it, with its own interval of 1 ms. */
  readonly stallMs: number;
  /** How often the machine took a core away. */
  readonly preemptions: number;
  readonly answerBytes: number;
}

async function measure(way: Way): Promise<CycleFigures> {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  process.send!('ready');
  await once(process, 'message');
  delays.enable();
  await pause(10);
  delays.reset();
  const before = process.resourceUsage();
  const startMs = performance.now();
  await way.cycle();
  const after = process.resourceUsage();
  const wallMs = performance.now() - startMs;
  await pause(10);
  delays.disable();
  return {
    cpuMs: (after.userCPUTime + after.systemCPUTime - before.userCPUTime - before.systemCPUTime) / 1000,
    wallMs,
    stallMs: delays.max / 1e6,
    preemptions: after.involuntaryContextSwitches - before.involuntaryContextSwitches,
    answerBytes: 0,
  };
}

/** Every VM has a record with figures of two samples. */
function check({ vms }: Way, text: string): void {
  const records = JSON.parse(text) as Record<string, unknown>[];
  assert.deepEqual(new Set(records.map((record) => record['vmId'])), new Set(vms.keys()));
  for (const record of records) {
    for (const key of ['network', 'disks', 'vcpuCount', 'memoryStats'])
      assert.ok(key in record, `${key} of ${String(record['vmId'])}`);
    assert.equal(record['cpuActual'], true);
  }
}

process.once('disconnect', () => process.exit());
const [name, uri = '', warmUp = '0', cycles = '0'] = process.argv.slice(2);
const agent = await agentWay(uri);
let way = agent;
if (name === 'naive') {
  way = await naiveWay(uri, agent.vms);
  await agent.stop();
}
for (let n = 0; n < Number(warmUp); n++) await way.cycle();
for (let n = 0; n < Number(cycles); n++) {
  const figures = await measure(way);
  process.send!({ ...figures, answerBytes: way.read() });
}
check(way, way.answer());
await way.stop();
process.disconnect();
