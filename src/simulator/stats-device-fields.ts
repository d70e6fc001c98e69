/** Statistics of one NIC and of one disk. Counters of a device that was plugged in count from then on. */
import { StatsGroup } from '../domain/stats.js';
import { Factor } from './domain.js';
import type { SimulatedDomain } from './domain.js';
import { always, deviceCounter, field, fromMonitor, gauge } from './stats-field.js';
import type { Marks, Source, StatsField } from './stats-field.js';

export function nicFields(nic: number): StatsField[] {
  const sinceSec = ({ config }: SimulatedDomain) => config.nics[nic]?.sinceSec ?? 0;
  const count = (name: string, perSec: number) =>
    deviceCounter(`net.${nic}.${name}`, StatsGroup.interface, { perSec, factor: Factor.net, sinceSec });
  const name: Source = { kind: 'text', read: ({ config }) => config.nics[nic]?.tap ?? '' };
  return [
    field(`net.${nic}.name`, StatsGroup.interface, 'string', name),
    count('rx.bytes', 24_000),
    count('rx.pkts', 40),
    count('rx.errs', 0),
    count('rx.drop', 0.001),
    count('tx.bytes', 9000),
    count('tx.pkts', 32),
    count('tx.errs', 0),
    count('tx.drop', 0),
  ];
}

/** Bytes of the image that are in use: a third at first, growing with what is written, never over the capacity. */
function usedBytes(domain: SimulatedDomain, disk: number): number {
  const capacity = domain.config.disks[disk]?.capacityBytes ?? 0;
  const written = Math.floor(domain.activeSec * 64 * domain.factors[Factor.disk]!) * 4096;
  return Math.min(capacity, Math.floor(capacity / 3 / 65_536) * 65_536 + written);
}

export function diskFields(disk: number, rank: number, medium: boolean): StatsField[] {
  const named = (name: string, read: (domain: SimulatedDomain) => string, marks: Marks = always) =>
    field(`block.${disk}.${name}`, StatsGroup.block, 'string', { kind: 'text', read }, marks);
  const sinceSec = ({ config }: SimulatedDomain) => config.disks[disk]?.sinceSec ?? 0;
  const count = (name: string, fullPerSec: number) => {
    const source = { perSec: fullPerSec / (rank + 1), factor: Factor.disk, sinceSec };
    return deviceCounter(`block.${disk}.${name}`, StatsGroup.block, source, fromMonitor);
  };
  const size = (name: string, read: (domain: SimulatedDomain) => number) =>
    gauge(`block.${disk}.${name}`, StatsGroup.block, 'ullong', read, { monitor: true, inactive: true });
  const fields = [
    named('name', (domain) => domain.config.disks[disk]?.target ?? ''),
    ...(medium
      ? [
          named('path', (domain) => domain.config.disks[disk]?.path ?? ''),
          gauge(
            `block.${disk}.backingIndex`,
            StatsGroup.block,
            'uint',
            (d) => d.config.disks[disk]?.index ?? 0,
          ),
        ]
      : []),
    count('rd.reqs', 12),
    count('rd.bytes', 196_608),
    count('rd.times', 4.1e6),
    count('wr.reqs', 18),
    count('wr.bytes', 147_456),
    count('wr.times', 1.3e7),
    count('fl.reqs', 1.5),
    count('fl.times', 6.5e6),
  ];
  if (!medium) return fields;
  return [
    ...fields,
    size('allocation', (domain) => usedBytes(domain, disk)),
    size('capacity', (domain) => domain.config.disks[disk]?.capacityBytes ?? 0),
    size('physical', (domain) => usedBytes(domain, disk) + 204_800),
  ];
}
