// Installs and builds, each only where needed: what `npm start` and `npm test` run first.
// Plain Node, since nothing is installed yet on a fresh clone.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, statSync } from 'node:fs';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  fail(`Node ${process.versions.node} is too old: vdsm-agent needs Node 20.19 or newer`);
}

const modifiedMs = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);
if (modifiedMs('node_modules/.package-lock.json') < modifiedMs('package-lock.json')) {
  run('installing packages', 'npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
}
// tsc is incremental: an up-to-date tree costs about a second.
run('building', process.execPath, ['node_modules/typescript/bin/tsc', '-p', '.']);
for (const bin of ['dist/src/main.js', 'dist/src/cli.js']) chmodSync(bin, 0o755);

function run(what, command, args) {
  process.stderr.write(`${what} ...\n`);
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 2, 2] });
  if (status !== 0) fail(`${what} failed: ${command} ${args.join(' ')}${error ? ` (${error.message})` : ''}`);
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
