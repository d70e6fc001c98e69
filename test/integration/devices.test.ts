/**
 * Devices and limits of a booted Linux guest on real QEMU: what the verbs of the agent do is looked for in the guest and
 * in virsh. A second VM has no kernel, so that it never lets go of anything.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { AgentProcess } from '../support/agent-process.js';
import { GuestConsole } from '../support/guest-console.js';
import { guestDomainXml } from '../support/guest-domain.js';
import { guestImage } from '../support/guest-image.js';
import {
  domstats,
  libvirtRequired,
  LIBVIRT_SOCKET,
  removeDomains,
  skipWithoutLibvirt,
  virsh,
} from '../support/real-libvirt.js';
import { VmEvents } from '../support/vm-events.js';
import { isLetIn, VncViewer, WITH_PASSWORD } from '../support/vnc-viewer.js';

const PREFIX = 'vdsm-agent-devices-';
const NAME = `${PREFIX}1`;
const EMPTY = `${PREFIX}2`;
const vmID = 'de71ce00-0000-4000-8000-000000000001';
const emptyID = 'de71ce00-0000-4000-8000-000000000002';
const MAC = '52:54:00:de:71:01';
const BRIDGES = ['vdsmdevtest0', 'vdsmdevtest1'] as const;
const MIB = 2 ** 20;
const METADATA = `<metadata><ovirt-vm:vm xmlns:ovirt-vm="http://ovirt.org/vm/1.0"/></metadata>`;
const CONSOLE = `<graphics type='vnc' autoport='yes' passwd='nobody' passwdValidTo='1970-01-01T00:00:01'>
  <listen type='address' address='127.0.0.1'/></graphics><video><model type='vga'/></video>`;

/** In a folder that QEMU's own user can read. */
const folder = mkdtempSync('/var/tmp/vdsm-agent-devices-');
const qemu = join(folder, 'qemu');
const file = (name: string): string => join(qemu, name);
const image = guestImage();
const socketPath = join(folder, 'agent.sock');

const hotplug = (device: string, data = ''): { xml: string } => ({
  xml:
    `<hotplug><devices>${device}</devices><metadata><ovirt-vm:vm xmlns:ovirt-vm="http://ovirt.org/vm/1.0">` +
    `${data}</ovirt-vm:vm></metadata></hotplug>`,
});
const nicXml = (network: string): string =>
  `<interface ${network}<mac address='${MAC}'/><model type='virtio'/><link state='up'/><alias name='ua-nic-1'/></interface>`;
const diskXml = (path: string, target: string): string =>
  `<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='${path}'/>` +
  `<target dev='${target}' bus='virtio'/><alias name='ua-disk-1'/></disk>`;

/** False where this machine lets nobody make bridges: then the NIC is one of QEMU's own. */
function makeBridges(): boolean {
  try {
    for (const bridge of BRIDGES) {
      execFileSync('ip', ['link', 'add', bridge, 'type', 'bridge'], { stdio: 'ignore' });
      execFileSync('ip', ['link', 'set', bridge, 'up'], { stdio: 'ignore' });
    }
    return true;
  } catch {
    return false;
  }
}

function removeBridges(): void {
  for (const bridge of BRIDGES) {
    try {
      execFileSync('ip', ['link', 'del', bridge], { stdio: 'ignore' });
    } catch {
      // It was not made.
    }
  }
}

describe(
  'devices of a guest on real QEMU',
  { skip: skipWithoutLibvirt() || (!image && !libvirtRequired && 'no test guest'), timeout: 300_000 },
  () => {
    const arguments_ = [
      ...['--uri', `qemu+unix:///system?socket=${LIBVIRT_SOCKET}`, '--listen', `unix:${socketPath}`],
      ...['--period', '1', '--config', join(folder, 'config.json')],
    ];
    let agent: AgentProcess;
    let events: VmEvents;
    let guest: GuestConsole;
    let bridged = false;
    /** Of what before() has got to. */
    const closers: (() => unknown)[] = [];

    const startAgent = async (): Promise<void> => {
      agent = await AgentProcess.start(arguments_);
      events = await VmEvents.open(agent.address);
    };
    const call = (verb: string, params: object, id = vmID): Promise<unknown> =>
      events.call(verb, { vmID: id, ...params });
    const record = async (): Promise<Record<string, unknown>> =>
      ((await call('VM.getStats', {})) as Record<string, unknown>[])[0] ?? {};
    const dumped = async (): Promise<string> =>
      ((await events.call('Host.dumpxmls', { vmList: [vmID] })) as Record<string, string>)[vmID] ?? '';
    const until = async (what: string, is: () => Promise<boolean>, limitMs = 30_000): Promise<void> => {
      const endMs = performance.now() + limitMs;
      while (!(await is())) {
        if (performance.now() > endMs) throw new Error(`${what}: not within ${limitMs} ms`);
        await delay(100);
      }
    };
    const vncPort = async (): Promise<number> => {
      const [console] = (await record())['displayInfo'] as { port: string }[];
      return Number(console?.port);
    };
    const setTicket = (more: object): Promise<unknown> =>
      call('VM.updateDevice', {
        params: { deviceType: 'graphics', graphicsType: 'vnc', existingConnAction: 'disconnect', ...more },
      });

    /** Both ask a guest without a kernel, while the other tests run. */
    let keptTwice: Promise<unknown>[] = [];
    const askGuestWithoutKernel = async (): Promise<void> => {
      const xml = `<domain type='qemu'><name>${EMPTY}</name><uuid>${emptyID}</uuid>${METADATA}<memory unit='MiB'>32</memory>
        <vcpu current='1'>2</vcpu><os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features></domain>`;
      await events.call('VM.create', { vmParams: { xml } });
      await events.until(emptyID, { status: 'Powering up' });
      const nic = hotplug(
        `<interface type='user'><mac address='${MAC}'/><alias name='ua-nic-1'/></interface>`,
      );
      await call('VM.hotplugNic', { params: nic }, emptyID);
      const ask = (): Promise<unknown> =>
        call('VM.hotunplugNic', { params: nic }, emptyID).then(
          () => undefined,
          (error: unknown) => error,
        );
      const first = ask();
      keptTwice = [first, first.then(ask)];
    };

    before(async () => {
      await removeDomains(PREFIX);
      removeBridges();
      assert.ok(image, 'the guest needs linux-image-cloud-amd64, busybox-static and qemu-guest-agent');
      bridged = makeBridges();
      chmodSync(folder, 0o755);
      mkdirSync(qemu);
      chmodSync(qemu, 0o777);
      writeFileSync(join(folder, 'config.json'), JSON.stringify({ balloonStatsPeriodSec: 0 }));
      for (const [name, letter] of [
        ['one.iso', 'A'],
        ['two.iso', 'B'],
        ['disk.raw', 'D'],
        ['floppy.img', 'F'],
      ] as const) {
        writeFileSync(file(name), Buffer.alloc(name === 'floppy.img' ? 1_474_560 : 2 * MIB, letter));
      }
      await startAgent();
      closers.push(
        () => agent.stop(),
        () => events.close(),
      );
      await askGuestWithoutKernel();
      const xml = guestDomainXml({
        ...{ name: NAME, uuid: vmID, image, consolePath: file('console'), machine: 'pc', memoryMiB: 256 },
        metadata: METADATA,
        vcpu:
          `<maxMemory slots='4' unit='MiB'>1024</maxMemory><vcpu current='1'>4</vcpu>` +
          `<cpu><numa><cell id='0' cpus='0-3' memory='256' unit='MiB'/></numa></cpu>`,
        devices:
          `${CONSOLE}<disk type='file' device='cdrom'><target dev='hdc' bus='ide'/><readonly/><alias name='ua-cd'/></disk>` +
          `<disk type='file' device='floppy'><target dev='fda' bus='fdc'/></disk>`,
      });
      await events.call('VM.create', { vmParams: { xml } });
      await events.until(vmID, { status: 'Powering up' });
      guest = await GuestConsole.open(file('console'));
      closers.push(() => guest.close());
    });

    after(async () => {
      for (const close of closers.reverse()) await close();
      await removeDomains(PREFIX);
      removeBridges();
      rmSync(folder, { recursive: true });
    });

    it('a NIC comes into the guest, loses and regains its link, changes its bridge, and goes', async () => {
      const before = (await record())['hash'];
      const network = bridged ? `type='bridge'><source bridge='${BRIDGES[0]}'/>` : `type='user'>`;
      const data = `<ovirt-vm:device alias="ua-nic-1" mac_address="${MAC}"><ovirt-vm:custom/></ovirt-vm:device>`;
      const reply = (await call('VM.hotplugNic', { params: hotplug(nicXml(network), data) })) as {
        devices: unknown;
        xml: string;
      };
      assert.deepEqual(reply.devices, [{ macAddr: MAC, alias: 'ua-nic-1' }]);
      assert.equal(await dumped(), reply.xml);
      assert.notEqual((await record())['hash'], before);
      assert.match(await virsh(['dumpxml', NAME, '--inactive']), new RegExp(MAC), 'in the definition, too');
      assert.match(reply.xml, /<ovirt-vm:device alias="ua-nic-1"/);
      await guest.until(`grep -q ${MAC} /sys/class/net/eth0/address`);

      const update = (more: object): Promise<unknown> =>
        call('VM.updateDevice', { params: { deviceType: 'interface', alias: 'ua-nic-1', ...more } });
      await update({ linkActive: 'false' });
      assert.match(await virsh(['domif-getlink', NAME, MAC]), /down/);
      await guest.until('ip link set eth0 up; [ "$(cat /sys/class/net/eth0/carrier)" = 0 ]');
      await update({ linkActive: true, ...(bridged && { network: BRIDGES[1] }) });
      assert.match(await virsh(['domif-getlink', NAME, MAC]), /up/);
      await guest.until('[ "$(cat /sys/class/net/eth0/carrier)" = 1 ]');
      if (bridged) {
        for (const more of [[], ['--inactive']]) {
          assert.match(await virsh(['dumpxml', NAME, ...more]), new RegExp(`bridge='${BRIDGES[1]}'`));
        }
        assert.match(await dumped(), new RegExp(`bridge='${BRIDGES[1]}'`));
      }
      await update({ network: '' });
      assert.match(await virsh(['domif-getlink', NAME, MAC]), /down/);
      await assert.rejects(update({ portMirroring: ['net'] }), { code: 44 });
      await assert.rejects(
        call('VM.updateDevice', { params: { deviceType: 'interface', alias: 'ua-none', linkActive: true } }),
        { code: 56 },
      );

      assert.deepEqual(
        await call('VM.hotunplugNic', { params: hotplug(`<interface><alias name='ua-nic-1'/></interface>`) }),
        {},
      );
      await guest.until('[ ! -e /sys/class/net/eth0 ]');
      assert.doesNotMatch(await dumped(), /ua-nic-1/, 'neither the device nor its metadata');
      assert.doesNotMatch(await virsh(['dumpxml', NAME, '--inactive']), /ua-nic-1/);
      await assert.rejects(call('VM.hotunplugNic', { params: hotplug(nicXml(network)) }), { code: 50 });
    });

    it('a disk comes into the guest, is limited, and goes', async () => {
      const data = `<ovirt-vm:device devtype="disk" name="vda"><ovirt-vm:imageID>image-1</ovirt-vm:imageID></ovirt-vm:device>`;
      const params = hotplug(diskXml(file('disk.raw'), 'vda'), data);
      assert.deepEqual(await call('VM.hotplugDisk', { params }), {});
      assert.equal(await guest.until('head -c 4 /dev/vda'), 'DDDD');
      await until('the record has the disk', async () => {
        const disks = (await record())['disks'] as Record<string, { imageID?: string }> | undefined;
        return disks?.['vda']?.imageID === 'image-1';
      });
      await call('VM.hotplugDisk', { params });

      const set = (ioTune: object): Promise<unknown> =>
        call('VM.setIoTune', { tunables: [{ name: 'vda', ioTune }] });
      assert.deepEqual(await set({ total_iops_sec: 600 }), { code: 0, message: 'Done' });
      await set({ read_bytes_sec: 4 * MIB });
      const limits = await virsh(['blkdeviotune', NAME, 'vda']);
      assert.match(limits, /total_iops_sec\s*: 600\b/);
      assert.match(limits, new RegExp(`read_bytes_sec\\s*: ${4 * MIB}\\b`));
      await assert.rejects(set({ total_bytes_sec: 1 }), { code: 64 });
      const ioTune = { total_bytes_sec: 0, read_bytes_sec: 4 * MIB, write_bytes_sec: 0 };
      const found = { ...ioTune, total_iops_sec: 600, read_iops_sec: 0, write_iops_sec: 0 };
      const tuned = [{ name: 'vda', path: file('disk.raw'), ioTune: found }];
      assert.deepEqual(await call('VM.getIoTune', {}), tuned);
      const all = (await events.call('Host.getAllVmIoTunePolicies', {})) as Record<string, unknown>;
      assert.deepEqual(all[vmID], { policy: [], current_values: tuned });
      await virsh(['blkdeviotune', NAME, 'vda', '--write-iops-sec', '0', '--total-iops-sec', '70', '--live']);
      await until("another's change of the limits is seen", async () => {
        const others = (await events.call('Host.getAllVmIoTunePolicies', {})) as Record<string, unknown>;
        return JSON.stringify(others[vmID]).includes('"total_iops_sec":70');
      });
      await set({ total_iops_sec: 0, read_bytes_sec: 0 });
      assert.doesNotMatch(await dumped(), /<iotune>/);

      assert.deepEqual(
        await call('VM.hotunplugDisk', { params: hotplug(`<disk><alias name='ua-disk-1'/></disk>`) }),
        {},
      );
      await guest.until('[ ! -e /sys/block/vda ]');
      assert.doesNotMatch(await dumped(), /image-1/);
      await assert.rejects(call('VM.hotplugDisk', { params: hotplug(diskXml(file('none.raw'), 'vdb')) }), {
        code: 45,
        message: /none\.raw/,
      });
      assert.doesNotMatch(await dumped(), /none\.raw/);
    });

    it('a CD is changed and taken out under the eyes of the guest, which cannot keep it', async () => {
      const readCd = `dd if=/dev/sr0 bs=2048 count=1 2>/dev/null | head -c 4`;
      assert.deepEqual(await call('VM.changeCD', { driveSpec: file('one.iso') }), {});
      await guest.until(`[ "$(${readCd})" = AAAA ]`);
      await call('VM.changeCD', { driveSpec: { iface: 'ide', index: '2', path: file('two.iso') } });
      await guest.until(`[ "$(${readCd})" = BBBB ]`);
      for (const more of [[], ['--inactive']]) {
        assert.match(await virsh(['domblklist', NAME, ...more]), /hdc +\S*two\.iso/);
      }
      assert.match(await dumped(), /two\.iso/);
      await assert.rejects(call('VM.changeCD', { driveSpec: file('three.iso') }), {
        code: 13,
        message: /three\.iso/,
      });
      assert.match(await virsh(['domblklist', NAME]), /hdc +\S*two\.iso/);

      // Who has it open has it locked.
      await guest.text('sleep 20 </dev/sr0 >/dev/null 2>&1 & true');
      await call('VM.changeCD', { driveSpec: { name: 'hdc', path: '' } });
      assert.match(agent.output, /A guest keeps its CD/);
      for (const more of [[], ['--inactive']]) {
        assert.match(await virsh(['domblklist', NAME, ...more]), /hdc +-/);
      }
      assert.deepEqual(await call('VM.changeFloppy', { driveSpec: file('floppy.img') }), {});
      assert.match(await virsh(['domblklist', NAME]), /fda +\S*floppy\.img/);
      await call('VM.changeFloppy', { driveSpec: '' });
      assert.match(await virsh(['domblklist', NAME]), /fda +-/);
    });

    // That they go again is not tried with this guest: QEMU's emulation (7.2) does not outlive it.
    it('vCPUs come, pinned where that was asked for', async () => {
      await call('VM.setNumberOfCpus', { numberOfCpus: '3', cpusets: ['0', '0-1', '1'] });
      await guest.until('[ "$(nproc)" = 3 ]');
      assert.match(await virsh(['vcpupin', NAME]), /0 +0\n +1 +0-1\n +2 +1\n/);
      assert.match(await virsh(['dumpxml', NAME, '--inactive']), /<vcpu [^>]*current='3'/);
      assert.match(await dumped(), /<vcpu [^>]*current='3'/);
      await assert.rejects(call('VM.setNumberOfCpus', { numberOfCpus: 5 }), {
        code: 60,
        message: /4 vCPUs at most/,
      });
      await assert.rejects(call('VM.setNumberOfCpus', { numberOfCpus: 3, cpusets: ['0', '0', 'x'] }), {
        code: 91,
      });
      await assert.rejects(call('VM.setNumberOfCpus', { numberOfCpus: 3, cpusets: ['0', '0', '4000'] }), {
        code: 60,
      });
    });

    it('memory comes, and goes when the guest lets go of it', async () => {
      const total = async (): Promise<number> =>
        Number(await guest.text(`awk '/MemTotal/ {print $2}' /proc/meminfo`));
      // Else the kernel puts things into it that it cannot move away again.
      await guest.text('echo online_movable >/sys/devices/system/memory/auto_online_blocks');
      const before = await total();
      const memory = `<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target><alias name='ua-dimm-1'/></memory>`;
      assert.deepEqual(
        await call('VM.hotplugMemory', { params: { ...hotplug(memory), memGuaranteedSize: 64 } }),
        {},
      );
      await until('the guest has it', async () => (await total()) > before + 100 * 1024);
      assert.match(await dumped(), /ua-dimm-1/);
      const info = (await record())['balloonInfo'] as Record<string, string>;
      assert.equal(info['balloon_min'], String(64 * 1024));
      assert.equal(info['balloon_max'], String(384 * 1024));
      assert.equal(
        await call('VM.hotunplugMemory', { params: hotplug(`<memory><alias name='ua-dimm-1'/></memory>`) }),
        true,
      );
      await until('the module is gone', async () => !(await dumped()).includes('ua-dimm-1'));
      assert.ok((await total()) < before + 100 * 1024);
    });

    it('a guest without a kernel keeps its NIC, the error says why, and it may be asked again', async () => {
      for (const error of await Promise.all(keptTwice)) {
        assert.ok(error instanceof Error);
        assert.equal((error as Error & { code?: unknown }).code, 50);
        assert.match(error.message, /within 30 s.*without a running kernel/);
      }
      assert.match(await virsh(['dumpxml', EMPTY]), new RegExp(MAC));
      await call('VM.setNumberOfCpus', { numberOfCpus: 2 }, emptyID);
      await assert.rejects(call('VM.setNumberOfCpus', { numberOfCpus: 1 }, emptyID), { code: 60 });
    });

    it('a console lets in who has the ticket while it is valid, and the password is nowhere to be read', async () => {
      const port = await vncPort();
      const password = 'Kn0ck-kn';
      assert.equal(
        await isLetIn(port, 'nobody'),
        false,
        'the password that the VM was made with has expired',
      );
      await setTicket({ password: `${password}ock`, ttl: 60 });
      const viewer = await VncViewer.open(port);
      assert.deepEqual(await viewer.greet(), [WITH_PASSWORD]);
      viewer.close();
      assert.equal(await isLetIn(port, password), true);
      assert.equal(await isLetIn(port, 'wrong'), false);
      await setTicket({ password, ttl: 2 });
      assert.equal(await isLetIn(port, password), true);
      await until('the ticket has expired', async () => !(await isLetIn(port, password)));
      assert.equal(
        await call('VM.setTicket', { password: '', ttl: 60, existingConnAction: 'keep', params: {} }),
        true,
      );
      assert.equal(await isLetIn(port, ''), false);
      await setTicket({ password, ttl: 0 });
      assert.equal(await isLetIn(port, password), false);
      assert.ok(!agent.output.includes(password) && !(await dumped()).includes(password));
      await assert.rejects(setTicket({ graphicsType: 'spice', password, ttl: 60 }), { code: 18 });
    });

    it('the balloon reaches its target, which the next agent still knows', async () => {
      const target = 224 * 1024;
      assert.deepEqual(await call('VM.setBalloonTarget', { target }), { code: 0, message: 'Done' });
      await until(
        'the balloon is there',
        async () => (await domstats(NAME)).get('balloon.current') === String(target),
      );
      await events.close();
      await agent.stop();
      await startAgent();
      await until('two samples', async () => (await record())['balloonInfo'] !== undefined);
      const info = (await record())['balloonInfo'] as Record<string, string>;
      assert.equal(info['balloon_target'], String(target));
      await assert.rejects(call('VM.setBalloonTarget', { target: 10 ** 9 }), { code: 53 });
    });

    it('CPU bandwidth is what virsh schedinfo tells, and policies outlive the agent', async () => {
      await call('VM.setCpuTunePeriod', { period: 50_000 });
      await call('VM.setCpuTuneQuota', { quota: 40_000 });
      const info = await virsh(['schedinfo', NAME, '--live']);
      assert.match(info, /vcpu_period\s*: 50000\b/);
      assert.match(info, /vcpu_quota\s*: 40000\b/);
      const { vcpuQuota, vcpuPeriod } = await record();
      assert.deepEqual({ vcpuQuota, vcpuPeriod }, { vcpuQuota: '40000', vcpuPeriod: 50_000 });
      await call('VM.setCpuTuneQuota', { quota: -1 });
      await assert.rejects(call('VM.setCpuTunePeriod', { period: 1 }), { code: 62 });

      const ioTune = [{ name: 'hdc', maximum: { total_iops_sec: 5 } }];
      await call('VM.updateVmPolicy', { params: { vmId: vmID, vcpuLimit: 70, ioTune } });
      assert.equal((await record())['vcpuUserLimit'], 70);
      assert.match(await virsh(['dumpxml', NAME, '--inactive']), /<ovirt-tune:vcpuLimit>70</);
      const [policy] = (await call('VM.getIoTunePolicy', {})) as unknown[];
      assert.deepEqual(policy, { name: 'hdc', path: '', guaranteed: {}, maximum: { total_iops_sec: 5 } });
    });

    it('the VM is shut down when the user whose ticket says so leaves the console', async () => {
      const password = 'bye';
      await setTicket({ password, ttl: 60, disconnectAction: 'SHUTDOWN' });
      const viewer = await VncViewer.open(await vncPort());
      assert.equal(await viewer.enter(password), true);
      await viewer.begin();
      await until('the client is known', async () => (await record())['clientIp'] === '127.0.0.1');
      viewer.close();
      assert.equal(await events.untilDown(vmID, 60_000), '0/6');
    });
  },
);
