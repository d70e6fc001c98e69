/**
 * The life of VMs on the real machine: every way to end one, reboots, hibernation; with a booted Linux guest where the
 * guest has a say in it, with empty machines else.
 */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe, it } from 'node:test';
import { AgentProcess } from '../support/agent-process.js';
import { GuestConsole } from '../support/guest-console.js';
import { guestDomainXml } from '../support/guest-domain.js';
import { guestImage, guestImageFolder, type GuestImage } from '../support/guest-image.js';
import {
  libvirtRequired,
  LIBVIRT_SOCKET,
  removeDomains,
  skipWithoutLibvirt,
  virsh,
  virshList,
} from '../support/real-libvirt.js';
import { VmEvents } from '../support/vm-events.js';

const PREFIX = 'vdsm-agent-life-';
const idOf = (index: number): string => `1f3e0000-0000-4000-8000-${String(index).padStart(12, '0')}`;
const nameOf = (index: number): string => `${PREFIX}${index}`;
const metadata = `<metadata><ovirt-vm:vm xmlns:ovirt-vm="http://ovirt.org/vm/1.0"/></metadata>`;

/** A machine of ours without a system: its firmware reacts to nothing. */
const emptyDomain = (index: number): string => `
<domain type='qemu'>
  <name>${nameOf(index)}</name><uuid>${idOf(index)}</uuid>${metadata}<memory unit='MiB'>16</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features><devices/>
</domain>`;

/** In a folder that QEMU's own user can write to. */
const folder = `/var/tmp/vdsm-agent-life-${process.pid}`;
const socketPath = join(folder, 'agent.sock');
const consolePath = (index: number): string => join(folder, 'qemu', `${index}.console`);
const image = guestImage(guestImageFolder);
/** An emulated guest boots in seconds, but not on a machine that others keep busy. */
const BOOT_LIMIT_MS = 180_000;

function linuxDomain(index: number, ofImage: GuestImage): string {
  return guestDomainXml({
    name: nameOf(index),
    uuid: idOf(index),
    image: ofImage,
    consolePath: consolePath(index),
    metadata,
  });
}

function qemuPid(index: number): number {
  return Number(readFileSync(`/run/libvirt/qemu/${nameOf(index)}.pid`, 'utf8'));
}

/** Waits until libvirt has been waiting for an answer of the QEMU for so long that it counts as stuck. */
async function untilSilent(name: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const [, seconds] = /^occupied \(([\d.]+)s\)/.exec(await virsh(['domcontrol', name])) ?? [];
    if (Number(seconds) >= 3) return;
    await delay(100);
  }
  throw new Error(`${name} still answers`);
}

/** Waits until the guest's agent has come or gone. */
async function untilAgent(name: string, state: 'connected' | 'disconnected'): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    if ((await virsh(['dumpxml', name])).includes(`state='${state}'`)) return;
    await delay(100);
  }
  throw new Error(`the agent of ${name} is not ${state}`);
}

/** Waits until a guest with /tmp/before in its memory has come up anew. */
async function untilRebooted(guest: GuestConsole): Promise<void> {
  for (let attempt = 0; attempt < 120; attempt++) {
    const seen = await guest.run('[ -e /tmp/before ]', 1_000).catch(() => undefined);
    if (seen?.code === 1) return;
  }
  throw new Error(`the guest does not reboot:\n${guest.log.slice(-2000)}`);
}

describe('the life of VMs on real QEMU', { skip: skipWithoutLibvirt(), timeout: 900_000 }, () => {
  const arguments_ = [
    ...['--uri', `qemu+unix:///system?socket=${LIBVIRT_SOCKET}`, '--listen', `unix:${socketPath}`],
    ...['--config', join(folder, 'config.json')],
  ];
  let agent: AgentProcess;
  let events: VmEvents;

  const startAgent = async (): Promise<void> => {
    agent = await AgentProcess.start(arguments_);
    events = await VmEvents.open(agent.address);
  };

  /** Starts a VM and waits until it runs. */
  const create = async (index: number, xml = emptyDomain(index)): Promise<string> => {
    events.clear(idOf(index));
    await events.call('VM.create', { vmParams: { xml } });
    await events.until(idOf(index), { status: 'Powering up' });
    return idOf(index);
  };

  before(async () => {
    await removeDomains(PREFIX);
    mkdirSync(join(folder, 'qemu'), { recursive: true });
    chmodSync(folder, 0o755);
    chmodSync(join(folder, 'qemu'), 0o777);
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ balloonStatsPeriodSec: 0 }));
    await startAgent();
  });

  after(async () => {
    await events.close();
    await agent.stop();
    await removeDomains(PREFIX);
    rmSync(folder, { recursive: true, force: true });
  });

  describe('that have no system to react', () => {
    it('are ended by VM.shutdown with force, after its time, as an administrator ends them', async () => {
      const vmID = await create(1);
      await events.call('VM.shutdown', { vmID, timeout: 1, force: true });
      await events.until(vmID, { status: 'Powering down' });
      assert.equal(await events.untilDown(vmID), '0/6');
      assert.equal((await virshList(nameOf(1))).get(nameOf(1)), 'shut off');
      await events.call('VM.destroy', { vmID });
      assert.equal((await virshList(nameOf(1))).size, 0, 'the definition goes with the VM');
    });

    it('are Up again after a VM.shutdown that nobody obeyed', async () => {
      const vmID = await create(1);
      await events.call('VM.shutdown', { vmID, timeout: 1 });
      await events.until(vmID, { status: 'Powering down' });
      await events.until(vmID, { status: 'Up' });
      await events.call('VM.destroy', { vmID });
      assert.equal(await events.untilDown(vmID), '0/6');
    });

    it('are reset, and end with 0/13 where that was asked for', async () => {
      const vmID = await create(1);
      events.clear(vmID);
      await events.call('VM.reset', { vmID });
      await events.until(vmID, { status: 'RebootInProgress' });
      assert.deepEqual(events.statuses(vmID), ['RebootInProgress']);
      await events.call('VM.setDestroyOnReboot', { vmID });
      await events.call('VM.reset', { vmID });
      assert.equal(await events.untilDown(vmID), '0/13');
      await events.call('VM.destroy', { vmID });
    });

    const ends: readonly (readonly [string, string, (index: number) => unknown])[] = [
      ['a QEMU that is killed', '1/2', (index) => process.kill(qemuPid(index), 'SIGKILL')],
      ['a QEMU that an init system ends', '1/11', (index) => process.kill(qemuPid(index), 'SIGTERM')],
      ['virsh destroy', '1/11', (index) => virsh(['destroy', nameOf(index)])],
    ];
    for (const [what, exit, end] of ends) {
      it(`are Down with ${exit} after ${what}, which is told once`, async () => {
        const vmID = await create(2);
        await end(2);
        assert.equal(await events.untilDown(vmID), exit);
        assert.deepEqual(events.statuses(vmID), ['WaitForLaunch', 'Powering up', 'Down']);
        await events.call('VM.destroy', { vmID });
      });
    }

    it('are destroyed although another verb hangs in their frozen QEMU', async () => {
      const vmID = await create(3);
      const pid = qemuPid(3);
      process.kill(pid, 'SIGSTOP');
      const pausing = assert.rejects(events.call('VM.pause', { vmID }));
      await assert.rejects(events.call('VM.cont', { vmID }), /busy: running VM.pause/);
      await untilSilent(nameOf(3));
      const destroying = events.call('VM.destroy', { vmID });
      await assert.rejects(events.call('VM.cont', { vmID }), /busy: running VM.destroy/);
      assert.equal(await destroying, true);
      assert.equal(await events.untilDown(vmID), '0/6');
      await pausing;
      assert.equal(existsSync(`/proc/${pid}`), false);
      assert.equal((await virshList(nameOf(3))).size, 0);
    });

    it('cannot be saved where there is no folder or no space, and run on', async () => {
      const vmID = await create(4);
      const saveTo = (path: string): Promise<unknown> =>
        events.call('VM.hibernate', { vmID, hibernationVolHandle: path });
      await assert.rejects(saveTo(join(folder, 'absent', 'memory')), /cannot be saved there: ENOENT/);
      await assert.rejects(
        saveTo('00000000-0000-4000-8000-000000000000,'.repeat(6).slice(0, -1)),
        /storage pool/,
      );
      events.clear(vmID);
      await saveTo('/dev/shm/vdsm-agent-life.memory');
      assert.equal(await events.untilDown(vmID), '0/5');
      await assert.rejects(
        events.call('VM.create', {
          vmParams: { xml: emptyDomain(4), memoryDumpVolume: '/dev/shm/vdsm-agent-life.memory' },
        }),
        /already exists/,
      );
      await events.call('VM.destroy', { vmID });
      for (const path of ['/dev/shm/vdsm-agent-life.memory', '/dev/shm/vdsm-agent-life.memory.json']) {
        assert.equal(existsSync(path), true, 'the files are left to whoever named them');
        rmSync(path);
      }
    });

    it('are Down with a sentence where their saved state cannot be used', async () => {
      const vmID = idOf(5);
      const memoryDumpVolume = join(folder, 'pickled');
      writeFileSync(memoryDumpVolume, '');
      writeFileSync(`${memoryDumpVolume}.json`, Buffer.from('\x80\x04cos\nsystem\n', 'latin1'));
      const reply = await events.call('VM.create', { vmParams: { xml: emptyDomain(5), memoryDumpVolume } });
      assert.equal(reply.status, 'Restoring state');
      const down = await events.until(vmID, { status: 'Down' });
      assert.deepEqual([down['exitCode'], down['exitReason']], [1, 1]);
      assert.match(
        String(down['exitMessage']),
        /^Wake up from hibernation failed: .*pickled\.json is a Python pickle/,
      );
      await events.call('VM.destroy', { vmID });
    });
  });

  const skip = image === undefined && !libvirtRequired ? 'no kernel for a guest on this machine' : false;
  describe('with a Linux guest', { skip }, () => {
    let guest: GuestConsole;
    const consoles: GuestConsole[] = [];

    const openConsole = async (index: number): Promise<void> => {
      guest = await GuestConsole.open(consolePath(index), BOOT_LIMIT_MS);
      consoles.push(guest);
    };

    const boot = async (index: number): Promise<string> => {
      assert.ok(image, 'the guest needs linux-image-cloud-amd64 and busybox-static');
      const vmID = await create(index, linuxDomain(index, image));
      await openConsole(index);
      return vmID;
    };

    after(() => {
      for (const each of consoles) each.close();
    });

    it('go on after hibernation where they were, and end with 0/7 when the guest does', async () => {
      const vmID = await boot(6);
      await guest.text(
        '(n=0; while true; do n=$((n+1)); echo $n >/tmp/n; sleep 0.1; done) >/dev/null 2>&1 &',
      );
      const before = Number(await guest.until('cat /tmp/n'));
      const hibernationVolHandle = join(folder, 'memory');
      events.clear(vmID);
      await events.call('VM.hibernate', { vmID, hibernationVolHandle });
      assert.equal(await events.untilDown(vmID), '0/5');
      assert.deepEqual(events.statuses(vmID), ['Saving State', 'Down']);
      assert.equal(statSync(`${hibernationVolHandle}.json`).mode & 0o777, 0o600);
      await events.call('VM.destroy', { vmID });
      events.clear(vmID);

      const reply = await events.call('VM.create', {
        vmParams: { xml: linuxDomain(6, image!), memoryDumpVolume: { path: hibernationVolHandle } },
      });
      assert.equal(reply.status, 'Restoring state');
      const up = await events.until(vmID, { status: 'Up' });
      assert.equal('elapsedTime' in up, true, 'the whole running block');
      assert.deepEqual(events.statuses(vmID), ['Restoring state', 'Up']);
      await openConsole(6);
      assert.ok(Number(await guest.text('cat /tmp/n')) >= before, 'the memory is that of before');
      const now = Number(await guest.text('cat /tmp/n'));
      await guest.until(`[ $(cat /tmp/n) -gt ${now} ]`);
      events.clear(vmID);
      await guest.run('poweroff -f', 500).catch(() => undefined);
      assert.equal(await events.untilDown(vmID), '0/7');
      assert.deepEqual(events.statuses(vmID), ['Down']);
      await events.call('VM.destroy', { vmID });
    });

    it('obey VM.shutdown: a reboot, by ACPI, keeps the VM; an end, by the guest agent, is 0/6', async () => {
      const vmID = await boot(7);
      await untilAgent(nameOf(7), 'connected');
      await guest.text('killall qemu-ga');
      await untilAgent(nameOf(7), 'disconnected');
      events.clear(vmID);
      await guest.text('touch /tmp/before');
      await events.call('VM.shutdown', { vmID, reboot: true, timeout: 60 });
      await untilRebooted(guest);
      assert.equal(events.statuses(vmID)[0], 'RebootInProgress');
      await untilAgent(nameOf(7), 'connected');
      await events.until(vmID, { status: 'Up' }, 70_000);
      events.clear(vmID);
      await events.call('VM.shutdown', { vmID, timeout: 60 });
      assert.equal(await events.untilDown(vmID, 60_000), '0/6');
      assert.deepEqual(events.statuses(vmID), ['Powering down', 'Down']);
      await events.call('VM.destroy', { vmID });
    });

    it('end with 0/13 at their own reboot, also when the agent was restarted meanwhile', async () => {
      const vmID = await boot(8);
      await events.call('VM.setDestroyOnReboot', { vmID });
      await events.close();
      await agent.kill();
      await startAgent();
      await guest.run('reboot -f', 500).catch(() => undefined);
      assert.equal(await events.untilDown(vmID), '0/13');
      assert.deepEqual(events.statuses(vmID), ['Down']);
      await events.call('VM.destroy', { vmID });
      assert.equal((await virshList(nameOf(8))).size, 0);
    });
  });
});
