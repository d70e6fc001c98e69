/** `vdsm-client list`: the VMs of a host, one line each. */
import { asNumber, cpuPercent, memoryKiB, memoryPercent } from '../vm-figures.js';
import type { VmRecord } from '../vm-figures.js';
import { withClient } from './call.js';
import type { Target } from './target.js';
import { paint, statusColour } from './io.js';
import type { CliIo, Colour, TextOutput } from './io.js';

export interface VmLine {
  readonly vmId: string;
  readonly name: string | null;
  readonly status: string;
  readonly cpuPercent: number | null;
  readonly memoryKiB: number | null;
  readonly memoryPercent: number | null;
  /** Since the guest started. */
  readonly ageSec: number | null;
}

export async function listVms(io: CliIo, target: Target, asJson: boolean): Promise<void> {
  const options = { signal: io.interrupted };
  const lines = await withClient(io, target, async (client) => {
    const told = (await client.call('Host.getAllVmStats', {}, options)).map(toLine);
    const nameless = told.filter(({ name }) => name === null).map(({ vmId }) => vmId);
    if (nameless.length === 0) return told;
    // The record of a VM that is Down has no name; its XML has.
    const xmls = await client.call('Host.dumpxmls', { vmList: nameless }, options);
    return told.map((line) => ({ ...line, name: line.name ?? nameInXml(xmls[line.vmId]) }));
  });
  lines.sort(byName);
  io.out.write(asJson ? `${JSON.stringify(lines)}\n` : formatTable(lines, io.out));
}

export function toLine(record: VmRecord): VmLine {
  const text = (key: string): string | null => (typeof record[key] === 'string' ? record[key] : null);
  return {
    vmId: text('vmId') ?? '',
    name: text('vmName'),
    status: text('status') ?? 'Down',
    cpuPercent: cpuPercent(record) ?? null,
    memoryKiB: memoryKiB(record) ?? null,
    memoryPercent: memoryPercent(record) ?? null,
    ageSec: asNumber(record['elapsedTime']) ?? null,
  };
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** The domain's own name is the first in libvirt's XML. */
export function nameInXml(xml: string | undefined): string | null {
  const name = /<name>([^<]+)<\/name>/.exec(xml ?? '')?.[1];
  return name?.replaceAll(/&(amp|lt|gt|quot|apos);/g, (_, entity: string) => ENTITIES[entity]!) ?? null;
}

/** Aligned text; without colours it holds nothing but text, one VM a line under a heading. */
export function formatTable(lines: readonly VmLine[], output: TextOutput): string {
  const heading = ['ID', 'NAME', 'STATUS', 'CPU', 'MEMORY', 'AGE'];
  const cells = lines.map((line) => [
    line.vmId,
    line.name ?? '-',
    line.status,
    line.cpuPercent === null ? '-' : `${line.cpuPercent}%`,
    memoryText(line),
    line.ageSec === null ? '-' : durationText(line.ageSec),
  ]);
  const widths = heading.map((title, at) => Math.max(title.length, ...cells.map((row) => row[at]!.length)));
  const format = (row: readonly string[], colours: readonly (Colour | undefined)[]): string =>
    row
      .map((cell, at) => {
        const padded = at === row.length - 1 ? cell : cell.padEnd(widths[at]!);
        return paint(output, colours[at], padded);
      })
      .join('  ');
  const rows = cells.map((row, at) => format(row, ['dim', undefined, statusColour(lines[at]!.status)]));
  return `${[
    format(
      heading,
      heading.map(() => 'bold' as const),
    ),
    ...rows,
  ].join('\n')}\n`;
}

function memoryText({ memoryKiB: size, memoryPercent: used }: VmLine): string {
  if (size === null) return '-';
  const unit =
    size >= 1024 * 1024 ? `${Number((size / 1024 / 1024).toFixed(1))} GiB` : `${Math.round(size / 1024)} MiB`;
  return used === null ? unit : `${used}% of ${unit}`;
}

/** The two largest units: `3d4h`, `12m5s`. */
export function durationText(seconds: number): string {
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [Math.floor(seconds) % 60, 's'],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return '0s';
  const shown = parts.slice(first, first + 2).filter(([count]) => count > 0);
  return shown.map(([count, unit]) => `${count}${unit}`).join('');
}

function byName(left: VmLine, right: VmLine): number {
  const [a, b] = [left.name ?? left.vmId, right.name ?? right.vmId];
  return a.localeCompare(b, 'en', { numeric: true });
}
