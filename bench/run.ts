/**
 * Runs every benchmark, one after the other: `npm run bench [-- [--quick] [name ...]]`.
 * --quick is the short form that CI runs, so that none rots; its figures are not for quoting.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const folder = import.meta.dirname;
const SUPPORT = new Set(['run.js', 'report.js']);
const all = readdirSync(folder)
  .filter((file) => file.endsWith('.js') && !SUPPORT.has(file))
  .sort();
const args = process.argv.slice(2);
const names = args.filter((arg) => !arg.startsWith('--'));
const unknown = names.filter((name) => !all.includes(`${name}.js`));
if (unknown.length > 0) {
  process.stderr.write(
    `no such benchmark: ${unknown.join(', ')}; there are ${all.map((f) => f.slice(0, -3)).join(', ')}\n`,
  );
  process.exit(2);
}

const failed: string[] = [];
for (const file of all) {
  const name = file.slice(0, -3);
  if (names.length > 0 && !names.includes(name)) continue;
  process.stdout.write(`\n== ${name}\n`);
  const { status } = spawnSync(
    process.execPath,
    [join(folder, file), ...args.filter((arg) => arg.startsWith('--'))],
    { stdio: 'inherit' },
  );
  if (status !== 0) failed.push(name);
}
if (failed.length > 0) {
  process.stderr.write(`failed: ${failed.join(', ')}\n`);
  process.exitCode = 1;
}
