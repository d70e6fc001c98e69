/**
 * I/O errors of a real guest: a full file system below its disk, and a disk that fails. What stops it is told with the
 * right code and the disk, and VM.cont lets it go on where the error has gone.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe, it } from 'node:test';
import { AgentProcess } from '../support/agent-process.js';
import { GuestConsole } from '../support/guest-console.js';
import { guestDomainXml } from '../support/guest-domain.js';
import { guestImage, guestImageFolder } from '../support/guest-image.js';
import {
  libvirtRequired,
  LIBVIRT_SOCKET,
  removeDomains,
  skipWithoutLibvirt,
} from '../support/real-libvirt.js';
import { VmEvents } from '../support/vm-events.js';

const PREFIX = 'vdsm-agent-errors-';
const vmID = '1f3e0000-0000-4000-8000-0000000000e1';
const folder = `/var/tmp/vdsm-agent-errors-${process.pid}`;
const full = join(folder, 'full');
const diskPath = join(full, 'disk.qcow2');
const nbdSocket = join(folder, 'nbd.sock');
const image = guestImage(guestImageFolder);
/** An emulated guest boots in seconds, but not on a machine that others keep busy. */
const BOOT_LIMIT_MS = 180_000;

/** Value for `skip`: file systems are mounted here, which takes root. */
function skipWithoutMounts(): string | false {
  if (process.getuid?.() === 0) return false;
  return 'mounting a small file system takes root';
}

function run(...[program, ...given]: [string, ...string[]]): void {
  execFileSync(program, given, { stdio: 'pipe' });
}

/** A disk of 64 MiB each write to which fails. */
async function startFailingDisk(): Promise<ChildProcess> {
  const raw = join(folder, 'failing.raw');
  const rules = join(folder, 'blkdebug.conf');
  run('truncate', '-s', '64M', raw);
  writeFileSync(rules, '[inject-error]\nevent = "pwritev"\nerrno = "5"\nonce = "off"\n');
  const server = spawn(
    'qemu-nbd',
    [
      '--persistent',
      '--shared=4',
      '-k',
      nbdSocket,
      '--image-opts',
      `driver=raw,file.driver=blkdebug,file.config=${rules},file.image.driver=file,file.image.filename=${raw}`,
    ],
    { stdio: 'ignore' },
  );
  for (let attempt = 0; !existsSync(nbdSocket); attempt++) {
    assert.ok(attempt < 100 && server.exitCode === null, 'qemu-nbd does not listen');
    await delay(50);
  }
  chmodSync(nbdSocket, 0o777);
  return server;
}

const skip =
  skipWithoutLibvirt() ||
  skipWithoutMounts() ||
  (image === undefined && !libvirtRequired ? 'no kernel for a guest on this machine' : false);

describe('I/O errors of a guest on real QEMU', { skip, timeout: 400_000 }, () => {
  let agent: AgentProcess;
  let events: VmEvents;
  let guest: GuestConsole;
  /** What was begun, to be ended the other way round. */
  const undo: (() => unknown)[] = [];

  before(async () => {
    await removeDomains(PREFIX);
    undo.push(() => rmSync(folder, { recursive: true, force: true }));
    for (const each of [full, join(folder, 'qemu')]) mkdirSync(each, { recursive: true });
    run('mount', '-t', 'tmpfs', '-o', 'size=1m', PREFIX, full);
    undo.push(() => run('umount', full));
    for (const each of [folder, full, join(folder, 'qemu')]) chmodSync(each, 0o777);
    run('qemu-img', 'create', '-q', '-f', 'qcow2', diskPath, '64M');
    const failingDisk = await startFailingDisk();
    undo.push(
      () => failingDisk.kill(),
      () => removeDomains(PREFIX),
    );
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ balloonStatsPeriodSec: 0 }));
    agent = await AgentProcess.start([
      ...['--uri', `qemu+unix:///system?socket=${LIBVIRT_SOCKET}`],
      ...['--listen', `unix:${join(folder, 'agent.sock')}`, '--config', join(folder, 'config.json')],
    ]);
    undo.push(() => agent.stop());
    events = await VmEvents.open(agent.address);
    undo.push(() => events.close());
    assert.ok(image, 'the guest needs linux-image-cloud-amd64 and busybox-static');
    const consolePath = join(folder, 'qemu', 'console');
    const driver = (format: string): string =>
      `<driver name='qemu' type='${format}' error_policy='stop' rerror_policy='stop'/>`;
    const devices =
      `<disk type='file' device='disk'>${driver('qcow2')}<source file='${diskPath}'/>` +
      `<target dev='vda' bus='virtio'/><alias name='ua-full'/></disk>` +
      `<disk type='network' device='disk'>${driver('raw')}<source protocol='nbd'>` +
      `<host transport='unix' socket='${nbdSocket}'/></source>` +
      `<target dev='vdb' bus='virtio'/><alias name='ua-failing'/></disk>`;
    const metadata = `<metadata><ovirt-vm:vm xmlns:ovirt-vm="http://ovirt.org/vm/1.0"/></metadata>`;
    const name = `${PREFIX}1`;
    const xml = guestDomainXml({ name, uuid: vmID, image, consolePath, metadata, devices });
    await events.call('VM.create', { vmParams: { xml } });
    guest = await GuestConsole.open(consolePath, BOOT_LIMIT_MS);
    undo.push(() => guest.close());
  });

  after(async () => {
    for (const each of undo.reverse()) await each();
  });

  /** Writes to a disk when the console has answered: the guest is to stop then. */
  const write = (disk: string, mebibytes: number): Promise<unknown> =>
    guest.text(
      `(sleep 1; dd if=/dev/urandom of=/dev/${disk} bs=64k count=${mebibytes * 16} oflag=direct; touch /tmp/written) >/dev/null 2>&1 &`,
    );

  it('a full file system stops it with ENOSPC; with more space VM.cont lets it go on', async () => {
    events.clear(vmID);
    await write('vda', 4);
    const paused = await events.until(vmID, { status: 'Paused', pauseCode: 'ENOSPC' }, 60_000);
    assert.deepEqual(paused['ioerror'], { alias: 'ua-full', name: 'vda', path: diskPath });
    assert.deepEqual(events.statuses(vmID), ['Paused'], 'told once');
    const [record] = await events.call('VM.getStats', { vmID });
    assert.equal((record as { pauseCode?: string }).pauseCode, 'ENOSPC');

    events.clear(vmID);
    await events.call('VM.cont', { vmID });
    await events.until(vmID, { status: 'Paused', pauseCode: 'ENOSPC' });
    run('mount', '-o', 'remount,size=16m', full);
    await events.call('VM.cont', { vmID });
    await guest.until('[ -e /tmp/written ]', 60_000);
    assert.equal(events.statuses(vmID).includes('Paused'), true);
    assert.notEqual(events.statuses(vmID).at(-1), 'Paused');
  });

  it('a disk that fails stops it with EIO, which is told as soon as it is known', async () => {
    events.clear(vmID);
    await guest.text('rm /tmp/written');
    await write('vdb', 1);
    const paused = await events.until(vmID, { status: 'Paused', pauseCode: 'EIO' }, 60_000);
    assert.equal((paused['ioerror'] as { name?: string } | undefined)?.name, 'vdb');
    const codes = events.of(vmID).map(({ pauseCode }) => pauseCode);
    assert.deepEqual([...new Set(codes)], codes, `each code once: ${codes.join(', ')}`);
    events.clear(vmID);
    await events.call('VM.destroy', { vmID });
    assert.equal(await events.untilDown(vmID), '0/6');
  });
});
