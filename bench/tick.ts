/**
 * CPU and longest event-loop stall of one sampling cycle, beside the naive way: an object per VM with a member per
 * parameter, and the answer stringified anew for each reader. Both ask the same simulated daemon, a process of its own,
 * over the same protocol; both are checked for having a fresh record of every VM.
 *
 * The naive way is given one reader per cycle, and neither event handling nor protection from stuck guests.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { DomainDescription } from '../src/domain/devices.js';
import type { VmId } from '../src/domain/ids.js';
import { configurationBlock, guestBlock, runningBlock, statusBlock } from '../src/domain/vm-record.js';
import { defaultGuest, type Vm, type VmSource } from '../src/domain/vm.js';
import { LibvirtClient, type DomainHandle, type DomainStats } from '../src/libvirt/client.js';
import { LibvirtHypervisor } from '../src/libvirt/driver.js';
import { parseLibvirtUri } from '../src/libvirt/uri.js';
import { Sampler } from '../src/sampler/sampler.js';
import { silentLogger } from '../src/util/log.js';
import { createMetrics } from '../src/util/metrics.js';
import { engineTime, systemClock, type Clock } from '../src/util/time.js';
import { percentile, quick, report } from './report.js';

const SIZES = quick ? [70, 1000] : [70, 500, 1000, 6000];
const CYCLES = quick ? 3 : 8;
/** Cycles before measuring: code is compiled, layouts are known, both samples are there. */
const WARM_UP = quick ? 2 : 4;
const PERIOD_MS = 15_000;

interface Figures {
  readonly cpuMs: number;
  readonly wallMs: number;
  readonly stallMs: number;
}

/** One way of sampling: a cycle, and the answer that a reader would get after it. */
interface Way {
  cycle(): Promise<void>;
  answer(): string;
  stop(): Promise<void>;
}

async function startSimulator(domains: number): Promise<{ uri: string; stop: () => Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'vdsm-agent-tick-'));
  const socket = join(folder, 'libvirt-sock');
  const program = join(import.meta.dirname, '../src/simulator/process.js');
  const child = spawn(
    process.execPath,
    [program, '--domains', String(domains), '--socket', socket, '--with-parent'],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', () => resolve());
    child.once('exit', (code) => reject(new Error(`the simulator ended with ${String(code)}`)));
  });
  return {
    uri: `qemu+unix:///system?socket=${socket}`,
    stop: async () => {
      child.stdin.end();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function runningVm(domain: DomainDescription): Vm {
  return {
    id: domain.id,
    name: domain.name,
    internal: 'Up',
    cpuRunning: true,
    status: 'Up',
    domain,
    startedAtMs: Date.now(),
    clientIp: '',
    clientPort: '',
    timeOffsetSec: 0,
    monitorResponsive: true,
    guest: defaultGuest,
    external: false,
  };
}

async function ourWay(uri: string): Promise<{ way: Way; vms: ReadonlyMap<VmId, Vm> }> {
  let tick = (): void => undefined;
  const clock: Clock = {
    ...systemClock,
    every: (_, callback) => {
      tick = callback;
      return () => undefined;
    },
  };
  const metrics = createMetrics();
  const hypervisor = new LibvirtHypervisor({
    target: parseLibvirtUri(uri, {}),
    clock: systemClock,
    log: silentLogger,
    metrics,
  });
  await hypervisor.start(new AbortController().signal);
  while (hypervisor.status.state !== 'open') await pause(5);
  const refs = await hypervisor.listDomains();
  const domains = await hypervisor.describeMany(refs.map(({ id }) => id));
  const vms = new Map(domains.map((domain) => [domain.id, runningVm(domain)]));
  const source: VmSource = {
    get: (id) => vms.get(id),
    all: () => vms.values(),
    size: vms.size,
    onChange: () => () => undefined,
  };
  const sampler = new Sampler({
    hypervisor,
    vms: source,
    clock,
    log: silentLogger,
    metrics,
    periodMs: PERIOD_MS,
    onMonitorHealth: (id) => assert.fail(`VM ${id} was found unresponsive`),
  });
  const finished = async (before: number | undefined): Promise<void> => {
    while (sampler.snapshot.sampledAtMs === before) await pause(2);
  };
  await sampler.start();
  await finished(undefined);
  const way: Way = {
    cycle: async () => {
      const before = sampler.snapshot.sampledAtMs;
      tick();
      await finished(before);
    },
    answer: () => Buffer.concat([...sampler.snapshot.pages()]).toString(),
    stop: async () => {
      await sampler.stop();
      await hypervisor.stop();
    },
  };
  return { way, vms };
}

async function naiveWay(uri: string, vms: ReadonlyMap<VmId, Vm>): Promise<Way> {
  const client = await LibvirtClient.connect(uri);
  const { domains } = await client.call('CONNECT_LIST_ALL_DOMAINS', { needResults: 1, flags: 1 });
  const handles: readonly DomainHandle[] = domains;
  let samples: Map<string, DomainStats['stats']>[] = [];
  let stamps: number[] = [];
  let text = '';
  return {
    cycle: async () => {
      const stampMs = systemClock.nowMs();
      const batch = new Map<string, DomainStats['stats']>();
      // An answer cannot hold more.
      for (let from = 0; from < handles.length; from += 2000) {
        const doms = handles.slice(from, from + 2000);
        const records = await client.getAllDomainStatsObjects({ groups: 63, doms }, { deadlineMs: 30_000 });
        for (const { dom, stats } of records) batch.set(dom.name, stats);
      }
      samples = [...samples.slice(-1), batch];
      stamps = [...stamps.slice(-1), stampMs];
      const [first, last] = samples;
      const seconds = ((stamps[1] ?? 0) - (stamps[0] ?? 0)) / 1000;
      const records = [...vms.values()].map((vm) =>
        naiveRecord(vm, first?.get(vm.name), last?.get(vm.name), seconds),
      );
      text = JSON.stringify(records);
    },
    answer: () => text,
    stop: () => client.close(),
  };
}

type Sample = DomainStats['stats'] | undefined;

function naiveRecord(vm: Vm, first: Sample, last: Sample, seconds: number): object {
  const base = {
    statusTime: String(engineTime(systemClock.nowMs())),
    ...statusBlock(vm),
    ...configurationBlock(vm),
    ...runningBlock(vm, Date.now()),
    ...guestBlock(vm),
  };
  if (!first || !last) return base;
  const now = (field: string): number => Number(last[field]);
  const delta = (field: string): number => now(field) - Number(first[field]);
  const text = (field: string): string => String(last[field]);
  const overhead = delta('cpu.user') + delta('cpu.system');
  const latency = (prefix: string): string =>
    delta(`${prefix}.reqs`) > 0 ? String(delta(`${prefix}.times`) / delta(`${prefix}.reqs`)) : '0';
  const nics = (vm.domain?.nics ?? []).map((nic, n) => [
    nic.target,
    {
      macAddr: nic.mac,
      name: nic.target,
      speed: '1000',
      state: 'unknown',
      rx: text(`net.${n}.rx.bytes`),
      tx: text(`net.${n}.tx.bytes`),
      rxErrors: text(`net.${n}.rx.errs`),
      rxDropped: text(`net.${n}.rx.drop`),
      txErrors: text(`net.${n}.tx.errs`),
      txDropped: text(`net.${n}.tx.drop`),
      sampleTime: systemClock.nowMs() / 1000,
    },
  ]);
  const disks = (vm.domain?.disks ?? []).map((disk, n) => [
    disk.target,
    {
      imageID: disk.imageId,
      truesize: text(`block.${n}.physical`),
      apparentsize: text(`block.${n}.capacity`),
      readRate: String(delta(`block.${n}.rd.bytes`) / seconds),
      writeRate: String(delta(`block.${n}.wr.bytes`) / seconds),
      readLatency: latency(`block.${n}.rd`),
      writeLatency: latency(`block.${n}.wr`),
      flushLatency: latency(`block.${n}.fl`),
      readOps: text(`block.${n}.rd.reqs`),
      writeOps: text(`block.${n}.wr.reqs`),
      readBytes: text(`block.${n}.rd.bytes`),
      writtenBytes: text(`block.${n}.wr.bytes`),
    },
  ]);
  return {
    ...base,
    cpuUser: ((delta('cpu.time') - overhead) / seconds / 1e7).toFixed(2),
    cpuSys: (overhead / seconds / 1e7).toFixed(2),
    cpuUsage: String(now('cpu.user') + now('cpu.system')),
    cpuActual: true,
    vcpuCount: text('vcpu.current'),
    balloonInfo: { balloon_cur: text('balloon.current'), balloon_max: String(vm.domain?.memoryKiB) },
    memoryStats: {
      mem_total: text('balloon.available'),
      mem_unused: text('balloon.unused'),
      mem_free: String(now('balloon.unused') + now('balloon.disk_caches')),
      swap_in: Math.round(delta('balloon.swap_in') / seconds),
      swap_out: Math.round(delta('balloon.swap_out') / seconds),
      majflt: Math.round(delta('balloon.major_fault') / seconds),
      minflt: Math.round(delta('balloon.minor_fault') / seconds),
    },
    network: Object.fromEntries(nics) as object,
    disks: Object.fromEntries(disks) as object,
  };
}

/** Medians of several cycles; the stall includes garbage collection and other programs' claims on the cores. */
async function measure(way: Way): Promise<Figures> {
  for (let n = 0; n < WARM_UP; n++) await way.cycle();
  const figures: Figures[] = [];
  const delays = monitorEventLoopDelay({ resolution: 1 });
  for (let n = 0; n < CYCLES; n++) {
    await pause(20);
    delays.enable();
    await pause(5);
    delays.reset();
    const cpu = process.cpuUsage();
    const start = systemClock.nowMs();
    await way.cycle();
    const { user, system } = process.cpuUsage(cpu);
    const wallMs = systemClock.nowMs() - start;
    await pause(5);
    delays.disable();
    figures.push({ cpuMs: (user + system) / 1000, wallMs, stallMs: Math.max(0, delays.max / 1e6 - 1) });
  }
  const median = (key: keyof Figures): number =>
    percentile(
      figures.map((figure) => figure[key]),
      50,
    );
  return { cpuMs: median('cpuMs'), wallMs: median('wallMs'), stallMs: median('stallMs') };
}

/** Every VM has a record with figures of two samples. */
function check(way: Way, vms: ReadonlyMap<VmId, Vm>): void {
  const records = JSON.parse(way.answer()) as Record<string, unknown>[];
  assert.deepEqual(new Set(records.map((record) => record['vmId'])), new Set(vms.keys()));
  for (const record of records) {
    for (const key of ['network', 'disks', 'vcpuCount', 'memoryStats'])
      assert.ok(key in record, `${key} of ${String(record['vmId'])}`);
    assert.equal(record['cpuActual'], true);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const rows: (string | number)[][] = [];
for (const size of SIZES) {
  const simulator = await startSimulator(size);
  const { way, vms } = await ourWay(simulator.uri);
  assert.equal(vms.size, size);
  const ours = await measure(way);
  check(way, vms);
  const bytes = way.answer().length;
  await way.stop();
  const naive = await naiveWay(simulator.uri, vms);
  const theirs = await measure(naive);
  check(naive, vms);
  await naive.stop();
  await simulator.stop();
  for (const [name, { cpuMs, wallMs, stallMs }] of [
    ['agent', ours],
    ['naive', theirs],
  ] as const) {
    rows.push([
      size,
      name,
      cpuMs.toFixed(1),
      ((cpuMs * 1000) / size).toFixed(1),
      `${((cpuMs / PERIOD_MS) * 100).toFixed(2)} %`,
      stallMs.toFixed(1),
      wallMs.toFixed(0),
      name === 'agent' ? (bytes / 1024).toFixed(0) : '',
      name === 'agent'
        ? ''
        : `${(cpuMs / ours.cpuMs).toFixed(1)}x CPU, ${(stallMs / ours.stallMs).toFixed(1)}x stall`,
    ]);
  }
}
report(
  'tick',
  'What does one sampling cycle cost the agent? (medians; core share at a period of 15 s)',
  [
    'VMs',
    'way',
    'CPU ms',
    'us per VM',
    'of a core',
    'longest stall ms',
    'wall ms',
    'answer KiB',
    'naive / agent',
  ],
  rows,
);
