/**
 * What do the bulk statistics of one VM cost the client?
 *
 * 1. ns per parameter of the decoder, warm, beside the ordinary decoding into an object per parameter: on the record
 *    of a KVM domain as a real libvirtd sent it, repeated under other ids, and on generated records whose names and
 *    paths all differ.
 * 2. CPU of a whole client process per VM and call, user and system, less that of the same program making only the
 *    first few calls (start-up and warming up): ours, virsh and python3-libvirt ask the same simulated daemon on the
 *    same socket.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BulkStatsDecoder } from '../src/libvirt/bulk-stats.js';
import { procedures } from '../src/libvirt/procedures.js';
import { HEADER_BYTES } from '../src/libvirt/wire.js';
import { XdrReader } from '../src/libvirt/xdr.js';
import { packageRoot } from '../src/util/package-root.js';
import { batchToPlain, plainRecord } from '../test/support/bulk-model.js';
import { encodeReply, realisticRecord } from '../test/support/bulk-reply.js';
import { percentile, quick, report } from './report.js';
import { startSimulator } from './support/programs.js';

const VMS = quick ? 100 : 500;
const DECODINGS = quick ? 10 : 40;
const PYTHON = '/usr/bin/python3';

interface Reply {
  readonly packets: readonly Buffer[];
  readonly vms: number;
  readonly parameters: number;
}

const codec = procedures.CONNECT_GET_ALL_DOMAIN_STATS.result;
type Records = ReturnType<typeof codec.read>['records'];

function decodeToObjects(packet: Buffer): Records {
  return codec.read(new XdrReader(packet)).records;
}

/** The KVM domain's record of the recorded reply, `vms` times; only the ids differ. */
function recordedReply(vms: number): Reply {
  const recorded = readFileSync(join(packageRoot, 'test/golden/bulk-stats-tcg-kvm.bin'));
  const kvm = decodeToObjects(recorded)[1]!;
  const nameAt = recorded.lastIndexOf(kvm.dom.name) - 4;
  const start = recorded.indexOf(kvm.dom.name) - 4;
  assert.equal(nameAt, start, 'the name stands once in the packet');
  const record = recorded.subarray(start);
  const uuidAt = 4 + Math.ceil(kvm.dom.name.length / 4) * 4;
  const copies = Array.from({ length: vms }, (_, i) => {
    const copy = Buffer.from(record);
    copy.writeUInt32BE(i, uuidAt);
    return copy;
  });
  const head = Buffer.alloc(HEADER_BYTES + 4);
  head.writeUInt32BE(vms, HEADER_BYTES);
  return { packets: [Buffer.concat([head, ...copies])], vms, parameters: kvm.params.length * vms };
}

function generatedReply(vms: number): Reply {
  const packets = [0, 1, 2].map((tick) =>
    encodeReply(Array.from({ length: vms }, (_, i) => realisticRecord(i, tick))),
  );
  return { packets, vms, parameters: realisticRecord(0).params.length * vms };
}

/** Both ways find the same. */
function assertEqualResults(reply: Reply, decoder: BulkStatsDecoder): void {
  for (const packet of reply.packets) {
    const plain = decodeToObjects(packet).map(({ dom, params }) => plainRecord(dom.uuid, params));
    assert.equal(plain.length, reply.vms);
    assert.deepEqual(batchToPlain(decoder.decode(packet, HEADER_BYTES)), plain);
  }
}

/** ns per parameter, warm: the lower quartile of the second half of the runs, for others' work only adds. */
function nsPerParameter(reply: Reply, decode: (packet: Buffer) => unknown): number {
  const times: number[] = [];
  for (let i = 0; i < DECODINGS; i++) {
    const packet = reply.packets[i % reply.packets.length]!;
    const start = process.hrtime.bigint();
    decode(packet);
    times.push(Number(process.hrtime.bigint() - start) / reply.parameters);
  }
  return percentile(times.slice(DECODINGS / 2), 25);
}

function decoderRows(): (string | number)[][] {
  const vms = VMS;
  return (
    [
      ['recorded KVM domain', recordedReply(vms)],
      ['generated, all names differ', generatedReply(vms)],
    ] as const
  ).flatMap(([name, reply]) => {
    const decoder = new BulkStatsDecoder();
    assertEqualResults(reply, decoder);
    const ours = nsPerParameter(reply, (packet) => decoder.decode(packet, HEADER_BYTES));
    const objects = nsPerParameter(reply, decodeToObjects);
    const perVm = (ns: number): string => ((ns * reply.parameters) / reply.vms / 1000).toFixed(2);
    return [
      [`${name}: columns`, ours.toFixed(1), perVm(ours), '1.0'],
      [`${name}: objects`, objects.toFixed(1), perVm(objects), (objects / ours).toFixed(1)],
    ];
  });
}

/** CPU of a whole process, user and system, and what it printed. */
function cpuMs(command: readonly string[]): { ms: number; output: string } {
  const script = 'TIMEFORMAT="cpu %U %S"; time "$@"';
  const run = spawnSync('bash', ['-c', script, 'bash', ...command], { encoding: 'utf8', maxBuffer: 1 << 30 });
  const cpu = /cpu ([\d.]+) ([\d.]+)\s*$/.exec(run.stderr);
  if (run.status !== 0 || !cpu) throw new Error(`${command.join(' ')} failed: ${run.stderr}`);
  return { ms: (Number(cpu[1]) + Number(cpu[2])) * 1000, output: run.stdout };
}

/** Calls of the short run, and how many more the long one makes; the slower the program, the fewer. */
interface Calls {
  readonly first: number;
  readonly more: number;
}
const OURS: Calls = quick ? { first: 5, more: 20 } : { first: 20, more: 200 };
const PYTHONS: Calls = quick ? { first: 1, more: 5 } : { first: 2, more: 24 };
const VIRSHS: Calls = quick ? { first: 1, more: 1 } : { first: 1, more: 3 };
/** The cheapest run counts: others' work on the machine only adds. */
const RUNS = quick ? 1 : 3;

/** µs of CPU per VM and call of a program that makes so many calls and prints what it received. */
function cpuPerVm(
  { first, more }: Calls,
  command: (calls: number) => readonly string[],
  received: (output: string) => number,
): number {
  const cpuOf = (calls: number): number => {
    const runs = Array.from({ length: RUNS }, () => {
      const { ms, output } = cpuMs(command(calls));
      assert.equal(received(output), calls * VMS);
      return ms;
    });
    return Math.min(...runs);
  };
  return ((cpuOf(first + more) - cpuOf(first)) * 1000) / (more * VMS);
}

interface Tally {
  readonly records: number;
}

function clientRows(uri: string): (string | number)[][] {
  const tally = (output: string): number => (JSON.parse(output) as Tally).records;
  const ours = (way: string) => (calls: number) => [
    process.execPath,
    join(import.meta.dirname, 'clients/bulk.js'),
    uri,
    String(calls),
    way,
  ];
  const python = (way: string) => (calls: number) => [
    PYTHON,
    join(packageRoot, 'bench/clients/bulk-client.py'),
    uri,
    String(calls),
    way,
  ];
  const virsh = (calls: number): string[] => ['virsh', '-q', '-c', uri, `uri; ${'domstats; '.repeat(calls)}`];
  const plain = cpuPerVm(OURS, ours('plain'), tally);
  const rows: [string, number][] = [
    ['ours: columns', plain],
    ['ours: columns, rates, JSON', cpuPerVm(OURS, ours('rates'), tally)],
  ];
  if (available('virsh', ['--version'])) {
    const printed = (output: string): number => output.split("Domain: '").length - 1;
    rows.push(['virsh domstats', cpuPerVm(VIRSHS, virsh, printed)]);
  }
  if (available(PYTHON, ['-c', 'import libvirt'])) {
    rows.push(['python3-libvirt', cpuPerVm(PYTHONS, python('plain'), tally)]);
    rows.push(['python3-libvirt, rates, json.dumps', cpuPerVm(PYTHONS, python('rates'), tally)]);
  }
  return rows.map(([name, us]) => [name, us.toFixed(1), (us / plain).toFixed(1)]);
}

function available(program: string, args: readonly string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

report(
  'bulk-decode',
  'What does decoding a bulk statistics reply cost?',
  ['reply and result', 'ns/parameter', 'us/VM', 'x ours'],
  decoderRows(),
);
process.stdout.write('\n');
const simulator = await startSimulator(VMS);
report(
  'bulk-client',
  `What CPU does a client spend per VM of a bulk call? ${VMS} simulated VMs`,
  ['client', 'us/VM', 'x ours'],
  clientRows(simulator.uri),
);
await simulator.stop();
