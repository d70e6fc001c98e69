import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { HypervisorError } from '../../../src/domain/hypervisor.js';
import type { DomainEvent } from '../../../src/domain/hypervisor.js';
import type { VmId } from '../../../src/domain/ids.js';
import { connectionClosedEvent, eventPackets } from '../../../src/libvirt/domain-events.js';
import { LibvirtHypervisor } from '../../../src/libvirt/driver.js';
import { silentLogger } from '../../../src/util/log.js';
import { createMetrics } from '../../../src/util/metrics.js';
import { ManualClock } from '../../support/manual-clock.js';
import { DaemonFault, FakeDaemon } from './fake-daemon.js';
import { wr1 } from './golden-packets.js';

const id = wr1 as VmId;
const other = '00000000-0000-4000-8000-000000000002' as VmId;
const dom = { name: 'wr1', uuid: id, id: 7 };
const never = new AbortController().signal;

let daemon: FakeDaemon;
let clock: ManualClock;
let hypervisor: LibvirtHypervisor;
let errorLines: number;

beforeEach(() => {
  daemon = new FakeDaemon();
  clock = new ManualClock();
  errorLines = 0;
  hypervisor = new LibvirtHypervisor({
    target: daemon.target,
    clock,
    log: { ...silentLogger, error: () => errorLines++ },
    metrics: createMetrics(),
  });
});

afterEach(async () => {
  await hypervisor.stop();
  assert.equal(clock.pendingTimers, 0, 'a stopped adapter leaves no timer');
  await daemon.dispose();
});

/** Resolves with the next call of a listener's member. */
function next(member: 'connected' | 'disconnected' | 'domainEvent'): Promise<unknown> {
  return new Promise((resolve) => {
    const remove = hypervisor.addListener({
      [member]: (value: unknown) => {
        remove();
        resolve(value);
      },
    });
  });
}

function xmlOf(uuid: string, name: string): string {
  return `<domain type='qemu'><name>${name}</name><uuid>${uuid}</uuid><memory unit='KiB'>1024</memory><vcpu>1</vcpu><devices/></domain>`;
}

describe('the libvirt adapter’s connection', () => {
  it('starts without a daemon, and says what is missing', async () => {
    await hypervisor.start(never);
    assert.equal(hypervisor.status.state, 'lost');
    assert.match(hypervisor.status.reason ?? '', /libvirt-sock/);
    await assert.rejects(
      hypervisor.listDomains(),
      (error: unknown) => error instanceof HypervisorError && error.kind === 'unavailable',
    );
  });

  it('is open after start, with events registered before that is told', async () => {
    await daemon.start();
    let registeredBefore = 0;
    hypervisor.addListener({
      connected: ({ gap }) => {
        assert.equal(gap, false);
        registeredBefore = daemon.calls('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY').length;
      },
    });
    await hypervisor.start(never);
    assert.equal(hypervisor.status.state, 'open');
    assert.ok(registeredBefore > 15);
  });

  it('comes back by itself after a loss, registers again and announces the gap', async () => {
    await daemon.start();
    await hypervisor.start(never);
    const lost = next('disconnected');
    await daemon.stop();
    await lost;
    assert.equal(hypervisor.status.state, 'lost');
    daemon.received.length = 0;
    await daemon.start();
    const again = next('connected');
    await clock.advance(50);
    assert.deepEqual(await again, { gap: true });
    assert.ok(daemon.calls('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY').length > 15);
    assert.equal(hypervisor.status.state, 'open');
  });

  it('tolerates events that the daemon does not know, asking for the older form where there is one', async () => {
    daemon.answer('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY', ({ eventId }) => {
      if (eventId > 10) throw new DaemonFault(1, `unsupported event ID ${eventId}`);
      return { callbackId: eventId };
    });
    await daemon.start();
    await hypervisor.start(never);
    assert.equal(hypervisor.status.state, 'open');
    const asked = daemon
      .calls('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY')
      .map(({ args }) => (args as { eventId: number }).eventId);
    assert.ok(asked.includes(eventPackets.blockJob.eventId));
    assert.ok(!asked.includes(eventPackets.ioError.eventId), 'the newer form was granted');
  });

  it('treats the loss of the daemon behind a proxy as its own', async () => {
    await daemon.start();
    await hypervisor.start(never);
    const lost = next('disconnected');
    daemon.event(connectionClosedEvent, { reason: 0 });
    assert.match(String(await lost), /hypervisor/);
  });

  it('stops for good', async () => {
    await daemon.start();
    await hypervisor.start(never);
    await hypervisor.stop();
    assert.equal(hypervisor.status.state, 'stopped');
    await assert.rejects(hypervisor.listDomains(), HypervisorError);
  });
});

describe('the libvirt adapter’s events', () => {
  it('reach every listener, although one of them fails, which a storm of them tells once', async () => {
    await daemon.start();
    await hypervisor.start(never);
    hypervisor.addListener({
      domainEvent: () => {
        throw new Error('a bad listener');
      },
    });
    let reboots = 0;
    const remove = hypervisor.addListener({ domainEvent: () => reboots++ });
    for (let n = 0; n < 1000; n++) daemon.event(eventPackets.reboot, { callbackId: 3, dom });
    while (reboots < 1000) await next('domainEvent');
    remove();
    const seen = next('domainEvent') as Promise<DomainEvent>;
    daemon.event(eventPackets.lifecycle, { callbackId: 3, dom, event: 3, detail: 2 });
    assert.deepEqual(await seen, {
      id,
      domainName: 'wr1',
      kind: 'lifecycle',
      event: 'suspended',
      detail: 'ioerror',
    });
    assert.equal(errorLines, 1);
  });

  it('that cannot be decoded disturb nothing', async () => {
    await daemon.start();
    await hypervisor.start(never);
    const seen = next('domainEvent') as Promise<DomainEvent>;
    daemon.event({ procedure: 318, codec: eventPackets.reboot.codec }, { callbackId: 3, dom });
    daemon.event({ procedure: 4711, codec: eventPackets.reboot.codec }, { callbackId: 3, dom });
    daemon.event(eventPackets.reboot, { callbackId: 3, dom });
    assert.equal((await seen).kind, 'reboot');
  });
});

describe('the libvirt adapter’s calls', () => {
  beforeEach(async () => {
    await daemon.start();
    await hypervisor.start(never);
  });

  it('remember the handles that the daemon listed', async () => {
    daemon.answer('CONNECT_LIST_ALL_DOMAINS', () => ({ domains: [dom], ret: 1 }));
    daemon.answer('DOMAIN_SUSPEND', () => undefined);
    assert.deepEqual(await hypervisor.listDomains(), [{ id, name: 'wr1', active: true }]);
    await hypervisor.suspend(id);
    assert.deepEqual(daemon.calls('DOMAIN_SUSPEND')[0]?.args, { dom });
  });

  it('name a domain never seen by its uuid', async () => {
    daemon.answer('DOMAIN_GET_STATE', () => ({ state: 3, reason: 5 }));
    assert.deepEqual(await hypervisor.domainState(other), { state: 'paused', reason: 'ioerror' });
    assert.deepEqual(daemon.calls('DOMAIN_GET_STATE')[0]?.args, {
      dom: { name: '', uuid: other, id: -1 },
      flags: 0,
    });
  });

  it('describe many domains, leaving out those that vanished or make no sense', async () => {
    daemon.answer('DOMAIN_GET_XML_DESC', ({ dom: asked }) => {
      if (asked.uuid === other) throw new DaemonFault(42, 'Domain not found');
      return { xml: asked.name === 'bad' ? '<nonsense/>' : xmlOf(asked.uuid, 'wr1') };
    });
    const bad = { name: 'bad', uuid: '00000000-0000-4000-8000-000000000003' as VmId, id: 1 };
    daemon.answer('CONNECT_LIST_ALL_DOMAINS', () => ({ domains: [dom, bad], ret: 2 }));
    await hypervisor.listDomains();
    const described = await hypervisor.describeMany([other, bad.uuid, id]);
    assert.deepEqual(
      described.map(({ name }) => name),
      ['wr1'],
    );
  });

  it('describe no domain by the XML of another', async () => {
    daemon.answer('DOMAIN_GET_XML_DESC', () => ({ xml: xmlOf(other, 'wr2') }));
    await assert.rejects(hypervisor.describe(id), { kind: 'failed', message: /XML of .*, not of/ });
    assert.deepEqual(await hypervisor.describeMany([id]), []);
  });

  it('undefine with NVRAM and checkpoints, or without where the driver knows neither', async () => {
    daemon.answer('DOMAIN_UNDEFINE_FLAGS', () => {
      throw new DaemonFault(8, 'unsupported flags (0x14)');
    });
    daemon.answer('DOMAIN_UNDEFINE', () => undefined);
    await hypervisor.undefine(id);
    assert.equal((daemon.calls('DOMAIN_UNDEFINE_FLAGS')[0]?.args as { flags: number }).flags, 4 + 16);
    assert.equal(daemon.calls('DOMAIN_UNDEFINE').length, 1);
  });

  it('tell the active job and the CPU bandwidth', async () => {
    daemon.answer('DOMAIN_GET_JOB_STATS', () => ({
      type: 2,
      params: [{ field: 'operation', type: 'int', value: 5 }],
    }));
    daemon.answer('DOMAIN_GET_SCHEDULER_PARAMETERS_FLAGS', () => ({
      params: [{ field: 'vcpu_quota', type: 'llong', value: -1 }],
    }));
    assert.equal(await hypervisor.activeJob(id), 'migration-out');
    assert.deepEqual(await hypervisor.scheduler(id), { vcpuQuota: -1 });
    daemon.answer('DOMAIN_GET_SCHEDULER_PARAMETERS_FLAGS', () => {
      throw new DaemonFault(67, 'CPU tuning is not available in session mode');
    });
    assert.deepEqual(await hypervisor.scheduler(id), {});
  });

  it('ask for the CPU bandwidth in the older way where a driver refuses the flags of the newer', async () => {
    daemon.answer('DOMAIN_GET_SCHEDULER_PARAMETERS_FLAGS', () => {
      throw new DaemonFault(8, 'unsupported flags (0x4)');
    });
    daemon.answer('DOMAIN_GET_SCHEDULER_PARAMETERS', () => ({
      params: [{ field: 'vcpu_quota', type: 'llong', value: 25_000 }],
    }));
    assert.deepEqual(await hypervisor.scheduler(id), { vcpuQuota: 25_000 });
  });

  it('tell statistics of no domain without asking the daemon, which would take that for all', async () => {
    const { vmCount } = await hypervisor.stats({ groups: 1, lane: 'free', ids: [] });
    assert.equal(vmCount, 0);
    assert.equal(daemon.calls('CONNECT_GET_ALL_DOMAIN_STATS').length, 0);
  });

  it('use connections by purpose, so that what hangs in a monitor leaves the others alone', async () => {
    daemon.silence('DOMAIN_GET_DISK_ERRORS');
    daemon.answer('DOMAIN_GET_STATE', () => ({ state: 1, reason: 1 }));
    const stuck = [1, 2, 3, 4, 5].map(() =>
      assert.rejects(hypervisor.diskErrors(id, { deadlineMs: 1000 }), HypervisorError),
    );
    await daemon.receives('DOMAIN_GET_DISK_ERRORS', 4);
    assert.deepEqual(await hypervisor.domainState(id), { state: 'running', reason: 'booted' });
    await clock.advance(1000);
    await Promise.all(stuck);
  });
});
