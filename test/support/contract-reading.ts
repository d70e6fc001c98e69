/**
 * The contract of what is read about domains and host, statistics apart.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { HypervisorError } from '../../src/domain/hypervisor.js';
import type { CallOptions, Hypervisor } from '../../src/domain/hypervisor.js';
import type { VmId } from '../../src/domain/ids.js';
import { rejectsWith } from './contract-bench.js';
import { unknownId } from './contract-subject.js';
import type { Bench } from './contract-bench.js';
import type { HypervisorTraits } from './contract-subject.js';

type DomainCall = (hypervisor: Hypervisor, id: VmId, options?: CallOptions) => Promise<unknown>;

/** Every call about one domain. */
export const domainCalls: Readonly<Record<string, DomainCall>> = {
  domainState: (hypervisor, id, options) => hypervisor.domainState(id, options),
  describe: (hypervisor, id, options) => hypervisor.describe(id, options),
  controlInfo: (hypervisor, id, options) => hypervisor.controlInfo(id, options),
  diskErrors: (hypervisor, id, options) => hypervisor.diskErrors(id, options),
  scheduler: (hypervisor, id, options) => hypervisor.scheduler(id, options),
  suspend: (hypervisor, id, options) => hypervisor.suspend(id, options),
  resume: (hypervisor, id, options) => hypervisor.resume(id, options),
  destroy: (hypervisor, id, options) => hypervisor.destroy(id, { graceful: false }, options),
  launch: (hypervisor, id, options) => hypervisor.launch(id, { paused: false }, options),
  undefine: (hypervisor, id, options) => hypervisor.undefine(id, options),
  setMemoryStatsPeriod: (hypervisor, id, options) => hypervisor.setMemoryStatsPeriod(id, 5, options),
};

export function readingContract(started: () => Promise<Bench>, traits: HypervisorTraits): void {
  it('agrees with itself: list, state and description', async () => {
    const bench = await started();
    const { hypervisor } = bench;
    const ids = [await bench.run(1, true), await bench.define(2)];
    const refs = (await hypervisor.listDomains()).filter(({ id }) => ids.includes(id));
    assert.equal(refs.length, 2);
    for (const { id, name, active } of refs) {
      assert.equal(active, (await hypervisor.domainState(id)).state !== 'shutoff', name);
      const description = await hypervisor.describe(id);
      assert.deepEqual([description.id, description.name], [id, name]);
      assert.equal(description.name, bench.spec(id === ids[0] ? 1 : 2).name);
    }
  });

  it('describes many, and leaves out those that vanished', async () => {
    const bench = await started();
    const ids = [await bench.define(1), await bench.run(2, true)];
    const described = await bench.hypervisor.describeMany([ids[0]!, unknownId, ids[1]!]);
    assert.deepEqual(described.map(({ id }) => id).sort(), ids);
    for (const description of described) {
      assert.deepEqual(description, await bench.hypervisor.describe(description.id));
    }
    assert.deepEqual(await bench.hypervisor.describeMany([]), []);
  });

  it('parses the XML that it describes to the same description', async () => {
    const bench = await started();
    const { hypervisor } = bench;
    const id = await bench.run(1, true);
    const described = await hypervisor.describe(id);
    assert.deepEqual(hypervisor.parseXml(described.xml), described);
    await bench.does(id, 'suspend', { state: 'paused', reason: 'user' });
    assert.equal((await hypervisor.describe(id)).devicesHash, described.devicesHash);
    const parse = (xml: string) => () => hypervisor.parseXml(xml);
    const failed = (error: unknown): boolean => error instanceof HypervisorError && error.kind === 'failed';
    for (const broken of ['', 'nonsense', '<domain', '<nonsense/>']) assert.throws(parse(broken), failed);
  });

  it('knows no domain of an unknown id', async () => {
    const { hypervisor } = await started();
    for (const [name, call] of Object.entries(domainCalls)) {
      await rejectsWith('no-domain', call(hypervisor, unknownId), name);
    }
  });

  it('finds the monitor of a running domain well, and none of a stopped one', async () => {
    const bench = await started();
    const { hypervisor } = bench;
    const id = await bench.define(1);
    await rejectsWith('invalid-state', hypervisor.controlInfo(id));
    await rejectsWith('invalid-state', hypervisor.diskErrors(id));
    await bench.does(id, 'launch', { state: 'running', reason: 'booted' });
    const { state, sinceMs } = await hypervisor.controlInfo(id);
    assert.equal(state, 'ok');
    assert.ok(sinceMs >= 0);
    assert.deepEqual(await hypervisor.diskErrors(id), []);
  });

  it('tells the CPU bandwidth: none, in periods of 100 ms, where it is known', async () => {
    const bench = await started();
    const id = await bench.run(1);
    const known = { vcpuQuota: -1, vcpuPeriod: 100_000 };
    assert.deepEqual(await bench.hypervisor.scheduler(id), traits.likeQemu ? known : {});
  });

  if (traits.likeQemu) {
    it('has no job for a domain that does nothing special', async () => {
      const bench = await started();
      const id = await bench.define(1);
      await rejectsWith('invalid-state', bench.hypervisor.activeJob(id));
      await bench.does(id, 'launch', { state: 'running', reason: 'booted' });
      assert.equal(await bench.hypervisor.activeJob(id), undefined);
      await rejectsWith('no-domain', bench.hypervisor.activeJob(unknownId));
    });

    it('sets the period of memory statistics of a running domain, as its description shows', async () => {
      const bench = await started();
      const { hypervisor } = bench;
      const id = await bench.define(1, true);
      await rejectsWith('invalid-state', hypervisor.setMemoryStatsPeriod(id, 7));
      await bench.does(id, 'launch', { state: 'running', reason: 'booted' });
      for (const periodSec of [7, 9, 0]) {
        await hypervisor.setMemoryStatsPeriod(id, periodSec);
        assert.equal((await hypervisor.describe(id)).balloonPeriodSec, periodSec || undefined);
      }
      await rejectsWith('failed', hypervisor.setMemoryStatsPeriod(id, -1));
    });
  }

  if (traits.devices) {
    it('describes the devices of a running domain', async () => {
      const bench = await started();
      const id = await bench.run(1, true);
      const { type, disks, nics, memoryKiB, vcpus, acpi, balloonModel } = await bench.hypervisor.describe(id);
      assert.equal(type, traits.domainType);
      assert.deepEqual(
        disks.map(({ target, bus, device }) => [target, bus, device]),
        [['vda', 'virtio', 'disk']],
      );
      assert.deepEqual(
        nics.map(({ mac, model, passthrough }) => [mac, model, passthrough]),
        [['52:54:00:c0:de:01', 'virtio', false]],
      );
      assert.match(nics[0]?.target ?? '', /^\w+$/, 'a running domain’s NIC has a device on the host');
      assert.deepEqual([memoryKiB, vcpus, acpi, balloonModel], [16_384, 1, true, 'virtio']);
    });
  }

  it('tells plausible facts of the host', async () => {
    const { hypervisor } = await started();
    const info = await hypervisor.hostInfo();
    assert.match(info.hypervisorVersion, /^\d+\.\d+\.\d+$/);
    assert.match(info.libraryVersion, /^\d+\.\d+\.\d+$/);
    assert.ok(info.hypervisorType.length > 0 && info.hostname.length > 0 && info.uri.length > 0);
    const { model, memoryKiB, cpus, mhz, numaNodes, socketsPerNode, coresPerSocket, threadsPerCore } =
      info.node;
    assert.ok(model.length > 0 && memoryKiB > 2 ** 20 && mhz > 100 && cpus > 0);
    assert.ok(cpus <= numaNodes * socketsPerNode * coresPerSocket * threadsPerCore);
    assert.match(info.capabilitiesXml.trim(), /^<capabilities\b/);
    assert.match(info.domainCapabilitiesXml.trim(), /^(<domainCapabilities\b|$)/);
  });
}
