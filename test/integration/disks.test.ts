/**
 * Disks of a booted Linux guest on real QEMU: snapshots, merges, sizes, with what the guest has written compared before and
 * after; frozen file systems by the real guest agent; the agent killed in the middle of each.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  createReadStream,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { AgentProcess } from '../support/agent-process.js';
import { CallHolder } from '../support/call-holder.js';
import { GuestConsole } from '../support/guest-console.js';
import { guestDomainXml } from '../support/guest-domain.js';
import { guestImage } from '../support/guest-image.js';
import {
  libvirtRequired,
  LIBVIRT_SOCKET,
  removeDomains,
  skipWithoutLibvirt,
  virsh,
} from '../support/real-libvirt.js';
import { SocketRelay } from '../support/socket-relay.js';
import { VmEvents } from '../support/vm-events.js';

const run = promisify(execFile);
const PREFIX = 'vdsm-agent-disks-';
const NAME = `${PREFIX}1`;
const vmID = 'd15c0000-0000-4000-8000-000000000001';
const MIB = 2 ** 20;
/** virDomainSnapshotCreateXML. */
const SNAPSHOT_CREATE_XML = 185;

/** In a folder that QEMU's own user can write to. */
const folder = mkdtempSync('/var/tmp/vdsm-agent-disks-');
const images = join(folder, 'qemu');
const file = (name: string): string => join(images, name);
const image = guestImage();
const socketPath = join(folder, 'agent.sock');

const qemuImg = async (...args: string[]): Promise<string> => (await run('qemu-img', args)).stdout;
const jobId = (n: number): string => `d15c0000-0000-4000-8000-${String(1000 + n).padStart(12, '0')}`;

interface Job {
  readonly status: string;
  readonly error?: { readonly code: number; readonly message: string };
}
interface BlockJob {
  readonly drive: string;
  readonly cur: string;
  readonly end: string;
}

describe(
  'disks of a guest on real QEMU',
  { skip: skipWithoutLibvirt() || (!image && !libvirtRequired && 'no test guest'), timeout: 300_000 },
  () => {
    const holder = new CallHolder();
    const relay = new SocketRelay(LIBVIRT_SOCKET, holder.stream);
    const arguments_ = [
      ...['--uri', `qemu+unix:///system?socket=${relay.path}`, '--listen', `unix:${socketPath}`],
      ...['--period', '1', '--config', join(folder, 'config.json')],
    ];
    let agent: AgentProcess;
    let events: VmEvents;
    let guest: GuestConsole;
    /** What is to be ended, in the opposite order; not all of it was begun where something went wrong. */
    const ends: (() => unknown)[] = [];

    const startAgent = async (): Promise<void> => {
      agent = await AgentProcess.start(arguments_);
      events = await VmEvents.open(agent.address);
    };

    /** The value, once it is what is wanted. */
    const until = async <T>(
      what: string,
      read: () => Promise<T>,
      is: (value: T) => boolean,
      limitMs = 40_000,
    ): Promise<T> => {
      const endMs = performance.now() + limitMs;
      for (;;) {
        const value = await read();
        if (is(value)) return value;
        if (performance.now() > endMs) throw new Error(`${what}: still ${JSON.stringify(value)}`);
        await delay(100);
      }
    };

    const untilEnded = (id: string): Promise<Job> =>
      until(
        `job ${id}`,
        async () => ((await events.call('Host.getJobs', { job_ids: [id] })) as Record<string, Job>)[id],
        (job) => job !== undefined && job.status !== 'running',
      ) as Promise<Job>;

    const blockJobs = async (): Promise<Record<string, BlockJob> | undefined> => {
      const [record] = (await events.call('VM.getStats', { vmID })) as {
        vmJobs?: Record<string, BlockJob>;
      }[];
      return record?.vmJobs;
    };
    const noBlockJobs = (jobs: Record<string, BlockJob> | undefined): boolean =>
      jobs !== undefined && Object.keys(jobs).length === 0;

    /** Names of the files of the guest's disk, as qemu-img follows them. */
    const chainOf = async (top: string): Promise<string[]> => {
      const text = await qemuImg('info', '-U', '--backing-chain', '--output=json', top);
      return (JSON.parse(text) as { filename: string }[]).map(({ filename }) => basename(filename));
    };
    /** What the guest writes to: of the running domain and of its definition, which have to agree. */
    const source = async (): Promise<string> => {
      const sources = await Promise.all(
        [[], ['--inactive']].map(
          async (more) => /<source file='([^']+)'/.exec(await virsh(['dumpxml', NAME, ...more]))?.[1],
        ),
      );
      assert.equal(sources[0], sources[1], 'the definition follows');
      return basename(sources[0] ?? '');
    };
    const recordedXml = async (): Promise<string> =>
      ((await events.call('Host.dumpxmls', { vmList: [vmID] })) as Record<string, string>)[vmID] ?? '';
    const snapshot = (n: number, drive: object, more: object = {}): Promise<unknown> =>
      events.call('VM.snapshot', {
        vmID,
        snapDrives: [{ name: 'vda', ...drive }],
        jobUUID: jobId(n),
        ...more,
      });
    const merge = (n: number, topVolUUID: string, baseVolUUID: string, bandwidth = 0): Promise<unknown> =>
      events.call('VM.merge', {
        vmID,
        drive: { name: 'vda' },
        topVolUUID,
        baseVolUUID,
        bandwidth,
        jobUUID: jobId(n),
      });
    /** Fresh data, in MiB from the start of the guest's disk. */
    const write = (at: number, count: number): Promise<string> =>
      guest.text(
        `dd if=/dev/urandom of=/dev/vda bs=1M seek=${at} count=${count} conv=fsync,notrunc 2>/dev/null`,
        60_000,
      );
    const digest = (): Promise<string> =>
      guest.text('echo 3 >/proc/sys/vm/drop_caches; md5sum /dev/vda', 60_000);
    const isFrozen = async (): Promise<boolean> =>
      (await virsh(['qemu-agent-command', NAME, '{"execute":"guest-fsfreeze-status"}'])).includes('frozen');

    before(async () => {
      await removeDomains(PREFIX);
      assert.ok(image, 'the guest needs linux-image-cloud-amd64, busybox-static and qemu-guest-agent');
      chmodSync(folder, 0o755);
      mkdirSync(images);
      chmodSync(images, 0o777);
      writeFileSync(join(folder, 'config.json'), JSON.stringify({ balloonStatsPeriodSec: 0 }));
      await qemuImg('create', '-q', '-f', 'qcow2', file('base'), '64M');
      await relay.open();
      ends.push(() => relay.dispose());
      await startAgent();
      ends.push(
        () => agent.stop(),
        () => events.close(),
      );
      const consolePath = file('console');
      const xml = guestDomainXml({
        name: NAME,
        uuid: vmID,
        image,
        consolePath,
        metadata: `<metadata><ovirt-vm:vm xmlns:ovirt-vm="http://ovirt.org/vm/1.0"/></metadata>`,
        devices:
          `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${file('base')}'/>` +
          `<target dev='vda' bus='virtio'/></disk><disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>` +
          `<graphics type='vnc' autoport='yes' listen='127.0.0.1'/><video><model type='vga'/></video>`,
      });
      await events.call('VM.create', { vmParams: { xml } });
      await events.until(vmID, { status: 'Powering up' });
      guest = await GuestConsole.open(consolePath);
      ends.push(() => guest.close());
      await until('the guest agent', recordedXml, (live) => live.includes("state='connected'"));
    });

    after(async () => {
      for (const end of ends.reverse()) await end();
      await removeDomains(PREFIX);
      rmSync(folder, { recursive: true });
    });

    it('go on in a new file after VM.snapshot, with the guest frozen meanwhile', async () => {
      await write(0, 24);
      const written = await digest();
      const told = new Promise<unknown>((resolve) =>
        events.client.onEvent(
          ({ method, params }) => method === `|jobs|status|${jobId(1)}` && resolve(params['status']),
        ),
      );
      assert.equal(await snapshot(1, { path: file('one') }), true);
      assert.equal((await untilEnded(jobId(1))).status, 'done');
      assert.equal(await told, 'done');
      assert.match(agent.output, /A guest is frozen[^]*A guest is thawed/);
      assert.equal(await isFrozen(), false);
      assert.equal(await source(), 'one');
      assert.match(await recordedXml(), /<source file='[^']*\/one'/);
      assert.doesNotMatch(await recordedXml(), /snapshot_job/);
      assert.deepEqual(await chainOf(file('one')), ['one', 'base']);
      await write(16, 16);
      assert.notEqual(await digest(), written);
      await qemuImg('convert', '-U', '-O', 'raw', file('base'), file('raw'));
      assert.equal(
        await md5Of(file('raw')),
        written.split(' ')[0],
        'the old file has what was written before',
      );
    });

    it('go on in a file that the storage has prepared, and in no other', async () => {
      await qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base', '-F', 'qcow2', file('wrong'));
      await snapshot(2, { path: file('wrong') });
      const refused = await untilEnded(jobId(2));
      assert.equal(refused.error?.code, 48);
      assert.match(refused.error.message, /is based on base, not on/);
      await qemuImg('create', '-q', '-f', 'qcow2', '-b', 'one', '-F', 'qcow2', file('two'));
      await snapshot(3, { volumeID: 'two', baseVolumeID: 'one' });
      assert.equal((await untilEnded(jobId(3))).status, 'done');
      assert.equal(await source(), 'two');
      assert.deepEqual(await chainOf(file('two')), ['two', 'one', 'base']);
    });

    it('lose an inner file by VM.merge while the guest writes', async () => {
      await write(28, 8);
      const written = await digest();
      assert.equal(await merge(4, 'one', 'base'), true);
      await until('the merge', blockJobs, noBlockJobs);
      assert.deepEqual(await chainOf(file('two')), ['two', 'base']);
      assert.equal(await source(), 'two');
      assert.equal(await digest(), written);
      await assert.rejects(merge(5, 'one', 'base'), { code: 13 });
      await assert.rejects(merge(5, 'base', 'two'), { code: 52 });
    });

    it('lose the file that the guest writes to by VM.merge, also when the agent is killed meanwhile', async () => {
      await write(36, 24);
      const written = await digest();
      await merge(6, file('two'), file('base'), 4);
      const jobs = await until('progress', blockJobs, (all) => Number(all?.[jobId(6)]?.cur) > 0);
      assert.equal(jobs?.[jobId(6)]?.drive, 'vda');
      await assert.rejects(merge(7, file('two'), file('base')), { code: 52 });
      await agent.kill();
      await events.close();
      await startAgent();
      const [record] = (await events.call('VM.getStats', { vmID })) as { vmJobs?: object }[];
      assert.notDeepEqual(record?.vmJobs, {}, 'an engine would take the merge for ended');
      await until('the merge', blockJobs, noBlockJobs);
      assert.equal(await source(), 'base');
      assert.match(agent.output, /A merge that an earlier agent has begun is followed[^]*A merge is done/);
      assert.match(await recordedXml(), /<source file='[^']*\/base'/);
      assert.doesNotMatch(await virsh(['dumpxml', NAME]), /<mirror|ovirt-vm:jobs/);
      assert.equal(await digest(), written);
    });

    it('grow by VM.diskSizeExtend, which the guest sees, and never shrink', async () => {
      const extend = (newSize: number): Promise<unknown> =>
        events.call('VM.diskSizeExtend', { vmID, driveSpecs: { name: 'vda' }, newSize: String(newSize) });
      assert.equal(await extend(96 * MIB), String(96 * MIB));
      await guest.until(`[ $(cat /sys/block/vda/size) = ${(96 * MIB) / 512} ]`);
      await assert.rejects(extend(64 * MIB), { code: 58 });
      await assert.rejects(
        events.call('VM.diskSizeExtend', { vmID, driveSpecs: { name: 'vdz' }, newSize: '1' }),
        { code: 13 },
      );
    });

    it('are quiet between VM.freeze and VM.thaw', async () => {
      assert.equal(await events.call('VM.freeze', { vmID }), true);
      assert.equal(await isFrozen(), true);
      await assert.rejects(events.call('VM.freeze', { vmID }), { code: 76 });
      assert.equal(await isFrozen(), false, 'whatever a freeze that failed has left is thawed');
      assert.equal(await events.call('VM.thaw', { vmID }), true);
    });

    it('have a screen beside them', async () => {
      const shot = (await events.call('VM.screenshot', { vmID })) as {
        data: string;
        encoding: string;
        mime_type: string;
      };
      const png = Buffer.from(shot.data, 'base64');
      assert.equal(shot.encoding, 'base64');
      assert.equal(shot.mime_type, 'image/png');
      assert.equal(png.subarray(1, 4).toString(), 'PNG');
      assert.equal(png.subarray(12, 16).toString(), 'IHDR');
      assert.ok(png.readUInt32BE(16) >= 640 && png.readUInt32BE(20) >= 400, 'width and height');
      assert.equal(png.subarray(-8, -4).toString(), 'IEND');
    });

    it('are not left frozen by an agent that is stopped in the middle of a snapshot', async () => {
      const held = holder.hold(SNAPSHOT_CREATE_XML);
      await snapshot(8, { path: file('three') });
      await held;
      assert.equal(await isFrozen(), true);
      await events.close();
      assert.equal((await agent.stop()).code, 0);
      assert.equal(await isFrozen(), false);
      holder.release();
      await startAgent();
      const job = await untilEnded(jobId(8));
      assert.equal(job.error?.code, 48);
      assert.match(job.error.message, /interrupted by the agent's end/);
    });

    it('are thawed by the next agent where one is killed in the middle of a snapshot', async () => {
      const before = await source();
      const held = holder.hold(SNAPSHOT_CREATE_XML);
      await snapshot(9, { path: file('four') });
      await held;
      await agent.kill();
      await events.close();
      assert.equal(await isFrozen(), true);
      holder.release();
      await startAgent();
      await until('thawed', isFrozen, (frozen) => !frozen);
      const job = await untilEnded(jobId(9));
      assert.match(job.error?.message ?? '', /interrupted by the agent's end/);
      assert.equal(await source(), before);
      assert.doesNotMatch(await virsh(['dumpxml', NAME]), /snapshot_job/);
      await snapshot(10, { path: file('five') });
      assert.equal((await untilEnded(jobId(10))).status, 'done');
    });

    it('are part of a snapshot with memory, after which the guest goes on', async () => {
      events.clear(vmID);
      await snapshot(11, { path: file('six') }, { snapMemory: file('memory') });
      assert.equal((await untilEnded(jobId(11))).status, 'done');
      assert.ok(statSync(file('memory')).size > MIB);
      assert.equal(await source(), 'six');
      await events.until(vmID, { status: 'Paused' });
      await until(
        'the guest runs again',
        async () => ((await events.call('VM.getInfo', { vmID })) as { status: string }).status,
        (status) => status === 'Up' || status === 'Powering up',
      );
      await guest.text('true');
    });

    it('hold what the guest has written, also after its end', async () => {
      await write(80, 8);
      const [written] = (await digest()).split(' ');
      await events.call('VM.destroy', { vmID });
      assert.match(await qemuImg('check', file('six')), /No errors were found/);
      await qemuImg('convert', '-O', 'raw', file('six'), file('raw'));
      assert.equal(await md5Of(file('raw')), written);
    });
  },
);

async function md5Of(path: string): Promise<string> {
  const hash = createHash('md5');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
