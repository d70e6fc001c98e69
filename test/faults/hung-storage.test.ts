/**
 * A file system that hangs under running guests: ext4 on a loop device, frozen by fsfreeze while three machines write to
 * images on it, so that the main threads of their QEMUs block in the kernel. VMs elsewhere lose no sample; those are
 * told, and come back with their storage.
 *
 * The guest is a boot sector that writes through the BIOS without end; emulated, since not every machine that can run KVM
 * within a virtual machine runs a BIOS's real mode there.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { AgentProcess } from '../support/agent-process.js';
import {
  domstats,
  LIBVIRT_SOCKET,
  removeDomains,
  skipWithOthers,
  skipWithoutLibvirt,
  virsh,
} from '../support/real-libvirt.js';
import { assertPromiseKept, httpGet, samplingBegun, SHARD_DEADLINE_SEC } from '../support/sampling-watch.js';
import { VmEvents } from '../support/vm-events.js';

const PREFIX = 'vdsm-agent-storage-';
const idOf = (index: number): string => `57020000-0000-4000-8000-${String(index).padStart(12, '0')}`;
const nameOf = (index: number): string => `${PREFIX}${index}`;
const WRITERS = [1, 2, 3];
const OTHERS = [4, 5, 6];
const PERIOD_SEC = 2;
const IMAGE_BYTES = 1 << 20;
const FILE_SYSTEM_BYTES = 64 << 20;

/** In real mode: `again: mov ax,4300h; mov dl,80h; int 13h; jmp again`, with a packet that writes block 1. */
const WRITER = Buffer.from('31c08ed8be107cb80043b280cd13ebf710000100007e00000100000000000000', 'hex');

function bootImage(): Buffer {
  const image = Buffer.alloc(IMAGE_BYTES);
  WRITER.copy(image);
  image.writeUInt16LE(0xaa55, 510);
  return image;
}

const disk = (path: string): string => `
  <disk type='file' device='disk'><driver name='qemu' type='raw' cache='none' io='native'/>
    <source file='${path}'/><target dev='vda' bus='virtio'/></disk>`;

const domain = (index: number, devices = ''): string => `
<domain type='${devices === '' ? 'kvm' : 'qemu'}'>
  <name>${nameOf(index)}</name><uuid>${idOf(index)}</uuid><memory unit='MiB'>16</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os>
  <devices>${devices}<memballoon model='virtio'/></devices>
</domain>`;

/** Undefined where this machine lets us make no file system. */
function mountFileSystem(folder: string): { path: string; unmount(): void } | undefined {
  const image = join(folder, 'file-system');
  const path = join(folder, 'mounted');
  try {
    mkdirSync(path);
    writeFileSync(image, '');
    execFileSync('truncate', ['-s', String(FILE_SYSTEM_BYTES), image]);
    execFileSync('mkfs.ext4', ['-q', image], { stdio: 'ignore' });
    execFileSync('mount', ['-o', 'loop', image, path], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  return { path, unmount: () => void execFileSync('umount', [path]) };
}

describe(
  'storage that hangs',
  { skip: skipWithoutLibvirt() || skipWithOthers(PREFIX), timeout: 400_000 },
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'vdsm-agent-storage-'));
    const socketPath = join(folder, 'agent.sock');
    let mounted: ReturnType<typeof mountFileSystem>;
    let isFrozen = false;
    let agent: AgentProcess | undefined;
    let events: VmEvents;

    function setFrozen(frozen: boolean): void {
      if (isFrozen === frozen) return;
      execFileSync('fsfreeze', [frozen ? '--freeze' : '--unfreeze', mounted!.path]);
      isFrozen = frozen;
    }

    before(async () => {
      await removeDomains(PREFIX);
      chmodSync(folder, 0o755);
      mounted = mountFileSystem(folder);
      if (!mounted) return;
      chmodSync(mounted.path, 0o755);
      for (const index of [...WRITERS, ...OTHERS]) {
        const path = join(WRITERS.includes(index) ? mounted.path : folder, `${index}.img`);
        if (WRITERS.includes(index)) writeFileSync(path, bootImage());
        const xml = join(folder, `${index}.xml`);
        writeFileSync(xml, domain(index, WRITERS.includes(index) ? disk(path) : ''));
        await virsh(['create', xml]);
      }
      agent = await AgentProcess.start([
        ...['--uri', `qemu+unix:///system?socket=${LIBVIRT_SOCKET}`],
        ...['--listen', `unix:${socketPath}`, '--period', String(PERIOD_SEC)],
      ]);
      events = await VmEvents.open(`unix:${socketPath}`);
      await samplingBegun(socketPath);
    });

    after(async () => {
      setFrozen(false);
      if (agent) {
        await events.close();
        await agent.stop();
      }
      await removeDomains(PREFIX);
      mounted?.unmount();
      rmSync(folder, { recursive: true });
    });

    /** Bytes that a guest has written. */
    const written = async (index: number): Promise<number> =>
      Number((await domstats(nameOf(index))).get('block.0.wr.bytes'));

    it('costs no VM elsewhere a sample, is told, and is over when it is over', async (t) => {
      if (!mounted) {
        t.skip('no file system can be mounted here');
        return;
      }
      for (const index of WRITERS) while (!((await written(index)) > 0)) await delay(100);
      await assertPromiseKept(t, {
        socketPath,
        periodSec: PERIOD_SEC,
        fault: async (watch) => {
          setFrozen(true);
          const told = WRITERS.map((index) => events.until(idOf(index), { monitorResponse: '-1' }));
          await watch.within(2 * PERIOD_SEC + SHARD_DEADLINE_SEC, 'until all were told', Promise.all(told));
          await watch.cycles(3);
          const { problems } = await watch.health();
          for (const index of WRITERS) {
            const pid = readFileSync(`/run/libvirt/qemu/${nameOf(index)}.pid`, 'utf8').trim();
            const problem = problems.find(({ what }) => what.includes(idOf(index)));
            assert.ok(problem?.what.includes(`(pid ${pid})`), JSON.stringify(problems));
          }
          const [first] = OTHERS;
          await events.call('VM.pause', { vmID: idOf(first!) });
          await events.call('VM.cont', { vmID: idOf(first!) });
          assert.equal((await httpGet(socketPath, '/healthz')).status, 200);
        },
        restore: async (watch) => {
          setFrozen(false);
          while ((await watch.metric('sampler_quarantined_vms')) > 0) await watch.cycles(1);
          for (const index of WRITERS) events.clear(idOf(index));
        },
      });
      const before = await written(WRITERS[0]!);
      while ((await written(WRITERS[0]!)) === before) await delay(100);
      assert.ok(existsSync(join(mounted.path, '1.img')));
    });
  },
);
