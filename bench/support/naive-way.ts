/**
 * The naive way to sample: an object per VM with a member per parameter, and all records stringified at once. It has one
 * reader per cycle, and neither event handling nor protection from stuck guests.
 */
import type { VmId } from '../../src/domain/ids.js';
import { configurationBlock, guestBlock, runningBlock, statusBlock } from '../../src/domain/vm-record.js';
import type { Vm } from '../../src/domain/vm.js';
import { LibvirtClient, type DomainHandle, type DomainStats } from '../../src/libvirt/client.js';
import { engineTime, systemClock } from '../../src/util/time.js';
import type { Way } from './agent-way.js';

export async function naiveWay(uri: string, vms: ReadonlyMap<VmId, Vm>): Promise<Way> {
  const client = await LibvirtClient.connect(uri);
  const { domains } = await client.call('CONNECT_LIST_ALL_DOMAINS', { needResults: 1, flags: 1 });
  const handles: readonly DomainHandle[] = domains;
  let samples: Map<string, DomainStats['stats']>[] = [];
  let stamps: number[] = [];
  let text = '';
  return {
    vms,
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
    read: () => text.length,
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
