/**
 * Restarts of the agent on the real machine: it is killed in the middle of everything, VMs change while it is away, and the
 * next one derives the right record of each, from libvirt's state and the domains' metadata.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe, it } from 'node:test';
import { AgentProcess } from '../support/agent-process.js';
import { engineXml, type EngineVm } from '../support/engine-xml.js';
import { GuestConsole } from '../support/guest-console.js';
import { guestDomainXml } from '../support/guest-domain.js';
import { guestImage, type GuestImage } from '../support/guest-image.js';
import {
  libvirtRequired,
  LIBVIRT_SOCKET,
  removeDomains,
  skipWithoutLibvirt,
  virsh,
} from '../support/real-libvirt.js';
import { VmEvents, type VmPayload } from '../support/vm-events.js';

const PREFIX = 'vdsm-agent-restart-';
const idOf = (index: number): string => `4e57a470-0000-4000-8000-${String(index).padStart(12, '0')}`;
const nameOf = (index: number): string => `${PREFIX}${index}`;
const metadata = (values = ''): string =>
  `<metadata><ovirt-vm:vm xmlns:ovirt-vm="http://ovirt.org/vm/1.0">${values}</ovirt-vm:vm></metadata>`;

/** Where QEMU's own user gets through. */
const folder = mkdtempSync('/var/tmp/vdsm-agent-restart-');
const small = join(folder, 'small');
const slowQemu = join(folder, 'slow-qemu');

const emptyXml = (index: number, { managed = true, values = '', devices = '' } = {}): string => `
<domain type='qemu'><name>${nameOf(index)}</name><uuid>${idOf(index)}</uuid>${managed ? metadata(values) : ''}
  <memory unit='MiB'>16</memory><vcpu>1</vcpu><os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>
  <devices>${devices}</devices>
</domain>`;

async function define(xml: string): Promise<void> {
  const path = join(folder, 'domain.xml');
  writeFileSync(path, xml);
  await virsh(['define', path]);
}

function kill(index: number): void {
  process.kill(Number(readFileSync(`/run/libvirt/qemu/${nameOf(index)}.pid`, 'utf8')), 'SIGKILL');
}

async function untilState(index: number, state: RegExp): Promise<void> {
  // It may not be defined yet.
  const found = (): Promise<string> => virsh(['domstate', '--reason', nameOf(index)]).catch(() => '');
  for (let attempt = 0; !state.test(await found()); attempt++) {
    assert.ok(attempt < 300, `${nameOf(index)} never is ${String(state)}`);
    await delay(100);
  }
}

describe('a restart of the agent on real QEMU', { skip: skipWithoutLibvirt(), timeout: 300_000 }, () => {
  let agent: AgentProcess;
  let events: VmEvents;

  const startAgent = async (): Promise<void> => {
    agent = await AgentProcess.start([
      ...['--uri', `qemu+unix:///system?socket=${LIBVIRT_SOCKET}`],
      ...['--listen', `unix:${join(folder, 'agent.sock')}`, '--config', join(folder, 'config.json')],
    ]);
    events = await VmEvents.open(agent.address);
  };
  const killAgent = async (): Promise<void> => {
    await agent.kill();
    await events.close();
  };
  const create = (index: number, xml = emptyXml(index)): Promise<unknown> =>
    events.call('VM.create', { vmID: idOf(index), vmParams: { xml } });
  const destroy = (index: number): Promise<unknown> => events.call('VM.destroy', { vmID: idOf(index) });
  /** Our VMs in Host.getAllVmStats. */
  const records = async (): Promise<Map<string, VmPayload>> => {
    const all = (await events.call('Host.getAllVmStats', {})) as unknown as VmPayload[];
    return new Map(all.map((record) => [String(record['vmId']), record]));
  };
  const record = async (index: number): Promise<VmPayload | undefined> => (await records()).get(idOf(index));
  const exitOf = (of: VmPayload | undefined): string =>
    of?.['status'] === 'Down'
      ? `${String(of['exitCode'])}/${String(of['exitReason'])}`
      : String(of?.['status']);

  before(async () => {
    await removeDomains(PREFIX);
    chmodSync(folder, 0o755);
    writeFileSync(
      join(folder, 'config.json'),
      JSON.stringify({ balloonStatsPeriodSec: 0, stateDir: join(folder, 'state') }),
    );
    writeFileSync(
      slowQemu,
      `#!/bin/sh\ncase "$*" in *guest=${PREFIX}*) sleep 5;; esac\nexec /usr/bin/qemu-system-x86_64 "$@"\n`,
      { mode: 0o755 },
    );
    await startAgent();
  });

  after(async () => {
    await events.close();
    await agent.stop();
    await removeDomains(PREFIX);
    rmSync(folder, { recursive: true });
  });

  it('finds what has become of each VM while nobody looked', async () => {
    const diskPath = join(folder, 'no-disk');
    const failing: EngineVm = { name: nameOf(8), uuid: idOf(8), diskPath };
    for (const index of [1, 2, 3, 4, 5, 6]) await create(index);
    await create(8, engineXml(failing));
    for (const index of [1, 2, 3, 4, 5, 6]) await events.until(idOf(index), { status: 'Powering up' });
    const failed = await events.until(idOf(8), { status: 'Down' });
    await events.call('VM.pause', { vmID: idOf(2) });
    await events.call('VM.shutdown', { vmID: idOf(6), timeout: 600 });
    await define(emptyXml(9, { managed: false }));
    await define(emptyXml(10, { managed: false }));
    await virsh(['start', nameOf(9)]);
    await events.until(idOf(9), { status: 'Up' });
    const old = await events.call('Agent.subscribe', {});
    const before = await record(1);
    // What was ordered is in the metadata a moment after the reply.
    for (let attempt = 0; !(await virsh(['dumpxml', nameOf(6)])).includes('pendingExitReason'); attempt++) {
      assert.ok(attempt < 100);
      await delay(100);
    }

    await killAgent();
    kill(3);
    await virsh(['destroy', nameOf(4)]);
    await virsh(['save', nameOf(5), join(folder, 'memory')]);
    kill(6);
    await define(
      emptyXml(7, { values: `<ovirt-vm:startTime type="float">${Date.now() / 1000}</ovirt-vm:startTime>` }),
    );
    for (const index of [3, 6]) await untilState(index, /shut off/);
    await startAgent();

    const found = await records();
    const exits = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((index) => exitOf(found.get(idOf(index))));
    assert.deepEqual(exits, ['Up', 'Paused', '1/2', '0/6', '0/5', '0/6', '1/1', '1/1', 'Up', 'undefined']);
    assert.equal(found.get(idOf(2))?.['pauseCode'], 'NOERR');
    assert.equal(found.get(idOf(1))?.['hash'], before?.['hash'], 'the same devices, the same hash');
    assert.ok(
      Number(found.get(idOf(1))?.['elapsedTime']) >= Number(before?.['elapsedTime']),
      'its age goes on',
    );
    assert.match(String(found.get(idOf(7))?.['exitMessage']), /start of the VM was not completed/);
    assert.equal(found.get(idOf(8))?.['exitMessage'], failed['exitMessage'], 'as it was told before');
    assert.match(String(failed['exitMessage']), /no-disk/);

    const { epoch, seq } = old as { epoch: string; seq: number };
    const fresh = await events.call('Agent.subscribe', { resume: { epoch, seq } });
    assert.notEqual(fresh.epoch, epoch);
    assert.equal(fresh.missed, undefined);
    assert.equal(fresh.vms?.find(({ vmId }) => vmId === idOf(3))?.status, 'Down');

    for (const index of [1, 2, 3, 4, 5, 6, 7, 8]) await destroy(index);
    const left = await virsh(['list', '--all', '--name']);
    assert.deepEqual(
      left
        .split('\n')
        .filter((name) => name.startsWith(PREFIX))
        .sort(),
      [nameOf(10), nameOf(9)],
    );
    await removeDomains(PREFIX);
  });

  for (const [end, finish] of [
    ['comes up', () => Promise.resolve('')],
    ['fails', (index: number) => virsh(['destroy', nameOf(index)])],
  ] as const) {
    it(`lists a start that an agent left under way as WaitForLaunch until it ${end}`, async () => {
      const index = 20;
      await create(index, emptyXml(index, { devices: `<emulator>${slowQemu}</emulator>` }));
      await untilState(index, /starting up/);
      await killAgent();
      await startAgent();
      assert.equal((await record(index))?.['status'], 'WaitForLaunch');
      await finish(index);
      if (end === 'comes up') {
        await events.until(idOf(index), { status: 'Up' });
      } else {
        assert.match(await events.untilDown(idOf(index)), /^(1\/3|1\/2|0\/6)$/);
      }
      await destroy(index);
    });
  }

  it('ends by SIGTERM in the middle of a start, too, and the next agent finds it', async () => {
    const index = 21;
    await create(index, emptyXml(index, { devices: `<emulator>${slowQemu}</emulator>` }));
    await untilState(index, /starting up/);
    await events.close();
    assert.equal((await agent.stop()).code, 0);
    await untilState(index, /running/);
    await startAgent();
    assert.equal((await record(index))?.['status'], 'Up');
    await destroy(index);
  });

  it('keeps the exit record of a VM that was started again by somebody out of its next end', async () => {
    const index = 22;
    await create(index);
    await events.until(idOf(index), { status: 'Powering up' });
    kill(index);
    assert.equal(await events.untilDown(idOf(index)), '1/2');
    const text = (): Promise<string> => virsh(['dumpxml', '--inactive', nameOf(index)]);
    const untilText = async (what: RegExp, isThere: boolean): Promise<void> => {
      for (let attempt = 0; what.test(await text()) !== isThere; attempt++) {
        assert.ok(attempt < 100, String(what));
        await delay(100);
      }
    };
    await untilText(/exitReason type="int">2</, true);
    await virsh(['start', nameOf(index)]);
    await events.until(idOf(index), { status: 'Up' });
    await untilText(/exitReason/, false);
    await killAgent();
    await virsh(['destroy', nameOf(index)]);
    await startAgent();
    assert.equal(exitOf(await record(index)), '0/6');
    await destroy(index);
  });

  describe('with a guest', () => {
    const index = 30;
    const image: GuestImage | undefined = guestImage();
    const isRoot = process.getuid?.() === 0;
    const consolePath = join(folder, 'qemu', 'console');
    let guest: GuestConsole | undefined;
    let isMounted = false;

    after(async () => {
      guest?.close();
      await removeDomains(nameOf(index));
      if (isMounted) execFileSync('umount', [small]);
    });

    it(
      'finds why and since when it is paused, and that it has shut down in good order',
      { skip: image && isRoot ? false : libvirtRequired ? false : 'needs root and a kernel for a guest' },
      async () => {
        assert.ok(image, 'the guest needs its Debian packages');
        for (const each of [small, join(folder, 'qemu')]) mkdirSync(each);
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', PREFIX, small]);
        isMounted = true;
        for (const each of [small, join(folder, 'qemu')]) chmodSync(each, 0o777);
        const path = join(small, 'disk.qcow2');
        execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', path, '64M']);
        const devices = `<disk type='file' device='disk'><driver name='qemu' type='qcow2' error_policy='stop'/><source file='${path}'/><target dev='vda' bus='virtio'/></disk>`;
        await create(
          index,
          guestDomainXml({
            name: nameOf(index),
            uuid: idOf(index),
            image,
            consolePath,
            metadata: metadata(),
            devices,
          }),
        );
        guest = await GuestConsole.open(consolePath);
        await guest.text(
          '(sleep 1; dd if=/dev/urandom of=/dev/vda bs=64k count=32 oflag=direct) >/dev/null 2>&1 &',
        );
        await events.until(idOf(index), { status: 'Paused', pauseCode: 'ENOSPC' }, 60_000);
        const pauseTime = async (): Promise<string | undefined> =>
          /<ovirt-vm:pauseTime[^>]*>([^<]+)</.exec(await virsh(['dumpxml', nameOf(index)]))?.[1];
        for (let attempt = 0; (await pauseTime()) === undefined; attempt++) {
          assert.ok(attempt < 100);
          await delay(100);
        }
        const since = await pauseTime();

        await killAgent();
        await startAgent();
        const paused = await record(index);
        assert.deepEqual([paused?.['status'], paused?.['pauseCode']], ['Paused', 'ENOSPC']);
        assert.equal(await pauseTime(), since, 'it is paused as long as it was');

        execFileSync('mount', ['-o', 'remount,size=128m', small]);
        await events.call('VM.cont', { vmID: idOf(index) });
        await guest.untilReady();
        await killAgent();
        await virsh(['shutdown', '--mode', 'acpi', nameOf(index)]);
        await untilState(index, /shut off/);
        await startAgent();
        assert.equal(exitOf(await record(index)), '0/7');
        await destroy(index);
      },
    );
  });
});
