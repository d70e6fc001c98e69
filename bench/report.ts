/** What every benchmark prints alike: the machine, a table, a ratio; and where its result is kept. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../src/util/package-root.js';

/** True for the short form that CI runs. */
export const quick = process.argv.includes('--quick');

/** `2 x Intel Xeon ..., Node 20.x, commit abc1234`. */
export function machineLine(): string {
  const all = cpus();
  return `${all.length} x ${all[0]?.model.trim() ?? 'unknown CPU'}, Node ${process.versions.node}, commit ${commit()}`;
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
      cwd: packageRoot,
      encoding: 'utf8',
    }).trim();
  } catch {
    return 'unknown';
  }
}

/** Rows of cells under a head, columns aligned, numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => String(cell)));
  const widths = head.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)));
  return cells
    .map((row, line) =>
      row
        .map((cell, column) =>
          line > 0 && /^[-\d]/.test(cell)
            ? cell.padStart(widths[column] ?? 0)
            : cell.padEnd(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Prints the question, the machine and the table, and keeps the figures as JSON under bench/results/. */
export function report(
  name: string,
  question: string,
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): void {
  process.stdout.write(
    `${question}\n${machineLine()}${quick ? ' (quick form)' : ''}\n\n${table(head, rows)}\n`,
  );
  if (quick) return;
  const folder = join(packageRoot, 'bench', 'results');
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, `${name}.json`),
    `${JSON.stringify({ machine: machineLine(), head, rows }, null, 2)}\n`,
  );
}

/** Nearest-rank percentile of unsorted values; p in 0..100. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil((p / 100) * sorted.length) - 1))] ?? NaN;
}
