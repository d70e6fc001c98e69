/**
 * Real QEMUs frozen by SIGSTOP: 1, 6 and 21 at once (one connection takes 4 calls, the daemon has 20 workers), between
 * the sampler's cycles and within them, beside six that are well. No healthy VM loses a sample, the frozen ones are told,
 * libvirtd stays usable for everybody, and what was frozen comes back.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { AgentProcess } from '../support/agent-process.js';
import {
  domstats,
  LIBVIRT_SOCKET,
  removeDomains,
  skipWithOthers,
  skipWithoutLibvirt,
  virsh,
} from '../support/real-libvirt.js';
import {
  assertPromiseKept,
  httpGet,
  samplingBegun,
  SHARD_DEADLINE_SEC,
  type SamplingWatch,
} from '../support/sampling-watch.js';
import { VmEvents } from '../support/vm-events.js';

const PREFIX = 'vdsm-agent-frozen-';
const ID_PREFIX = 'f02e0000-0000-4000-8000-';
const idOf = (index: number): string => `${ID_PREFIX}${String(index).padStart(12, '0')}`;
const nameOf = (index: number): string => `${PREFIX}${index}`;
const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, n) => from + n);

const HEALTHY = range(1, 6);
const FREEZABLE = range(7, 21);
const PERIOD_SEC = 2;
const SHARDS_IN_FLIGHT = 4;

/** 16 MiB, no disk, 45 MB of the host. */
const domain = (index: number): string => `
<domain type='kvm'>
  <name>${nameOf(index)}</name><uuid>${idOf(index)}</uuid><memory unit='MiB'>16</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices><memballoon model='virtio'/></devices>
</domain>`;

const pidOf = (index: number): number =>
  Number(readFileSync(`/run/libvirt/qemu/${nameOf(index)}.pid`, 'utf8'));

describe(
  'QEMUs that freeze',
  { skip: skipWithoutLibvirt() || skipWithOthers(PREFIX), timeout: 540_000 },
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'vdsm-agent-frozen-'));
    const socketPath = join(folder, 'agent.sock');
    const frozen = new Set<number>();
    let agent: AgentProcess;
    let events: VmEvents;

    before(async () => {
      await removeDomains(PREFIX);
      // The firmware of one that runs keeps a CPU busy: three of the healthy ones are enough.
      for (const index of [...HEALTHY, ...FREEZABLE]) {
        const path = join(folder, `${index}.xml`);
        writeFileSync(path, domain(index));
        await virsh(['create', path, ...(index <= 3 ? [] : ['--paused'])]);
      }
      agent = await AgentProcess.start([
        ...['--uri', `qemu+unix:///system?socket=${LIBVIRT_SOCKET}`],
        ...['--listen', `unix:${socketPath}`, '--period', String(PERIOD_SEC)],
      ]);
      events = await VmEvents.open(`unix:${socketPath}`);
      await samplingBegun(socketPath);
    });

    after(async () => {
      thaw([...frozen]);
      await events.client.close();
      await agent.stop();
      await removeDomains(PREFIX);
      rmSync(folder, { recursive: true });
    });

    function freeze(indexes: readonly number[]): void {
      for (const index of indexes) {
        process.kill(pidOf(index), 'SIGSTOP');
        frozen.add(index);
      }
    }

    function thaw(indexes: readonly number[]): void {
      for (const index of indexes) {
        process.kill(pidOf(index), 'SIGCONT');
        frozen.delete(index);
      }
    }

    const told = (indexes: readonly number[], monitorResponse: '0' | '-1'): Promise<unknown> =>
      Promise.all(indexes.map((index) => events.until(idOf(index), { monitorResponse })));

    async function thawed(indexes: readonly number[]): Promise<void> {
      thaw(indexes);
      await told(indexes, '0');
      for (const index of indexes) events.clear(idOf(index));
    }

    async function responses(): Promise<Map<string, unknown>> {
      const records = (await events.call('Host.getAllVmStats', {})) as Record<string, unknown>[];
      return new Map(records.map((record) => [String(record['vmId']), record['monitorResponse']]));
    }

    /** Runs `fault` under watch, and holds the sampler to its promise; whatever is frozen afterwards is thawed. */
    const promiseKept = (
      t: TestContext,
      fault: (watch: SamplingWatch, attempt: number) => Promise<void>,
    ): Promise<void> =>
      assertPromiseKept(t, {
        socketPath,
        periodSec: PERIOD_SEC,
        fault,
        restore: async (watch) => {
          thaw([...frozen]);
          while ((await watch.metric('sampler_quarantined_vms')) > 0) await watch.cycles(1);
          for (const index of [...HEALTHY, ...FREEZABLE]) events.clear(idOf(index));
        },
      });

    for (const count of [1, 6, 21]) {
      it(`cost no healthy VM a sample: ${count} at once, between cycles`, async (t) => {
        const victims = FREEZABLE.slice(0, count);
        await promiseKept(t, async (watch) => {
          const calm = (await watch.nextTickAt(PERIOD_SEC * 1000)) - performance.now() - 300;
          await delay(Math.max(0, calm));
          const quarantines = await watch.metric('sampler_quarantines_total');
          freeze(victims);
          await watch.within(PERIOD_SEC + SHARD_DEADLINE_SEC, 'until the last was told', told(victims, '-1'));
          await watch.cycles(2);
          assert.equal(await watch.metric('sampler_quarantined_vms'), count);
          assert.equal(await watch.metric('sampler_quarantines_total'), quarantines + count, 'each once');

          const answers = await responses();
          for (const index of victims) assert.equal(answers.get(idOf(index)), '-1');
          for (const index of HEALTHY) assert.equal(answers.get(idOf(index)), '0');
          const { problems } = await watch.health();
          for (const index of victims) {
            const problem = problems.find(({ what }) => what.includes(idOf(index)));
            assert.ok(problem?.what.includes(`(pid ${pidOf(index)}) is stopped`), JSON.stringify(problems));
          }
          assert.equal((await httpGet(socketPath, '/healthz')).status, 200);
          await thawed(victims);
        });
      });
    }

    it('cost no healthy VM a sample when it happens within a cycle, and few of its calls', async (t) => {
      await promiseKept(t, async (watch) => {
        for (const offsetMs of [0, 20, 70]) {
          const dueMs = (await watch.nextTickAt(PERIOD_SEC * 1000)) + offsetMs;
          await delay(Math.max(0, dueMs - performance.now()));
          freeze(FREEZABLE);
          await told(FREEZABLE, '-1');
          await watch.cycles(1);
          const stuck = await watch.metric('sampler_stuck_calls');
          t.diagnostic(`${offsetMs} ms after the beginning: ${stuck} calls hang`);
          assert.ok(stuck <= SHARDS_IN_FLIGHT, `${stuck} calls hang`);
          await thawed(FREEZABLE);
          // All of them answer now: nothing is left behind.
          while ((await watch.metric('sampler_stuck_calls')) > 0) await watch.cycles(1);
        }
      });
    });

    it('leave libvirtd to others, and verbs work on the healthy', async (t) => {
      await promiseKept(t, async (watch) => {
        freeze(FREEZABLE);
        await told(FREEZABLE, '-1');
        const [first, second] = [HEALTHY[0]!, HEALTHY[1]!];
        assert.ok((await domstats(nameOf(first))).has('cpu.time'));
        await virsh(['suspend', nameOf(first)]);
        await events.until(idOf(first), { status: 'Paused' });
        await virsh(['resume', nameOf(first)]);
        await events.call('VM.pause', { vmID: idOf(second) });
        await events.call('VM.cont', { vmID: idOf(second) });
        await watch.cycles(2);
        await thawed(FREEZABLE);
      });
    });

    it('still tell their CPU time, and are not asked again', async (t) => {
      const victim = HEALTHY[2]!;
      const stats = async (): Promise<Record<string, unknown>> =>
        ((await events.call('VM.getStats', { vmID: idOf(victim) })) as Record<string, unknown>[])[0]!;
      await promiseKept(t, async (watch) => {
        assert.notEqual((await stats())['cpuUser'], undefined);
        const before = await stats();
        freeze([victim]);
        await told([victim], '-1');
        const probes = await watch.metric('sampler_probes_total');
        let now = await stats();
        const used = (): number => Number(now['cpuUser']) + Number(now['cpuSys']);
        for (let cycle = 0; cycle < 10 && used() > 0; cycle++) {
          await watch.cycles(1);
          now = await stats();
        }
        assert.equal(used(), 0, 'it stands still');
        assert.equal(now['cpuActual'], true);
        assert.ok(Number(now['cpuUsage']) >= Number(before['cpuUsage']));
        assert.deepEqual(now['balloonInfo'], before['balloonInfo'], 'the rest is what it was');
        assert.equal(await watch.metric('sampler_probes_total'), probes);
        await thawed([victim]);
      });
    });

    it('can be destroyed', async (t) => {
      await promiseKept(t, async (_, attempt) => {
        const victim = FREEZABLE.at(-attempt)!;
        freeze([victim]);
        await told([victim], '-1');
        await events.call('VM.destroy', { vmID: idOf(victim) });
        frozen.delete(victim);
        assert.equal((await responses()).has(idOf(victim)), false);
      });
    });
  },
);
