/**
 * VM.create on the real machine, by XML in the form in which an engine sends it: what the host does with it, what is left
 * of it, what fails and how that is told.
 */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parseXmlForEdit } from '../../src/util/xml-edit.js';
import { AgentProcess } from '../support/agent-process.js';
import { engineXml, type EngineVm } from '../support/engine-xml.js';
import { GuestConsole } from '../support/guest-console.js';
import { guestImage } from '../support/guest-image.js';
import {
  libvirtRequired,
  LIBVIRT_SOCKET,
  removeDomains,
  skipWithoutLibvirt,
  virsh,
  virshList,
} from '../support/real-libvirt.js';
import { VmEvents } from '../support/vm-events.js';

const PREFIX = 'vdsm-agent-create-';
const idOf = (index: number): string => `c7ea7e00-0000-4000-8000-${String(index).padStart(12, '0')}`;
const nameOf = (index: number): string => `${PREFIX}${index}`;
const vm = (index: number, more: Partial<EngineVm> = {}): EngineVm => ({
  name: nameOf(index),
  uuid: idOf(index),
  ...more,
});

/** Where QEMU's own user gets through. */
const folder = mkdtempSync('/var/tmp/vdsm-agent-create-');
const payloadFolder = join(folder, 'state', 'payload');

describe('VM.create on real QEMU', { skip: skipWithoutLibvirt(), timeout: 300_000 }, () => {
  let agent: AgentProcess;
  let events: VmEvents;

  const create = async (of: EngineVm): Promise<string> => {
    events.clear(of.uuid);
    const reply = (await events.call('VM.create', { vmID: of.uuid, vmParams: { xml: engineXml(of) } })) as {
      status: string;
      vmId: string;
    };
    assert.deepEqual([reply.status, reply.vmId], ['WaitForLaunch', of.uuid]);
    return of.uuid;
  };
  const destroy = (vmID: string): Promise<unknown> => events.call('VM.destroy', { vmID });
  const define = async (name: string, uuid: string): Promise<void> => {
    const path = join(folder, 'domain.xml');
    writeFileSync(path, engineXml({ name, uuid }).replaceAll('ovirt-vmconsole-console', 'vdsm-agent'));
    await virsh(['define', path]);
  };

  before(async () => {
    await removeDomains(PREFIX);
    chmodSync(folder, 0o755);
    const config = join(folder, 'config.json');
    writeFileSync(config, JSON.stringify({ balloonStatsPeriodSec: 0, stateDir: join(folder, 'state') }));
    agent = await AgentProcess.start([
      ...['--uri', `qemu+unix:///system?socket=${LIBVIRT_SOCKET}`],
      ...['--listen', `unix:${join(folder, 'agent.sock')}`, '--config', config],
    ]);
    events = await VmEvents.open(agent.address);
  });

  after(async () => {
    await events.close();
    await agent.stop();
    await removeDomains(PREFIX);
    rmSync(folder, { recursive: true });
  });

  it('makes an engine’s XML fit for this host, and keeps what is the engine’s', async () => {
    const payload = { volumeId: 'config-2', files: { 'openstack/latest/user_data': 'secret words' } };
    const vmID = await create(vm(1, { payload, destroyOnReboot: true }));
    const up = await events.until(vmID, { status: 'Powering up' });
    assert.equal(up['timeOffset'], '7200');
    const text = await virsh(['dumpxml', nameOf(1)]);
    const domain = parseXmlForEdit(text);
    const entries = domain.child('sysinfo')?.child('system')?.children('entry') ?? [];
    const serial = entries.find((entry) => entry.attribute('name') === 'serial')?.text;
    const { uuid } = (await events.call('Host.getCapabilities', {})) as { uuid: string };
    assert.equal(serial, uuid);
    assert.doesNotMatch(text, /OS-NAME|OS-VERSION|HOST-SERIAL/);
    assert.match(text, /<on_reboot>restart</, 'libvirt’s default: the agent sees to it');
    for (const kept of [
      '<ovirt-tune:qos/>',
      `<ovirt-vm:imageID>${vmID}</ovirt-vm:imageID>`,
      '<ovirt-vm:resumeBehavior>auto_resume</ovirt-vm:resumeBehavior>',
      '<ovirt-vm:destroy_on_reboot type="bool">true</ovirt-vm:destroy_on_reboot>',
    ]) {
      assert.ok(text.includes(kept), kept);
    }
    assert.match(text, /<ovirt-vm:startTime type="(float|int)">1\d{9}/);
    const drive = domain
      .child('devices')
      ?.children('disk')
      .find((disk) => disk.child('target')?.attribute('dev') === 'hdd');
    const path = drive?.child('source')?.attribute('file') ?? '';
    assert.equal(path, join(payloadFolder, `${vmID}.hdd.img`));
    assert.equal(statSync(path).mode & 0o777, 0o600);
    await destroy(vmID);
    assert.deepEqual(readdirSync(payloadFolder), [], 'the image goes with the VM');
    assert.equal((await virshList(nameOf(1))).size, 0);
    assert.doesNotMatch(agent.output, /secret words|c2VjcmV0/, 'nothing of it was logged');
  });

  it('leaves a VM with launchPaused before its first instruction', async () => {
    const vmID = await create(vm(2, { launchPaused: true }));
    await events.until(vmID, { status: 'Paused', pauseCode: 'NOERR' });
    assert.equal((await virshList(nameOf(2))).get(nameOf(2)), 'paused');
    await events.call('VM.cont', { vmID });
    await events.until(vmID, { status: 'Powering up' });
    assert.deepEqual(events.statuses(vmID), ['WaitForLaunch', 'Paused', 'Powering up']);
    await destroy(vmID);
  });

  it('gives a guest its files on a CD', async (t) => {
    const image = guestImage();
    assert.ok(image ?? !libvirtRequired, 'the guest needs its Debian packages');
    if (!image) {
      t.skip('no kernel for a guest on this machine');
      return;
    }
    const payload = {
      volumeId: 'config-2',
      files: { 'openstack/latest/meta_data.json': '{"a": 1}', 'Other File.txt': 'ü' },
    };
    const boot = `<kernel>${image.kernelPath}</kernel><initrd>${image.initramfsPath}</initrd><cmdline>console=ttyS0 quiet no_timer_check</cmdline>`;
    const vmID = await create(vm(3, { payload, boot, memoryMiB: 160 }));
    const guest = await GuestConsole.open(`/var/run/ovirt-vmconsole-console/${vmID}.sock`);
    try {
      await guest.text('mkdir -p /tmp/cd');
      await guest.until('mount -r -t iso9660 /dev/sr1 /tmp/cd');
      assert.equal(await guest.text('cat /tmp/cd/openstack/latest/meta_data.json'), '{"a": 1}');
      assert.equal(await guest.text("cat '/tmp/cd/Other File.txt'"), 'ü');
      assert.equal(await guest.text('dd if=/dev/sr1 bs=1 skip=32808 count=8 2>/dev/null'), 'config-2');
    } finally {
      guest.close();
    }
    await destroy(vmID);
  });

  it('is Down 1/1 with libvirt’s own words where a disk is missing, until it is destroyed', async () => {
    const diskPath = join(folder, 'no', 'such', 'disk.img');
    const vmID = await create(vm(4, { diskPath }));
    const down = await events.until(vmID, { status: 'Down' });
    assert.deepEqual([down['exitCode'], down['exitReason']], [1, 1]);
    assert.equal(down['exitMessage'], `Cannot access storage file '${diskPath}': No such file or directory`);
    await assert.rejects(create(vm(4)), { code: 4 });
    const { exitMessage } =
      ((await events.call('VM.getStats', { vmID })) as { exitMessage: string }[])[0] ?? {};
    assert.equal(exitMessage, down['exitMessage']);
    await destroy(vmID);
    assert.equal((await virshList(nameOf(4))).size, 0);
  });

  it('is Down 1/1 where libvirt refuses the definition, and an error where it is no domain', async () => {
    const broken = engineXml(vm(4)).replace('<video>', '<video><model type="no such card"/>');
    await events.call('VM.create', { vmParams: { xml: broken } });
    const down = await events.until(idOf(4), { status: 'Down' });
    assert.match(String(down['exitMessage']), /no such card/);
    await destroy(idOf(4));
    await assert.rejects(events.call('VM.create', { vmParams: { xml: '<domain><name>x</name></domain>' } }), {
      code: 100,
    });
  });

  it('takes the place of definitions that were left behind, and of nothing that runs', async () => {
    await define(nameOf(5), idOf(5));
    await define(nameOf(6), idOf(99));
    for (const index of [5, 6]) {
      const vmID = await create(vm(index));
      await events.until(vmID, { status: 'Powering up' });
      assert.match(await virsh(['domuuid', nameOf(index)]), new RegExp(vmID));
    }
    const vmID = await create({ name: nameOf(6), uuid: idOf(7) });
    const down = await events.until(vmID, { status: 'Down' });
    assert.equal(
      down['exitMessage'],
      `VM ${nameOf(6)} (${idOf(7)}) cannot be started: a domain of that name, with id ${idOf(6)}, is running`,
    );
    assert.equal((await virshList(nameOf(6))).get(nameOf(6)), 'running');
    for (const index of [5, 6, 7]) await destroy(idOf(index));
  });

  it('starts six at once, ends one of them at once, and each is told of once', async () => {
    const indexes = [11, 12, 13, 14, 15, 16];
    await Promise.all(indexes.map((index) => create(vm(index))));
    await destroy(idOf(16));
    assert.deepEqual(events.statuses(idOf(16)), ['WaitForLaunch', 'Down']);
    assert.equal(await events.untilDown(idOf(16)), '0/10');
    for (const index of indexes.slice(0, 5)) {
      await events.until(idOf(index), { status: 'Powering up' });
      assert.deepEqual(events.statuses(idOf(index)), ['WaitForLaunch', 'Powering up']);
    }
    const { starts } = (await events.call('Agent.getHealth', {})) as {
      starts: { running: number; waiting: number };
    };
    assert.deepEqual([starts.running, starts.waiting], [0, 0]);
    await Promise.all(indexes.slice(0, 5).map((index) => destroy(idOf(index))));
    assert.equal((await virshList(PREFIX)).size, 0);
    assert.equal(existsSync('/var/lib/libvirt/qemu/channels'), true);
  });
});
