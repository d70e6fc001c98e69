/**
 * The life of a VM on the simulated daemon, led by libvirt's own client: every verb through virsh, what it prints and
 * what becomes of the domain.
 */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import type { SimulatedDomain } from '../../src/simulator/domain.js';
import { SimulatedHost } from '../../src/simulator/simulated-host.js';
import { SimulatorServer } from '../../src/simulator/simulator-server.js';
import { silentLogger } from '../../src/util/log.js';
import { systemClock } from '../../src/util/time.js';

const run = promisify(execFile);
const required = process.env['VDSM_AGENT_REQUIRE_LIBVIRT'] === '1';
const folder = mkdtempSync(join(tmpdir(), 'simulator-virsh-life-'));
const socketPath = join(folder, 'libvirt-sock');
const uri = `qemu+unix:///system?socket=${socketPath}`;
const host = new SimulatedHost({
  clock: systemClock,
  domains: 12,
  guest: { powerMs: 20, agentStartMs: 20, unplugMs: 20 },
  // Time for virsh to look and to cancel.
  saveMs: 3000,
  commitMs: 100,
});
const server = new SimulatorServer({ host, socketPath, clock: systemClock, log: silentLogger });

function skipWithoutVirsh(): string | false {
  if (required) return false;
  try {
    execFileSync('virsh', ['--version'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'virsh is not installed';
  }
}

async function virsh(...args: string[]): Promise<string> {
  const { stdout } = await run('virsh', ['-q', '-c', uri, ...args], { timeout: 60_000 });
  return stdout.trim();
}

/** Resolves when the model tells that it is so. */
async function until(fulfilled: () => boolean, what: string): Promise<void> {
  const limit = AbortSignal.timeout(20_000);
  while (!fulfilled()) {
    limit.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (limit.aborted) throw new Error(`waited in vain until ${what}`);
  }
}

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

let next = 0;
/** A running domain that no other test has seen. */
function fresh(): SimulatedDomain {
  return host.require(`vm-${String(++next).padStart(4, '0')}`);
}

const state = (domain: SimulatedDomain) => virsh('domstate', '--reason', domain.name);

describe('virsh leads the life of simulated domains', { skip: skipWithoutVirsh() }, () => {
  before(() => server.start());
  after(async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  });

  it('shutdown, start, reboot and reset', async () => {
    const domain = fresh();
    for (const mode of ['acpi', 'agent']) {
      await virsh('shutdown', domain.name, '--mode', mode);
      await until(() => !domain.active, `it is off by ${mode}`);
      assert.equal(await state(domain), 'shut off (shutdown)');
      await virsh('start', domain.name);
      await until(() => domain.agentConnected, 'the agent is there');
    }
    const { id } = domain;
    const reboots: string[] = [];
    const stop = host.onEvent((event) => reboots.push(event.kind));
    await virsh('reboot', domain.name);
    await until(() => reboots.includes('reboot'), 'it reboots');
    await virsh('reset', domain.name);
    stop();
    assert.equal(domain.id, id);
    assert.equal(await state(domain), 'running (booted)');
    host.guests.setBehaviour(domain, { agent: 'absent' });
    await assert.rejects(virsh('shutdown', domain.name, '--mode', 'agent'), /guest agent is not connected/);
  });

  it('save, save-image-dumpxml and restore; domjobinfo and domjobabort', async () => {
    const domain = fresh();
    const image = join(folder, 'saved');
    await virsh('save', domain.name, image);
    assert.equal(await state(domain), 'shut off (saved)');
    assert.match(await virsh('save-image-dumpxml', image), new RegExp(`<name>${domain.name}</name>`));
    await virsh('restore', image, '--paused');
    assert.match(await state(domain), /^paused/);
    await virsh('resume', domain.name);
    const saving = virsh('save', domain.name, image);
    await until(() => domain.job !== undefined, 'it is being saved');
    const outcome = assert.rejects(saving, /canceled by client/);
    assert.match(await virsh('domjobinfo', domain.name), /Unbounded[^]*Save/);
    await virsh('domjobabort', domain.name);
    await outcome;
    assert.equal(await state(domain), 'running (save canceled)');
  });

  it('attach-device, detach-device, change-media and update-device', async () => {
    const domain = fresh();
    const disk = file(
      'disk.xml',
      "<disk type='file' device='disk'><source file='/images/x'/><target dev='vdc' bus='virtio'/></disk>",
    );
    await virsh('attach-device', domain.name, disk, '--live', '--config');
    assert.match(await virsh('domblklist', domain.name), /vdc +\/images\/x/);
    assert.match(await virsh('domblklist', '--inactive', domain.name), /vdc/);
    await virsh('detach-device', domain.name, disk, '--live', '--config');
    assert.doesNotMatch(await virsh('domblklist', domain.name), /vdc/);
    await assert.rejects(virsh('detach-device', domain.name, disk, '--live'), /disk vdc not found/);
    const drive = file(
      'drive.xml',
      "<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>",
    );
    await virsh('attach-device', domain.name, drive, '--live');
    await virsh('change-media', domain.name, 'sda', '/images/one.iso', '--insert', '--live');
    assert.match(await virsh('domblklist', domain.name), /sda +\/images\/one\.iso/);
    await virsh('change-media', domain.name, 'sda', '--eject', '--live');
    assert.match(await virsh('domblklist', domain.name), /sda +-/);
    const [tap] = domain.taps;
    await virsh('domif-setlink', domain.name, tap!, 'down');
    assert.match(await virsh('domif-getlink', domain.name, tap!), /down/);
  });

  it('attach-interface and detach-interface', async () => {
    const domain = fresh();
    const mac = '52:54:00:aa:bb:cc';
    await virsh(
      'attach-interface',
      domain.name,
      'bridge',
      'br0',
      '--mac',
      mac,
      '--model',
      'virtio',
      '--live',
    );
    assert.match(await virsh('domiflist', domain.name), new RegExp(`bridge +br0 +virtio +${mac}`));
    await virsh('detach-interface', domain.name, 'bridge', '--mac', mac, '--live');
    assert.doesNotMatch(await virsh('domiflist', domain.name), new RegExp(mac));
  });

  it('metadata, of the running domain and its definition', async () => {
    const domain = fresh();
    const uriOf = 'urn:life';
    await virsh('metadata', domain.name, uriOf, '--key', 'l', '--set', '<a>1</a>', '--live');
    assert.equal(await virsh('metadata', domain.name, uriOf, '--live'), '<a>1</a>');
    await assert.rejects(
      virsh('metadata', domain.name, uriOf, '--config'),
      /metadata element is not present/,
    );
    await virsh('metadata', domain.name, uriOf, '--remove', '--live');
    await assert.rejects(virsh('metadata', domain.name, uriOf, '--live'), /metadata element is not present/);
  });

  it('schedinfo, blkdeviotune, vcpupin, setvcpus and setmem', async () => {
    const domain = fresh();
    const xml = await virsh('dumpxml', '--inactive', domain.name);
    await virsh('define', file('vcpus.xml', xml.replace(/<vcpu [^>]*>2</, "<vcpu current='1'>4<")));
    await virsh('destroy', domain.name);
    await virsh('start', domain.name);
    await virsh(
      'schedinfo',
      domain.name,
      '--live',
      '--set',
      'vcpu_quota=50000',
      '--set',
      'vcpu_period=100000',
    );
    assert.match(await virsh('schedinfo', domain.name), /vcpu_quota +: 50000/);
    await virsh('blkdeviotune', domain.name, 'vda', '--total-bytes-sec', '1000000', '--live');
    assert.match(await virsh('blkdeviotune', domain.name, 'vda'), /total_bytes_sec *: 1000000\n/);
    await virsh('vcpupin', domain.name, '0', '1-3', '--live');
    assert.match(await virsh('vcpupin', domain.name, '--live'), /^ *0 +1-3$/m);
    await virsh('setvcpus', domain.name, '3', '--live');
    assert.match(await virsh('vcpucount', domain.name), /current +live +3/);
    await virsh('setvcpus', domain.name, '2', '--live');
    assert.match(await virsh('vcpucount', domain.name), /current +live +2/);
    await virsh('setmem', domain.name, '262144', '--live');
    assert.match(await virsh('dommemstat', domain.name), /^actual 262144$/m);
    assert.match(await virsh('dominfo', domain.name), /Used memory: +262144 KiB/);
  });

  it('blockresize, snapshot-create-as and blockcommit', async () => {
    const domain = fresh();
    await virsh('blockresize', domain.name, 'vda', '64G');
    assert.match(await virsh('domblkinfo', domain.name, 'vda'), /Capacity: +68719476736/);
    const original = domain.config.disks[0]!.path;
    const snapshot = (name: string) =>
      virsh(
        ...['snapshot-create-as', domain.name, name, '--disk-only', '--no-metadata', '--atomic', '--quiesce'],
        ...['--diskspec', `vda,file=${join(folder, name)}`, '--diskspec', 'vdb,snapshot=no'],
      );
    await snapshot('one');
    await snapshot('two');
    assert.match(await virsh('domblklist', domain.name), new RegExp(`vda +${join(folder, 'two')}`));
    await virsh(
      'blockcommit',
      domain.name,
      'vda',
      '--top',
      join(folder, 'one'),
      '--base',
      original,
      '--wait',
    );
    assert.equal(domain.config.disks[0]!.backing.length, 1);
    await virsh('blockcommit', domain.name, 'vda', '--active', '--wait', '--pivot');
    assert.match(await virsh('domblklist', domain.name), new RegExp(`vda +${original}`));
    await snapshot('three');
    await virsh('blockcommit', domain.name, 'vda', '--active', '--bandwidth', '1');
    assert.match(await virsh('blockjob', domain.name, 'vda', '--raw'), /type=Active Block Commit/);
    await virsh('blockjob', domain.name, 'vda', '--abort');
    assert.doesNotMatch(await virsh('blockjob', domain.name, 'vda', '--raw'), /type=/);
  });

  it('snapshot with memory', async () => {
    const domain = fresh();
    await virsh(
      ...['snapshot-create-as', domain.name, 'with', '--no-metadata', '--memspec', join(folder, 'memory')],
      ...['--diskspec', `vda,file=${join(folder, 'with')}`, '--diskspec', 'vdb,snapshot=no'],
    );
    assert.equal(await state(domain), 'running (unpaused)');
    assert.match(await virsh('save-image-dumpxml', join(folder, 'memory')), new RegExp(domain.name));
  });

  it('screenshot', async () => {
    const path = join(folder, 'screen.png');
    await virsh('screenshot', fresh().name, path);
    assert.ok(existsSync(path));
    assert.equal(readFileSync(path).toString('latin1', 0, 4), '\x89PNG');
  });

  it('guestinfo, domifaddr, domfsinfo, domfsfreeze, domfsthaw, domtime, guestvcpus and qemu-agent-command', async () => {
    const domain = fresh();
    const { name } = domain;
    assert.match(
      await virsh('guestinfo', name, '--hostname', '--os'),
      new RegExp(`os.id +: rhel[^]*hostname +: ${name}`),
    );
    assert.match(await virsh('domifaddr', name, '--source', 'agent'), /eth0 +52:54:00/);
    assert.match(await virsh('domfsinfo', name), /\/ +vda1 +xfs +vda/);
    await virsh('domfsfreeze', name);
    assert.equal(domain.frozenFilesystems, 2);
    await virsh('domfsthaw', name);
    assert.equal(domain.frozenFilesystems, 0);
    assert.match(await virsh('domtime', name), /Time: \d+/);
    assert.match(await virsh('guestvcpus', name), /online +: 0-1/);
    const answer = await virsh('qemu-agent-command', name, '{"execute":"guest-get-host-name"}');
    assert.deepEqual(JSON.parse(answer), { return: { 'host-name': name } });
    await virsh('guest-agent-timeout', name, '--timeout', '1');
    host.guests.setBehaviour(domain, { agent: 'silent' });
    await assert.rejects(virsh('guestinfo', name), /Guest agent is not responding/);
  });

  it('domblkerror and resume after an I/O error', async () => {
    const domain = fresh();
    host.guests.diskFails(domain, 'vdb', { reason: 'enospc', action: 'pause', lasting: false });
    assert.equal(await state(domain), 'paused (I/O error)');
    assert.equal(await virsh('domblkerror', domain.name), 'vdb: no space');
    await virsh('resume', domain.name);
    assert.equal(await virsh('domblkerror', domain.name), 'No errors found');
  });
});
