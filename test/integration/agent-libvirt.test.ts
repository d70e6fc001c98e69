/**
 * The main job on the real machine: QEMU domains under the real libvirtd, sampled, served and announced to a fake
 * engine by the agent as a child process. One of the domains is a booted Linux guest.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { after, before, describe, it } from 'node:test';
import { AgentProcess } from '../support/agent-process.js';
import { FakeEngine, truthFromStates, type Truth } from '../support/fake-engine.js';
import { guestImage, guestImageFolder, type GuestImage } from '../support/guest-image.js';
import {
  domstats,
  killLibvirtd,
  libvirtRequired,
  LIBVIRT_SOCKET,
  removeDomains,
  skipWithOthers,
  skipWithoutLibvirt,
  skipWithoutRestart,
  startLibvirtd,
  virsh,
  virshList,
} from '../support/real-libvirt.js';
import { writeFileSync } from 'node:fs';

const PREFIX = 'vdsm-agent-test-';
const folder = tmpdir();
const socketPath = join(folder, `vdsm-agent-test-${process.pid}.sock`);
const ID_PREFIX = 'a6e27000-0000-4000-8000-';
const idOf = (index: number): string => `${ID_PREFIX}${String(index).padStart(12, '0')}`;
const nameOf = (index: number): string => `${PREFIX}${index}`;

/** An empty machine: 16 MiB, no disk; QEMU runs and its CPU idles in the firmware. */
const emptyDomain = (index: number): string => `
<domain type='qemu'>
  <name>${nameOf(index)}</name><uuid>${idOf(index)}</uuid><memory unit='MiB'>16</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>
  <devices><memballoon model='virtio'/></devices>
</domain>`;

const linuxDomain = (index: number, { kernelPath, initramfsPath }: GuestImage): string => `
<domain type='qemu'>
  <name>${nameOf(index)}</name><uuid>${idOf(index)}</uuid><memory unit='MiB'>160</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type><kernel>${kernelPath}</kernel><initrd>${initramfsPath}</initrd>
    <cmdline>console=ttyS0 quiet</cmdline></os>
  <features><acpi/></features>
  <devices><memballoon model='virtio'/><serial type='pty'/></devices>
</domain>`;

async function define(xml: string): Promise<void> {
  const path = join(folder, `vdsm-agent-test-${process.pid}.xml`);
  writeFileSync(path, xml);
  await virsh(['define', path]);
  rmSync(path);
}

/** Truth of our domains, as virsh tells it. */
async function truth(): Promise<Truth> {
  const states = await virshList(PREFIX);
  return truthFromStates(
    [...states].map(([name, state]) => [idOf(Number(name.slice(PREFIX.length))), state] as const),
  );
}

describe(
  'the agent on real QEMU',
  { skip: skipWithoutLibvirt() || skipWithOthers(PREFIX), timeout: 400_000 },
  () => {
    const arguments_ = [
      ...['--uri', `qemu+unix:///system?socket=${LIBVIRT_SOCKET}`],
      ...['--listen', `unix:${socketPath}`, '--period', '2'],
    ];
    let agent: AgentProcess;
    let engine: FakeEngine;
    let linux = false;

    before(async () => {
      await removeDomains(PREFIX);
      const image = guestImage(guestImageFolder);
      assert.ok(image ?? !libvirtRequired, 'the guest needs linux-image-cloud-amd64 and busybox-static');
      linux = image !== undefined;
      for (const index of [1, 2, 3]) await define(emptyDomain(index));
      await define(image ? linuxDomain(4, image) : emptyDomain(4));
      for (const index of [1, 2, 4]) await virsh(['start', nameOf(index)]);
      agent = await AgentProcess.start(arguments_);
      engine = await new FakeEngine(`unix:${socketPath}`, {
        pollIntervalMs: 1000,
        concerns: (vmId) => vmId.startsWith(ID_PREFIX),
      }).start();
    });

    after(async () => {
      await engine.stop();
      await agent.stop();
      await removeDomains(PREFIX);
    });

    /** One record of Host.getAllVmStats, of those the engine polled last. */
    const record = async (index: number): Promise<Record<string, unknown>> => {
      const [found] = (await engine.client.call('VM.getStats', { vmID: idOf(index) })) as Record<
        string,
        unknown
      >[];
      assert.ok(found);
      return found;
    };

    it('adopts what runs, and leaves alone what is off and not its own', async () => {
      await engine.untilEquals(truth);
      assert.equal(engine.monitor.vms.get(idOf(1))?.status !== undefined, true);
      assert.equal(engine.monitor.vms.get(idOf(3)), undefined, 'a foreign domain that is off is not listed');
    });

    it('serves figures that agree with virsh domstats', async () => {
      await engine.until('sampled', () => engine.polls > 0);
      const before = await domstats(nameOf(4));
      let stats = await record(4);
      for (let attempt = 0; stats['cpuActual'] !== true && attempt < 30; attempt++) {
        const polls = engine.polls;
        await engine.until('polled again', () => engine.polls > polls);
        stats = await record(4);
      }
      assert.equal(stats['cpuActual'], true, 'two samples after a minute');
      assert.match(String(stats['cpuUser']), /^\d+\.\d\d$/);
      const polls = engine.polls;
      await engine.until('sampled once more', () => engine.polls > polls + 3);
      stats = await record(4);
      const now = await domstats(nameOf(4));
      const cpuNs = (fields: Map<string, string>): number =>
        Number(fields.get('cpu.user')) + Number(fields.get('cpu.system'));
      const usage = Number(stats['cpuUsage']);
      assert.ok(
        cpuNs(before) <= usage && usage <= cpuNs(now),
        `${cpuNs(before)} <= ${usage} <= ${cpuNs(now)}`,
      );
      assert.equal(
        (stats['balloonInfo'] as Record<string, string>)['balloon_cur'],
        now.get('balloon.current'),
      );
    });

    it('turns balloon statistics on, so that memory figures of a Linux guest are live', async (t) => {
      if (!linux) {
        t.skip('no kernel for a guest on this machine');
        return;
      }
      let stats = await record(4);
      for (let attempt = 0; stats['memoryStats'] === undefined && attempt < 60; attempt++) {
        const polls = engine.polls;
        await engine.until('polled again', () => engine.polls > polls);
        stats = await record(4);
      }
      const memory = stats['memoryStats'] as Record<string, string>;
      assert.ok(Number(memory['mem_total']) > 50_000, JSON.stringify(memory));
      assert.match(String(stats['memUsage']), /^[1-9]\d?$/);
    });

    it('announces what virsh does behind its back, each change once', async () => {
      const [id, name] = [idOf(1), nameOf(1)];
      await virsh(['suspend', name]);
      await engine.untilStatus(id, 'Paused');
      await virsh(['resume', name]);
      await engine.until('running again', () => engine.monitor.vms.get(id)?.status !== 'Paused');
      await virsh(['destroy', name]);
      await engine.until('off', () => [undefined, 'Down'].includes(engine.monitor.vms.get(id)?.status));
      await virsh(['start', name]);
      await engine.untilEquals(truth);
      const statuses = engine.transitions(id).filter((status) => status === 'Paused');
      assert.deepEqual(statuses, ['Paused']);
    });

    it('pauses, continues and destroys by verb; the reply comes before its event', async () => {
      const vmID = idOf(2);
      await engine.client.call('VM.pause', { vmID });
      await engine.untilStatus(vmID, 'Paused');
      assert.equal((await virshList(nameOf(2))).get(nameOf(2)), 'paused');
      await engine.client.call('VM.cont', { vmID });
      await engine.until('running', () => engine.monitor.vms.get(vmID)?.status !== 'Paused');
      await engine.client.call('VM.destroy', { vmID });
      assert.equal((await virshList(nameOf(2))).get(nameOf(2)), 'shut off', "another's definition is kept");
      await engine.untilEquals(truth);
    });

    it('creates a VM from XML and tells when it runs', async () => {
      const vmID = idOf(5);
      const reply = (await engine.client.call('VM.create', { vmID, vmParams: { xml: emptyDomain(5) } })) as {
        status: string;
      };
      assert.equal(reply.status, 'WaitForLaunch');
      await engine.until('launched', () =>
        ['Up', 'Powering up'].includes(engine.monitor.vms.get(vmID)?.status ?? ''),
      );
      assert.equal((await virshList(nameOf(5))).get(nameOf(5)), 'running');
      await assert.rejects(
        engine.client.call('VM.create', { vmID, vmParams: { xml: emptyDomain(5) } }),
        /Virtual machine already exists/,
      );
      await engine.client.call('VM.destroy', { vmID });
      assert.equal((await virshList(nameOf(5))).size, 0, 'our own definition goes with the VM');
      await engine.untilEquals(truth);
    });

    it('survives a crash of the agent: VMs run on, the table is right again', async () => {
      await agent.kill();
      await virsh(['suspend', nameOf(1)]);
      agent = await AgentProcess.start(arguments_);
      await engine.until('synchronised again', () => engine.monitor.synchronised);
      await engine.untilStatus(idOf(1), 'Paused');
      await virsh(['resume', nameOf(1)]);
      await engine.untilEquals(truth);
    });

    it('survives the death of libvirtd and says so meanwhile', { skip: skipWithoutRestart() }, async () => {
      await killLibvirtd();
      await assert.rejects(engine.client.call('VM.pause', { vmID: idOf(1) }), /libvirt/);
      const health = (await engine.client.call('Agent.getHealth', {})) as {
        status: string;
        problems: unknown[];
      };
      assert.equal(health.status, 'degraded');
      assert.equal(health.problems.length > 0, true);
      await startLibvirtd();
      await virsh(['suspend', nameOf(1)]);
      await engine.untilStatus(idOf(1), 'Paused', 60_000);
      await virsh(['resume', nameOf(1)]);
      await engine.untilEquals(truth);
    });

    it('sent nothing that an engine could not read, and no event was lost', () => {
      engine.assertCleanRecord();
    });
  },
);
