/**
 * The simulated daemon before the judge: libvirt's own client, by virsh and by python3-libvirt. Time stands
 * still on the simulated host, so every figure that they show must be exactly the model's.
 */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { procedures } from '../../src/libvirt/procedures.js';
import { readHeader } from '../../src/libvirt/wire.js';
import type { SimulatedDomain } from '../../src/simulator/domain.js';
import { SimulatedHost } from '../../src/simulator/simulated-host.js';
import { SimulatorServer } from '../../src/simulator/simulator-server.js';
import { fieldsOf, shapeOf } from '../../src/simulator/stats-fields.js';
import { silentLogger } from '../../src/util/log.js';
import { ManualClock } from '../support/manual-clock.js';

const run = promisify(execFile);
const PYTHON = '/usr/bin/python3';
const required = process.env['VDSM_AGENT_REQUIRE_LIBVIRT'] === '1';

/** False where the command works or must work; otherwise the reason that the report shows. */
function skipWithout(command: string, args: readonly string[]): string | false {
  if (required) return false;
  try {
    execFileSync(command, args, { stdio: 'ignore' });
    return false;
  } catch {
    return `${command} ${args.join(' ')} does not work here`;
  }
}

const folder = mkdtempSync(join(tmpdir(), 'simulator-virsh-'));
const socketPath = join(folder, 'libvirt-sock');
const uri = `qemu+unix:///system?socket=${socketPath}`;
const clock = new ManualClock();
const host = new SimulatedHost({ clock, domains: 12 });
let registrations = 0;
const server = new SimulatorServer({
  host,
  socketPath,
  clock,
  log: silentLogger,
  mutatePacket(packet) {
    const { procedure } = readHeader(packet);
    if (procedure === procedures.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY.number) registrations++;
    return packet;
  },
});

async function virsh(...args: string[]): Promise<string> {
  const { stdout } = await run('virsh', ['-q', '-c', uri, ...args], { timeout: 60_000, maxBuffer: 64 << 20 });
  return stdout;
}

/** Field -> value as virsh and Python print it. */
function modelValues(domain: SimulatedDomain): Map<string, string> {
  const table = host.stats.of(domain);
  return new Map(
    fieldsOf(shapeOf(domain)).map(({ name, type, source }) => {
      if (source.kind === 'text') return [name, source.read(domain)];
      const value = table.value(domain, name);
      return [name, type === 'boolean' ? (value === 0 ? 'no' : 'yes') : String(value)];
    }),
  );
}

function valueOf(output: string, label: string): string {
  const line = output.split('\n').find((each) => each.startsWith(`${label}:`));
  return line?.slice(label.length + 1).trim() ?? '';
}

before(() => server.start());
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

describe('virsh on the simulated host', { skip: skipWithout('virsh', ['--version']) }, () => {
  it('lists every domain with id and state', async () => {
    host.lifecycle.suspend(host.require('vm-0011'));
    host.lifecycle.destroy(host.require('vm-0012'), false);
    const output = await virsh('list', '--all');
    const lines = output
      .trim()
      .split('\n')
      .map((line) => line.trim());
    assert.equal(lines.length, 12);
    assert.match(lines[0]!, /^1 +vm-0001 +running$/);
    assert.match(lines[10]!, /^11 +vm-0011 +paused$/);
    assert.match(lines[11]!, /^- +vm-0012 +shut off$/);
    assert.equal((await virsh('list', '--name', '--state-paused')).trim(), 'vm-0011');
  });

  it('shows in domstats exactly what the model holds', async () => {
    for (const name of ['vm-0001', 'vm-0010', 'vm-0011']) {
      const lines = (await virsh('domstats', '--raw', name)).split('\n').filter((line) => line.includes('='));
      const shown = new Map(
        lines.map((line) => [line.split('=')[0]!.trim(), line.slice(line.indexOf('=') + 1)]),
      );
      assert.deepEqual(shown, modelValues(host.require(name)));
    }
  });

  it('shows only the groups asked for, and partial facts of a domain that is off', async () => {
    const output = await virsh('domstats', '--raw', '--state', '--interface', 'vm-0002');
    assert.equal(output.split('\n').filter((line) => line.includes('=')).length, 12);
    const off = await virsh('domstats', '--raw', 'vm-0012');
    assert.match(off, /state\.state=5\n +state\.reason=2\n/);
    assert.doesNotMatch(off, /net\.|vcpu\.0/);
  });

  it('shows dominfo, dommemstat, domblkinfo and vcpuinfo from the same figures', async () => {
    const domain = host.require('vm-0003');
    const values = modelValues(domain);
    const info = await virsh('dominfo', 'vm-0003');
    assert.equal(valueOf(info, 'UUID'), domain.uuid);
    assert.equal(valueOf(info, 'State'), 'running');
    assert.equal(valueOf(info, 'Max memory'), `${domain.config.memoryKiB} KiB`);
    assert.equal(
      valueOf(info, 'CPU time'),
      `${(Math.floor(Number(values.get('cpu.time')) / 1e8) / 10).toFixed(1)}s`,
    );
    const memory = await virsh('dommemstat', 'vm-0003');
    assert.match(memory, new RegExp(`^unused ${values.get('balloon.unused')!}$`, 'm'));
    const block = await virsh('domblkinfo', 'vm-0003', 'vdb');
    assert.equal(valueOf(block, 'Capacity'), values.get('block.1.capacity'));
    assert.equal(valueOf(await virsh('vcpuinfo', 'vm-0003'), 'State'), 'running');
  });

  it('prints the XML of the model, and takes its own dump back', async () => {
    const domain = host.require('vm-0004');
    assert.equal((await virsh('dumpxml', 'vm-0004')).trim(), host.xml(domain, false).trim());
    const inactive = await virsh('dumpxml', '--inactive', 'vm-0004');
    const copy = join(folder, 'copy.xml');
    writeFileSync(copy, inactive.replace('vm-0004', 'copy').replace(/<uuid>.*<\/uuid>/, ''));
    await virsh('define', copy);
    assert.equal((await virsh('domstate', 'copy')).trim(), 'shut off');
    assert.equal(host.require('copy').config.metadata.size, 1);
    await virsh('start', 'copy', '--paused');
    assert.equal((await virsh('domstate', 'copy', '--reason')).trim(), 'paused (user)');
    await virsh('destroy', 'copy');
    await virsh('undefine', 'copy');
    assert.equal(host.findByName('copy'), undefined);
  });

  it('suspends, resumes, destroys and starts, and another virsh sees the events in order', async () => {
    const listening = virsh('event', '--all', '--loop', '--timeout', '5');
    while (registrations === 0) await new Promise((resolve) => setImmediate(resolve));
    await virsh('suspend', 'vm-0005');
    assert.equal((await virsh('domstate', 'vm-0005')).trim(), 'paused');
    await virsh('resume', 'vm-0005');
    await virsh('destroy', 'vm-0005');
    await virsh('start', 'vm-0005');
    await assert.rejects(virsh('start', 'vm-0005'), /already (active|running)/);
    const lines = (await listening).split('\n').filter((line) => line.includes("'lifecycle'"));
    assert.deepEqual(
      lines.map((line) => line.replace(/^event 'lifecycle' for domain 'vm-0005': /, '')),
      [
        'Suspended Paused',
        'Resumed Unpaused',
        'Shutdown Finished after host request',
        'Stopped Destroyed',
        'Resumed Unpaused',
        'Started Booted',
      ],
    );
  });

  it('reads and writes metadata and description', async () => {
    await virsh('metadata', 'vm-0006', 'urn:test', '--key', 't', '--set', '<note><a>1</a></note>');
    assert.match(await virsh('metadata', 'vm-0006', 'urn:test'), /<note>\s*<a>1<\/a>\s*<\/note>/);
    assert.match(await virsh('dumpxml', 'vm-0006'), /<t:note xmlns:t="urn:test">/);
    await virsh('desc', 'vm-0006', 'a description');
    assert.equal((await virsh('desc', 'vm-0006')).trim(), 'a description');
  });

  it('shows node, capabilities and versions', async () => {
    assert.equal(valueOf(await virsh('nodeinfo'), 'CPU(s)'), '64');
    assert.match(await virsh('nodecpustats'), /^idle:/m);
    assert.match(await virsh('nodememstats'), /^free /m);
    assert.match(await virsh('capabilities'), /<capabilities>[\s\S]*<arch>x86_64<\/arch>/);
    assert.match(await virsh('domcapabilities'), /<domainCapabilities>/);
    assert.match(await virsh('version'), /QEMU 7\.2\.22/);
  });

  it('passes on what the simulated host does not do as not supported', async () => {
    await assert.rejects(virsh('managedsave', 'vm-0001'), /not supported by the connection driver/);
    await assert.rejects(virsh('dominfo', 'nobody'), /failed to get domain 'nobody'/);
  });
});

const bulkScript = `
import json, libvirt, sys
connection = libvirt.open(sys.argv[1])
print(json.dumps({domain.UUIDString(): fields for domain, fields in connection.getAllDomainStats(0, 0)}))
`;

describe(
  'python3-libvirt on the simulated host',
  { skip: skipWithout(PYTHON, ['-c', 'import libvirt']) },
  () => {
    it('gets the bulk statistics of all domains, every field equal to the model', async () => {
      const { stdout } = await run(PYTHON, ['-c', bulkScript, uri], { maxBuffer: 64 << 20, timeout: 60_000 });
      const all = JSON.parse(stdout) as Record<string, Record<string, number | string | boolean>>;
      assert.equal(Object.keys(all).length, host.size);
      for (const domain of host.domains) {
        if (!domain.active) continue;
        const shown = Object.entries(all[domain.uuid]!).map(([name, value]): [string, string] => [
          name,
          typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value),
        ]);
        assert.deepEqual(new Map(shown), modelValues(domain));
      }
    });
  },
);
