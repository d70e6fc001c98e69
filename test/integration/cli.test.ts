/** vdsm-client as a user has it: the built program as a child process, against a real agent on a simulated host. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { SimulatedHost } from '../../src/simulator/simulated-host.js';
import { SimulatorServer } from '../../src/simulator/simulator-server.js';
import { silentLogger } from '../../src/util/log.js';
import { systemClock as clock } from '../../src/util/time.js';
import { AgentProcess, buildRoot } from '../support/agent-process.js';

const PROGRAM = join(buildRoot, 'src/cli.js');

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function spawnClient(args: readonly string[]) {
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: 'pipe' });
  const outcome: { code: number | null; out: string; err: string } = { code: null, out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (outcome.out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (outcome.err += text));
  const finished: Promise<Outcome> = once(child, 'close').then(([code]) => ({
    ...outcome,
    code: code as number | null,
  }));
  return { child, outcome, finished };
}

async function client(...args: string[]): Promise<Outcome> {
  const { child, finished } = spawnClient(args);
  child.stdin.end();
  return finished;
}

/** Every failure is one line that names the program and holds no stack. */
function assertOneLine({ err }: Outcome, pattern: RegExp): void {
  assert.match(err, /^vdsm-client: [^\n]+\n$/);
  assert.match(err, pattern);
}

describe('vdsm-client', { timeout: 120_000 }, () => {
  let agent: AgentProcess;
  let at: string[];
  let id: string;
  const folder = mkdtempSync(join(tmpdir(), 'cli-test-'));
  const simulator = new SimulatorServer({
    host: new SimulatedHost({ domains: 3, clock }),
    socketPath: join(folder, 'libvirt-sock'),
    clock,
    log: silentLogger,
  });

  before(async () => {
    // Unlike the stand-in host of --simulate, this one does nothing by itself.
    await simulator.start();
    const uri = `qemu+unix:///system?socket=${simulator.socketPath}`;
    agent = await AgentProcess.start(['--uri', uri, '--listen', '127.0.0.1:0', '--period', '1']);
    at = ['-a', agent.address];
    const [first] = JSON.parse((await client(...at, 'Host', 'getVMList')).out) as { vmId: string }[];
    id = first!.vmId;
  });
  after(async () => {
    await agent.stop();
    await simulator.stop();
    rmSync(folder, { recursive: true });
  });

  it('prints a result as one line of JSON on a pipe and ends with 0', async () => {
    assert.deepEqual(await client(...at, 'Host', 'ping'), { code: 0, out: 'true\n', err: '' });
    const { out } = await client(...at, 'Host', 'getAllVmStats');
    assert.equal((JSON.parse(out) as unknown[]).length, 3);
    assert.equal(out.split('\n').length, 2);
  });

  it('takes namespaces in any case', async () => {
    assert.equal((await client(...at, 'HOST', 'ping')).out, 'true\n');
    assert.equal((await client(...at, 'vm', 'getInfo', `vmID=${id}`)).code, 0);
  });

  it('takes an address with a scheme, with a port alone, and with the long option', async () => {
    const port = new URL(agent.address).port;
    assert.equal((await client('-a', `:${port}`, 'Host', 'ping')).code, 0);
    assert.equal((await client('--address', `127.0.0.1:${port}`, 'Host', 'ping')).code, 0);
  });

  it('reads parameters from words, from a file and from standard input', async () => {
    const file = join(folder, 'params.json');
    writeFileSync(file, JSON.stringify({ message: 'from a file' }));
    assert.equal((await client(...at, 'Host', 'echo', 'message=a=b')).out, '"a=b"\n');
    assert.equal((await client(...at, 'Host', 'echo', '-f', file)).out, '"from a file"\n');
    assert.equal(
      (await client(...at, 'Host', 'echo', `message=@${file}`)).out,
      '"{\\"message\\":\\"from a file\\"}"\n',
    );
    const { child, finished } = spawnClient([...at, 'Host', 'echo', '-f', '-']);
    child.stdin.end('{"message":"from a pipe"}');
    assert.equal((await finished).out, '"from a pipe"\n');
  });

  it("ends with 1 and the agent's message and code when a verb fails", async () => {
    const outcome = await client(...at, 'VM', 'getStats', 'vmID=00000000-0000-0000-0000-000000000000');
    assert.equal(outcome.code, 1);
    assert.equal(outcome.out, '');
    assertOneLine(outcome, /VM\.getStats failed: Virtual machine does not exist.*\(code 1\)/);
  });

  for (const [name, args, pattern] of [
    ['an unknown command', ['nonsense'], /unknown command 'nonsense'/],
    [
      'an unknown method, with a suggestion',
      ['Host', 'png'],
      /unknown command 'png' \(Did you mean ping\?\)/,
    ],
    ['a missing parameter', ['VM', 'getStats'], /missing parameter vmID \(see vdsm-client VM getStats -h\)/],
    ['a misspelt parameter', ['VM', 'getStats', 'vmId=x'], /unknown parameter vmId; there is vmID/],
    ['a word without =', ['Host', 'echo', 'message'], /"message" has not the form name=value/],
    ['a file that is not there', ['Host', 'echo', '-f', '/nonexistent'], /cannot read \/nonexistent: ENOENT/],
    ['an address that is none', ['-a', 'http://x', 'list'], /no address of an agent/],
    ['a timeout that is none', ['-t', 'soon', 'list'], /number of seconds/],
    ['an unknown option', ['list', '--nonsense'], /unknown option '--nonsense'/],
  ] as const) {
    it(`ends with 2 and one line for ${name}`, async () => {
      const outcome = await client(...args);
      assert.equal(outcome.code, 2);
      assert.equal(outcome.out, '');
      assertOneLine(outcome, pattern);
    });
  }

  it('ends with 2 and the help on standard error when called without a command', async () => {
    const { code, out, err } = await client();
    assert.deepEqual({ code, out }, { code: 2, out: '' });
    assert.match(err, /^Usage: vdsm-client/);
  });

  it('ends with 3 and says how to start an agent where none is', async () => {
    for (const address of ['127.0.0.1:1', 'unix:/nonexistent/socket']) {
      const outcome = await client('-a', address, 'list');
      assert.equal(outcome.code, 3);
      assertOneLine(outcome, new RegExp(`${address}.*Start it with: vdsm-agent`));
    }
    assert.equal((await client('-a', '127.0.0.1:1', 'events')).code, 3);
  });

  it('explains itself, each namespace and each method from the schema', async () => {
    const own = await client('-h');
    assert.equal(own.code, 0);
    for (const text of [/list/, /events/, /Exit codes:/, /Host/, /VM/]) assert.match(own.out, text);
    assert.match((await client('host', '-h')).out, /getAllVmStats/);
    const method = (await client('VM', 'create', '--help')).out;
    for (const text of [/vmParams\.xml +string/, /Required\./, /Result:/]) assert.match(method, text);
    assert.match((await client('VM', 'destroy', '-h')).out, /gracefulAttempts +integer.*Default: 1\./s);
    assert.match(
      (await client('Host', 'echo', '-h')).out,
      /Example:\n {2}vdsm-client Host echo message=hello\n {2}"hello"/,
    );
  });

  it('lists the VMs as an aligned table, and as JSON', async () => {
    const { code, out } = await client(...at, 'list');
    assert.equal(code, 0);
    const [heading, ...lines] = out.trimEnd().split('\n');
    assert.match(heading!, /^ID +NAME +STATUS +CPU +MEMORY +AGE$/);
    assert.equal(lines.length, 3);
    for (const line of lines) assert.equal(line.indexOf('vm-'), heading!.indexOf('NAME'));
    assert.equal((await client(...at, 'list', 'table')).code, 0);
    const json = JSON.parse((await client(...at, 'list', '--json')).out) as {
      name: string;
      status: string;
    }[];
    assert.deepEqual(
      json.map(({ name }) => name),
      ['vm-0001', 'vm-0002', 'vm-0003'],
    );
  });

  it('follows events as JSON lines until SIGINT, and ends with 0', async () => {
    const { child, outcome, finished } = spawnClient([...at, 'events']);
    while (!outcome.err.includes('following events')) await once(child.stderr, 'data');
    await client(...at, 'VM', 'pause', `vmID=${id}`);
    while (!outcome.out.includes(id)) await once(child.stdout, 'data');
    child.kill('SIGINT');
    assert.equal((await finished).code, 0);
    const line = outcome.out.split('\n').find((each) => each.includes(id))!;
    const event = JSON.parse(line) as { vmId: string; status: string; details: { pauseCode: string } };
    assert.equal(event.status, 'Paused');
    assert.equal(event.details.pauseCode, 'NOERR');
  });

  it('ends by SIGINT while it waits for standard input', async () => {
    const { child, outcome, finished } = spawnClient([...at, 'Host', 'echo', 'message=before', '-f', '-']);
    // It reads once it runs, and takes its first bytes when it does.
    child.stdin.write(' '.repeat(1 << 20));
    await once(child.stdin, 'drain');
    child.kill('SIGINT');
    assert.equal((await finished).code, 130);
    assert.deepEqual([outcome.out, outcome.err], ['', '']);
  });

  it('ends with 4 and one line when the output cannot be written', async () => {
    const full = openSync('/dev/full', 'w');
    const child = spawn(process.execPath, [PROGRAM, ...at, 'Host', 'ping'], {
      stdio: ['ignore', full, 'pipe'],
    });
    closeSync(full);
    let err = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (err += text));
    const [code] = (await once(child, 'close')) as [number];
    assert.equal(code, 4);
    assertOneLine({ code, out: '', err }, /cannot write: ENOSPC/);
  });

  it('ends without a word when the reader of its output goes away', async () => {
    const { child, finished } = spawnClient([...at, 'Host', 'getAllVmStats']);
    child.stdout.destroy();
    const { code, err } = await finished;
    assert.deepEqual({ code, err }, { code: 0, err: '' });
  });

  it('goes on following over a restart of the agent, and says so', async () => {
    const listen = ['--listen', `unix:${join(folder, 'agent.sock')}`];
    const args = ['--simulate', '1', ...listen];
    const first = await AgentProcess.start(args);
    const { child, outcome, finished } = spawnClient(['-a', first.address, 'events']);
    while (!outcome.err.includes('following events')) await once(child.stderr, 'data');
    await first.stop();
    while (!outcome.err.includes('next attempt')) await once(child.stderr, 'data');
    const second = await AgentProcess.start(args);
    while (!outcome.err.includes('connected again')) await once(child.stderr, 'data');
    child.kill('SIGTERM');
    assert.equal((await finished).code, 0);
    await second.stop();
  });
});
