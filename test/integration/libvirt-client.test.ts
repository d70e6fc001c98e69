/**
 * The libvirt client and the adapter against the real libvirtd: what they say equals what virsh says, a tiny domain
 * lives and dies with the right events, and libvirt's test driver answers through the same daemon.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { HypervisorError } from '../../src/domain/hypervisor.js';
import type { DomainEvent } from '../../src/domain/hypervisor.js';
import { parseVmId } from '../../src/domain/ids.js';
import { Scalar, StatsGroup } from '../../src/domain/stats.js';
import { LibvirtClient, LibvirtError, StatsFlag } from '../../src/libvirt/client.js';
import { LibvirtHypervisor } from '../../src/libvirt/driver.js';
import { parseLibvirtUri } from '../../src/libvirt/uri.js';
import { silentLogger } from '../../src/util/log.js';
import { createMetrics } from '../../src/util/metrics.js';
import { systemClock } from '../../src/util/time.js';
import { skipWithoutLibvirt, virsh } from '../support/real-libvirt.js';

const name = `libvirt-tiny-${process.pid}`;
const id = parseVmId(`0a0b0c0d-0000-4000-8000-${String(process.pid).padStart(12, '0')}`)!;
const tinyXml = `<domain type='qemu'>
  <name>${name}</name><uuid>${id}</uuid>
  <memory unit='MiB'>16</memory><vcpu>1</vcpu>
  <os><type arch='x86_64'>hvm</type></os>
  <devices><memballoon model='none'/></devices>
</domain>`;

function adapter(uri: string): LibvirtHypervisor {
  return new LibvirtHypervisor({
    target: parseLibvirtUri(uri, process.env),
    clock: systemClock,
    log: silentLogger,
    metrics: createMetrics(),
  });
}

/** Collects the events of one domain and waits for given ones, in order, others in between allowed. */
class EventLog {
  readonly #seen: string[] = [];
  #wake: () => void = () => undefined;

  readonly add = (event: DomainEvent): void => {
    if (event.id !== id) return;
    this.#seen.push(event.kind === 'lifecycle' ? `${event.event}/${event.detail}` : event.kind);
    this.#wake();
  };

  async expect(...wanted: string[]): Promise<void> {
    for (const text of wanted) {
      let at = this.#seen.indexOf(text);
      while (at < 0) {
        await new Promise<void>((resolve) => (this.#wake = resolve));
        at = this.#seen.indexOf(text);
      }
      this.#seen.splice(0, at + 1);
    }
  }
}

describe('libvirt adapter on the real libvirtd', { skip: skipWithoutLibvirt(), timeout: 120_000 }, () => {
  const hypervisor = adapter('qemu:///system');
  const log = new EventLog();

  before(async () => {
    hypervisor.addListener({ domainEvent: log.add });
    await hypervisor.start(new AbortController().signal);
  });

  afterEach(async () => {
    await hypervisor.destroy(id, { graceful: false }).catch(() => undefined);
    await hypervisor.undefine(id).catch(() => undefined);
  });

  after(() => hypervisor.stop());

  it('is connected with full access', () => {
    assert.equal(hypervisor.status.state, 'open');
    assert.equal(hypervisor.status.readOnly, false);
  });

  it('tells of the host what virsh tells', async () => {
    const info = await hypervisor.hostInfo();
    const version = await virsh(['version', '--daemon']);
    assert.match(
      version,
      new RegExp(`Running hypervisor: ${info.hypervisorType} ${info.hypervisorVersion}\n`),
    );
    assert.match(version, new RegExp(`Running against daemon: ${info.libraryVersion}\n`));
    assert.equal(info.hostname, (await virsh(['hostname'])).trim());
    assert.equal(info.uri, 'qemu:///system');
    const nodeinfo = await virsh(['nodeinfo']);
    assert.match(nodeinfo, new RegExp(`CPU model:\\s+${info.node.model}\n`));
    assert.match(nodeinfo, new RegExp(`CPU\\(s\\):\\s+${info.node.cpus}\n`));
    assert.match(nodeinfo, new RegExp(`Memory size:\\s+${info.node.memoryKiB} KiB\n`));
    assert.equal(info.capabilitiesXml.trim(), (await virsh(['capabilities'])).trim());
    assert.match(info.domainCapabilitiesXml, /^<domainCapabilities>/);
  });

  it('lets a tiny domain live and die, with the events that go with it', async () => {
    assert.deepEqual(await hypervisor.define(tinyXml), { id, name, active: false });
    await log.expect('defined/added');
    await hypervisor.launch(id, { paused: false });
    await log.expect('resumed/unpaused', 'started/booted');
    assert.deepEqual(await hypervisor.domainState(id), { state: 'running', reason: 'booted' });
    assert.equal((await hypervisor.controlInfo(id)).state, 'ok');
    assert.ok((await hypervisor.listDomains()).some((ref) => ref.id === id && ref.active));

    await hypervisor.suspend(id);
    await log.expect('suspended/paused');
    assert.deepEqual(await hypervisor.domainState(id), { state: 'paused', reason: 'user' });
    await assert.rejects(
      hypervisor.launch(id, { paused: false }),
      (error: unknown) => error instanceof LibvirtError && error.kind === 'invalid-state',
    );
    await hypervisor.resume(id);
    await log.expect('resumed/unpaused');
    await hypervisor.destroy(id, { graceful: false });
    await log.expect('stopped/destroyed');
    assert.deepEqual(await hypervisor.domainState(id), { state: 'shutoff', reason: 'destroyed' });

    await hypervisor.undefine(id);
    await log.expect('undefined/removed');
    await assert.rejects(
      hypervisor.domainState(id),
      (error: unknown) => error instanceof HypervisorError && error.kind === 'no-domain',
    );
  });

  it('starts a domain paused, describes it and reads its counters', async () => {
    await hypervisor.define(tinyXml);
    await hypervisor.launch(id, { paused: true });
    assert.equal((await hypervisor.domainState(id)).state, 'paused');
    const described = await hypervisor.describe(id);
    assert.deepEqual([described.id, described.name, described.memoryKiB], [id, name, 16 * 1024]);
    assert.equal(described.xml.trim(), (await virsh(['dumpxml', name])).trim());
    const absent = parseVmId('0a0b0c0d-ffff-4000-8000-000000000000')!;
    assert.deepEqual(
      (await hypervisor.describeMany([absent, id])).map((description) => description.id),
      [id],
    );
    const groups = StatsGroup.state | StatsGroup.cpu | StatsGroup.balloon;
    const batch = await hypervisor.stats({ groups, ids: [absent, id], lane: 'backed' });
    assert.deepEqual(batch.vmIds, [id]);
    assert.equal(batch.scalars[Scalar.state], 3);
    assert.ok((batch.scalars[Scalar.cpuTime] ?? NaN) > 0);
    assert.deepEqual(await hypervisor.diskErrors(id), []);
    assert.equal(await hypervisor.activeJob(id), undefined);
    assert.ok((await hypervisor.scheduler(id)).vcpuPeriod !== undefined);
  });
});

describe(
  'libvirt’s test driver through the same daemon',
  { skip: skipWithoutLibvirt(), timeout: 60_000 },
  () => {
    const hypervisor = adapter('test:///default');

    before(() => hypervisor.start(new AbortController().signal));
    after(() => hypervisor.stop());

    it('is known by its name, without domain capabilities', async () => {
      const info = await hypervisor.hostInfo();
      assert.equal(info.hypervisorType.toLowerCase(), 'test');
      assert.equal(info.domainCapabilitiesXml, '');
    });

    it('gives statistics although its bulk answer lacks most', async () => {
      const [test] = await hypervisor.listDomains();
      assert.equal(test?.name, 'test');
      const groups = StatsGroup.state | StatsGroup.cpu | StatsGroup.balloon;
      const batch = await hypervisor.stats({ groups, lane: 'free' });
      assert.deepEqual(batch.vmIds, [test.id]);
      assert.equal(batch.scalars[Scalar.state], 1);
      assert.ok((batch.scalars[Scalar.cpuTime] ?? NaN) > 0);
    });
  },
);

describe(
  'the standalone client on the real libvirtd',
  { skip: skipWithoutLibvirt(), timeout: 60_000 },
  () => {
    it('calls, samples in both forms, hears events, and leaves nothing behind when closed', async () => {
      const client = await LibvirtClient.connect('qemu:///system');
      const log = new EventLog();
      await client.onDomainEvent(log.add);
      const { dom } = await client.call('DOMAIN_CREATE_XML', { xml: tinyXml, flags: 0 });
      try {
        await log.expect('started/booted');
        const doms = [dom];
        const [record] = await client.getAllDomainStatsObjects({ groups: StatsGroup.state, doms });
        assert.deepEqual(record?.stats, { 'state.state': 1, 'state.reason': 1 });
        const flags = StatsFlag.nowait;
        const batch = await client.getAllDomainStats({ groups: StatsGroup.state, doms, flags });
        assert.equal(batch.scalars[Scalar.state], 1);
      } finally {
        await client.call('DOMAIN_DESTROY', { dom });
      }
      await log.expect('stopped/destroyed');
      await client.close();
      await assert.rejects(client.call('CONNECT_GET_TYPE', undefined), HypervisorError);
    });

    it('may look but not touch when it asks for read-only access', async () => {
      const client = await LibvirtClient.connect('qemu:///system', { readOnly: true });
      await client.call('CONNECT_LIST_ALL_DOMAINS', { needResults: 1, flags: 0 });
      await assert.rejects(
        client.call('DOMAIN_DEFINE_XML', { xml: tinyXml }),
        (error: unknown) => error instanceof LibvirtError && error.kind === 'denied',
      );
      await client.close();
    });
  },
);
