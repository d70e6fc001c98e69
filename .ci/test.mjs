// Runs test suites of the built tree, one after the other, and ends with the line `N passed, N failed`.
// usage: node .ci/test.mjs [folder of test/ ...]     default: every suite
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const SUITES = [
  { folder: 'unit', concurrency: availableParallelism() },
  { folder: 'contract', concurrency: availableParallelism() },
  { folder: 'integration', real: true },
  { folder: 'faults', real: true },
];

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !SUITES.some(({ folder }) => folder === name));
if (unknown.length > 0) {
  process.stderr.write(
    `no such suite: ${unknown.join(', ')}; there are ${SUITES.map((s) => s.folder).join(', ')}\n`,
  );
  process.exit(2);
}

const total = { passed: 0, failed: 0, skipped: 0 };
const wanted = SUITES.filter(({ folder }) => asked.length === 0 || asked.includes(folder));
for (const { folder, concurrency } of wanted.filter(({ real }) => !real))
  await runFiles(filesOf(folder), concurrency);
// Tests on the real libvirtd share it, one file at a time; those on the simulator run beside them, one at a time too.
const shared = wanted.filter(({ real }) => real).flatMap(({ folder }) => filesOf(folder));
const needsLibvirt = (file) => readFileSync(file, 'utf8').includes('support/real-libvirt.js');
await Promise.all([
  runFiles(shared.filter(needsLibvirt), 1),
  runFiles(
    shared.filter((file) => !needsLibvirt(file)),
    1,
  ),
]);
process.stdout.write(total.skipped > 0 ? `\n${total.skipped} skipped, visibly above` : '');
process.stdout.write(`\n${total.passed} passed, ${total.failed} failed\n`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;

// Listed from the sources: dist may still hold a test that was removed.
function filesOf(folder) {
  return readdirSync(join('test', folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .sort()
    .map((file) => join(process.cwd(), 'dist', 'test', folder, file.replace(/ts$/, 'js')));
}

async function runFiles(files, concurrency) {
  if (files.length === 0) return;
  const stream = run({ files, concurrency, timeout: 600_000 });
  const leaf = (data) => data.details?.type !== 'suite';
  stream.on('test:pass', (data) => {
    // A suite that is skipped reports none of its tests: it counts as one.
    if (data.skip !== undefined) total.skipped++;
    else if (leaf(data)) total.passed++;
  });
  stream.on('test:fail', (data) => {
    // A file that dies before it reports a test is a failure as well.
    if (leaf(data)) total.failed++;
  });
  const report = stream.compose(spec);
  report.pipe(process.stdout, { end: false });
  await new Promise((resolve, reject) => report.on('end', resolve).on('error', reject));
}
