/**
 * Guest agents on the real machine: booted Linux guests with the real qemu-guest-agent, whose facts their consoles tell.
 */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { agentCommands } from '../../src/vms/guest-agent/schedule.js';
import { AgentProcess } from '../support/agent-process.js';
import { recordFaults } from '../support/engine-record.js';
import { GuestConsole } from '../support/guest-console.js';
import { guestDomainXml } from '../support/guest-domain.js';
import { guestImage } from '../support/guest-image.js';
import { guestUser, utmpRecord } from '../support/guest-scripts.js';
import {
  libvirtRequired,
  LIBVIRT_SOCKET,
  removeDomains,
  skipWithoutLibvirt,
  virsh,
} from '../support/real-libvirt.js';
import { VmEvents } from '../support/vm-events.js';

const PREFIX = 'vdsm-agent-guest-';
const idOf = (index: number): string => `90e57000-0000-4000-8000-${String(index).padStart(12, '0')}`;
const nameOf = (index: number): string => `${PREFIX}${index}`;
const MAC = '52:54:00:90:e5:70';
const ADDRESS = '192.0.2.70';
/** The poller's loop is 5 s, and here everything is due in each. */
const TOLD_MS = 30_000;
const guestAgentPollSec = Object.fromEntries(agentCommands.map((command) => [command, 5]));
/** On a machine with much else to do. */
const BOOT_MS = 60_000;
const metadata = `<metadata><ovirt-vm:vm xmlns:ovirt-vm="http://ovirt.org/vm/1.0"/></metadata>`;

/** In a folder that QEMU's own user can write to. */
const folder = mkdtempSync('/var/tmp/vdsm-agent-guest-');
const socketPath = join(folder, 'agent.sock');
const consolePath = (index: number): string => join(folder, 'qemu', `${index}.console`);
const image = guestImage();
const skip =
  skipWithoutLibvirt() ||
  (image === undefined && !libvirtRequired ? 'no kernel or agent for a guest on this machine' : false);

type Json = Readonly<Record<string, unknown>>;

describe('guest agents on real QEMU', { skip, timeout: 300_000 }, () => {
  let agent: AgentProcess;
  let events: VmEvents;
  const consoles = new Map<number, GuestConsole>();

  const consoleOf = (index: number): GuestConsole => {
    const found = consoles.get(index);
    assert.ok(found, `guest ${index} was not booted`);
    return found;
  };

  const boot = async (index: number, devices = ''): Promise<void> => {
    assert.ok(image, 'the guest needs linux-image-cloud-amd64, busybox-static and qemu-guest-agent');
    const [name, uuid] = [nameOf(index), idOf(index)];
    const xml = guestDomainXml({ name, uuid, image, consolePath: consolePath(index), metadata, devices });
    await events.call('VM.create', { vmParams: { xml } });
    consoles.set(index, await GuestConsole.open(consolePath(index)));
  };

  const record = async (index: number): Promise<Json> => {
    const [found] = (await events.call('VM.getStats', { vmID: idOf(index) })) as unknown as Json[];
    assert.ok(found);
    assert.deepEqual(recordFaults(found), []);
    return found;
  };

  /** Resolves with the first record that is as wanted. */
  const recordWith = async (index: number, what: string, test: (found: Json) => boolean): Promise<Json> => {
    const endMs = performance.now() + TOLD_MS;
    for (;;) {
      const found = await record(index);
      if (test(found)) return found;
      if (performance.now() > endMs) throw new Error(`not ${what}: ${JSON.stringify(found)}`);
      await delay(200);
    }
  };

  const logIn = (index: number, name: string): Promise<unknown> => {
    const encoded = utmpRecord({ ...guestUser, name }).toString('base64');
    return consoleOf(index).text(`echo ${encoded} | base64 -d >/run/utmp`);
  };

  /** Commands with this result so far. */
  const counted = async (result: string): Promise<number> => {
    const lines = (await get('/metrics')).split('\n').filter((line) => line.includes(`result="${result}"`));
    return lines
      .filter((line) => line.startsWith('vdsm_agent_guest_agent_commands_total'))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  };

  before(async () => {
    await removeDomains(PREFIX);
    chmodSync(folder, 0o755);
    mkdirSync(join(folder, 'qemu'));
    chmodSync(join(folder, 'qemu'), 0o777);
    const config = join(folder, 'config.json');
    writeFileSync(config, JSON.stringify({ balloonStatsPeriodSec: 0, stateDir: folder, guestAgentPollSec }));
    agent = await AgentProcess.start([
      ...['--uri', `qemu+unix:///system?socket=${LIBVIRT_SOCKET}`, '--listen', `unix:${socketPath}`],
      ...['--period', '2', '--config', config],
    ]);
    events = await VmEvents.open(agent.address);
    const nic = `<interface type='ethernet'><mac address='${MAC}'/><model type='virtio'/></interface>`;
    await Promise.all([boot(1, nic), boot(2)]);
  });

  after(async () => {
    for (const guest of consoles.values()) guest.close();
    await events.close();
    await agent.stop();
    await removeDomains(PREFIX);
    rmSync(folder, { recursive: true });
  });

  it('end Powering up before its time, by an event with what they tell', async () => {
    const up = await events.until(idOf(2), { status: 'Up' }, BOOT_MS);
    assert.deepEqual(events.statuses(idOf(2)), ['WaitForLaunch', 'Powering up', 'Up']);
    assert.equal(up['guestFQDN'], nameOf(2));
    assert.equal(up['username'], guestUser.name);
    assert.equal('memUsage' in up, false, 'no agent of QEMU tells it');
  });

  it('fill the record with the facts of the guest', async () => {
    const guest = consoleOf(1);
    await guest.text(`ip addr add ${ADDRESS}/24 dev eth0`);
    const found = await recordWith(1, `at ${ADDRESS}`, ({ guestIPs }) => guestIPs === ADDRESS);
    const [kernel, arch] = [await guest.text('uname -r'), await guest.text('uname -m')];
    const [blocks, size, free, available] = (await guest.text("stat -f -c '%b %S %f %a' /mnt"))
      .split(' ')
      .map(Number);
    const used = (blocks ?? 0) - (free ?? 0);
    const version = (await guest.text('/sbin/qemu-ga --version')).split(' ').at(-1) ?? '';
    const told = [
      'guestFQDN',
      'guestName',
      'guestOs',
      'guestCPUCount',
      'username',
      'session',
      'guestTimezone',
    ];
    assert.deepEqual(Object.fromEntries(told.map((name) => [name, found[name]])), {
      guestFQDN: await guest.text('hostname'),
      guestName: nameOf(1),
      guestOs: kernel,
      guestCPUCount: Number(await guest.text('nproc')),
      username: guestUser.name,
      session: 'Unknown',
      guestTimezone: { offset: 240, zone: 'GST' },
    });
    assert.deepEqual(found['guestOsInfo'], {
      ...{ type: 'linux', arch, kernel, distribution: 'VDSM Guest', version: '1.2', codename: '' },
    });
    assert.deepEqual(found['appsList'], [`kernel-${kernel}`, `qemu-guest-agent-${version}`]);
    assert.deepEqual(found['disksUsage'], [
      {
        path: '/mnt',
        total: String((used + (available ?? 0)) * (size ?? 0)),
        used: String(used * (size ?? 0)),
        fs: 'ext4',
      },
    ]);
    const linkLocal = await guest.text("ip -o -6 addr show dev eth0 | sed 's/.*inet6 //; s#/.*##'");
    assert.deepEqual(found['netIfaces'], [
      { name: 'lo', inet: ['127.0.0.1'], inet6: ['::1'], hw: '00:00:00:00:00:00' },
      { name: 'eth0', inet: [ADDRESS], inet6: [linkLocal], hw: MAC },
    ]);
    const shown = await virsh(['guestinfo', nameOf(1)]);
    for (const fact of [kernel, ADDRESS, nameOf(1), guestUser.name]) assert.ok(shown.includes(fact), fact);
  });

  it('tell who logs in and out', async () => {
    await consoleOf(2).text(': >/run/utmp');
    await recordWith(2, 'empty', ({ username }) => username === '');
    await logIn(2, 'zoe');
    await recordWith(2, "zoe's", ({ username }) => username === 'zoe');
  });

  it('that hang delay neither others nor the verbs on their own VM, and are left alone', async () => {
    const [silentBefore, okBefore] = [await counted('silent'), await counted('ok')];
    await consoleOf(1).text('kill -STOP $(pidof qemu-ga)');
    await waitFor('silent', async () => (await counted('silent')) > silentBefore);
    await waitFor('counted', async () => /vdsm_agent_guest_agents_silent [1-9]/.test(await get('/metrics')));
    for (const verb of ['VM.pause', 'VM.cont'] as const) {
      const beginMs = performance.now();
      await events.call(verb, { vmID: idOf(1) });
      assert.ok(performance.now() - beginMs < 3000, `${verb} took ${performance.now() - beginMs} ms`);
    }
    await logIn(2, 'mia');
    await recordWith(2, "mia's", ({ username }) => username === 'mia');
    // Some loops of the poller later.
    await waitFor('polled', async () => (await counted('ok')) > okBefore + 20);
    assert.equal((await counted('silent')) - silentBefore, 1);
    assert.equal((await record(1))['guestFQDN'], nameOf(1), 'what was known stays');
  });

  it('are listened to at once when they are started anew', async () => {
    await logIn(1, 'ann');
    await consoleOf(1).text('kill -KILL $(pidof qemu-ga); agent-start >/dev/null 2>&1 &');
    await recordWith(1, "ann's", ({ username }) => username === 'ann');
    await waitFor('nobody silent', async () =>
      (await get('/metrics')).includes('vdsm_agent_guest_agents_silent 0'),
    );
  });

  it('end RebootInProgress when the guest is back', async () => {
    events.clear(idOf(2));
    await virsh(['reboot', nameOf(2), '--mode', 'agent']);
    await events.until(idOf(2), { status: 'RebootInProgress' });
    const up = await events.until(idOf(2), { status: 'Up' }, BOOT_MS);
    assert.equal(up['username'], guestUser.name, 'of the guest that came up, not of the one that went down');
    assert.deepEqual([...new Set(events.statuses(idOf(2)))], ['RebootInProgress', 'Up']);
  });
});

async function waitFor(what: string, test: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + TOLD_MS;
  while (!(await test())) {
    if (performance.now() > endMs) throw new Error(`not ${what} within ${TOLD_MS / 1000} s`);
    await delay(200);
  }
}

function get(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => resolve(text));
    });
    asked.on('error', reject).end();
  });
}
