import assert from 'node:assert/strict';
import { after, afterEach, beforeEach, describe, it } from 'node:test';
import {
  HypervisorError,
  type HypervisorHostInfo,
  type HypervisorListener,
} from '../../../src/domain/hypervisor.js';
import type { Vm, VmSource } from '../../../src/domain/vm.js';
import { HostFacts } from '../../../src/host/host-facts.js';
import { silentLogger } from '../../../src/util/log.js';
import { ManualClock } from '../../support/manual-clock.js';
import { addresses, hostInfo, makeHost, stat } from './fixture.js';

class FakeHypervisor {
  info: HypervisorHostInfo | undefined = hostInfo;
  calls = 0;
  listener: HypervisorListener | undefined;

  hostInfo(): Promise<HypervisorHostInfo> {
    this.calls++;
    return this.info
      ? Promise.resolve(this.info)
      : Promise.reject(new HypervisorError('unavailable', 'no connection'));
  }
  addListener(listener: HypervisorListener): () => void {
    this.listener = listener;
    return () => (this.listener = undefined);
  }
}

function vmsOf(...statuses: string[]): VmSource {
  const all = statuses.map((status) => ({ status }) as Vm);
  return { get: () => undefined, all: () => all, size: all.length, onChange: () => () => undefined };
}

const host = makeHost();
after(() => host.remove());
let clock: ManualClock;
let hypervisor: FakeHypervisor;
let facts: HostFacts;

function make(roots: Partial<typeof host> = host, vms = vmsOf()): HostFacts {
  return new HostFacts({
    hypervisor,
    vms,
    clock,
    log: silentLogger,
    packageVersion: '0.1.0',
    kernelRelease: '6.1.0-28-amd64',
    addresses: () => addresses,
    ...roots,
  });
}

beforeEach(() => {
  clock = new ManualClock(2_000_000, Date.UTC(2026, 10, 20, 13, 11, 19, 500));
  hypervisor = new FakeHypervisor();
  facts = make();
});
afterEach(() => facts.stop());

/** The types that an engine insists on; a wrong one puts the host into status Error. */
const capabilityTypes: Record<string, string> = {
  HBAInventory: 'object',
  clusterLevels: '[string]',
  supportedENGINEs: '[string]',
  packages2: 'object',
  kvmEnabled: 'string',
  emulatedMachines: '[string]',
  rngSources: '[string]',
  cpuFlags: 'string',
  cpuModel: 'string',
  cpuCores: 'string',
  cpuThreads: 'string',
  cpuSockets: 'string',
  cpuSpeed: 'string',
  memSize: 'string',
  reservedMem: 'string',
  guestOverhead: 'string',
  cpuTopology: '[object]',
  networks: 'object',
  bridges: 'object',
  nics: 'object',
  vlans: 'object',
  bondings: 'object',
  nameservers: '[string]',
  fipsEnabled: 'boolean',
  selinux: 'object',
  operatingSystem: 'object',
  numaNodes: 'object',
  numaNodeDistance: 'object',
  autoNumaBalancing: 'integer',
  hugepages: '[integer]',
  hostdevPassthrough: 'string',
  backupEnabled: 'boolean',
  tscFrequency: 'string',
  tscScaling: 'boolean',
  bootTime: 'string',
  boot_uuid: 'string',
  kdumpStatus: 'integer',
  additionalFeatures: '[string]',
  netConfigDirty: 'string',
  uuid: 'string',
  onlineCpus: 'string',
  software_version: 'string',
  vmTypes: '[string]',
};

const statsTypes: Record<string, string> = {
  cpuUser: 'string',
  cpuSys: 'string',
  cpuIdle: 'string',
  cpuLoad: 'string',
  cpuStatistics: 'object',
  memFree: 'integer',
  memAvailable: 'integer',
  memShared: 'integer',
  memUsed: 'string',
  swapTotal: 'integer',
  swapFree: 'integer',
  anonHugePages: 'string',
  hugepages: 'object',
  thpState: 'string',
  ksmState: 'boolean',
  ksmPages: 'integer',
  numaNodeMemFree: 'object',
  network: 'object',
  vmCount: 'integer',
  vmActive: 'integer',
  vmMigrating: 'integer',
  incomingVmMigrations: 'integer',
  outgoingVmMigrations: 'integer',
  statsAge: 'string',
  dateTime: 'string',
  bootTime: 'string',
  storageDomains: 'object',
  netConfigDirty: 'string',
};

function typeOf(value: unknown): string {
  if (Array.isArray(value)) return `[${[...new Set(value.map(typeOf))].join('|') || 'string'}]`;
  if (typeof value === 'number') return Number.isSafeInteger(value) ? 'integer' : 'float';
  return value === null ? 'null' : typeof value;
}

const typesOf = (record: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, typeOf(value)]));

/** Every number of an answer, however deep: an engine's casts fail on any that is no integer. */
function floats(value: unknown): unknown[] {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? [] : [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(floats) : [];
}

describe('the capabilities', () => {
  it('have every key with the type that an engine insists on, and no float anywhere', async () => {
    const answer = await facts.capabilities();
    assert.deepEqual(
      typesOf(answer),
      Object.fromEntries(Object.keys(answer).map((key) => [key, capabilityTypes[key]])),
    );
    assert.deepEqual(
      Object.keys(capabilityTypes).filter((key) => !(key in answer)),
      [],
    );
    assert.deepEqual(floats(answer), []);
    assert.deepEqual(JSON.parse(JSON.stringify(answer)), answer);
  });

  it('tell the CPUs', async () => {
    const answer = await facts.capabilities();
    const { cpuModel, cpuSockets, cpuCores, cpuThreads, cpuSpeed, cpuFlags, onlineCpus } = answer as Record<
      string,
      string
    >;
    assert.deepEqual(
      [cpuModel, cpuSockets, cpuCores, cpuThreads, cpuSpeed, cpuFlags, onlineCpus],
      ['Test CPU @ 2.00GHz', '2', '2', '4', '2000.123', 'fpu,vme,sse4_1,model_Nehalem,model_EPYC', '0,1,2'],
    );
  });

  it('tell memory, NUMA and software', async () => {
    const answer = await facts.capabilities();
    assert.equal(answer['memSize'], '24105');
    assert.deepEqual(answer['numaNodes'], {
      '0': { cpus: [0], totalMemory: '5082' },
      '1': { cpus: [1, 2], totalMemory: '2' },
    });
    assert.deepEqual(answer['numaNodeDistance'], { '0': [10, 21], '1': [21, 10] });
    assert.deepEqual(answer['packages2'], {
      kernel: { version: '6.1.0', release: '28-amd64' },
      vdsm: { version: '0.1.0', release: '' },
      'qemu-kvm': { version: '7.2.22', release: '' },
      libvirt: { version: '9.0.0', release: '' },
    });
    assert.deepEqual(
      [answer['selinux'], answer['fipsEnabled'], answer['kdumpStatus']],
      [{ mode: '1' }, true, 0],
    );
    assert.deepEqual(answer['rngSources'], ['random']);
    assert.equal(answer['uuid'], '4114e4c3-59d9-45d1-8a08-461c30a2184a');
  });

  it("have libvirt's UUID where DMI's may not be read, and the system's where there is no DMI", async () => {
    const uuidOf = async (content: Record<string, string>): Promise<unknown> => {
      const other = makeHost({ 'etc/machine-id': '0123456789abcdef0123456789abcdef\n', ...content });
      const { uuid } = await make(other).capabilities();
      other.remove();
      return uuid;
    };
    assert.equal(await uuidOf({ 'sys/class/dmi/id/': '' }), '11111111-59d9-45d1-8a08-461c30a2184a');
    assert.equal(await uuidOf({}), '01234567-89ab-cdef-0123-456789abcdef');
  });

  it('show a bridge as a bridged network, and no tap device of a VM', async () => {
    const answer = await facts.capabilities();
    const ip = { addr: '', netmask: '', gateway: '', ipv4addrs: [], ipv6addrs: [] };
    const bridgeIp = {
      mtu: 1500,
      addr: '192.0.2.2',
      netmask: '255.255.255.0',
      gateway: '192.0.2.1',
      ipv4addrs: ['192.0.2.2/24'],
      ipv6addrs: ['fd00::2/64'],
    };
    assert.deepEqual(answer['networks'], {
      ovirtmgmt: { iface: 'ovirtmgmt', bridged: true, switch: 'legacy', ports: ['eth0'], ...bridgeIp },
    });
    assert.deepEqual(answer['bridges'], {
      ovirtmgmt: { ports: ['eth0'], hwaddr: '02:fc:00:00:00:01', ...bridgeIp },
    });
    assert.deepEqual(answer['nics'], {
      eth0: { hwaddr: '02:fc:00:00:00:01', speed: 10_000, mtu: 1500, ...ip },
    });
    assert.deepEqual(answer['bondings'], {
      bond0: { slaves: ['eth1', 'eth2'], hwaddr: '', speed: 0, opts: { mode: '1' }, mtu: 0, ...ip },
    });
    assert.deepEqual(answer['vlans'], { 'bond0.100': { iface: 'bond0', vlanid: 100, mtu: 1400, ...ip } });
  });

  it('are reduced, and still what an engine can read, where libvirt was never reached', async () => {
    hypervisor.info = undefined;
    const answer = await facts.capabilities();
    assert.deepEqual([answer['kvmEnabled'], answer['emulatedMachines']], ['false', []]);
    assert.deepEqual(Object.keys(answer['packages2'] as object), ['kernel', 'vdsm']);
    for (const [key, type] of Object.entries(typesOf(answer))) assert.equal(type, capabilityTypes[key], key);
    for (const key of ['HBAInventory', 'clusterLevels', 'cpuFlags', 'networks'])
      assert.ok(key in answer, key);
  });

  it('ask libvirt once for all who ask at the same time, whether it answers or not', async () => {
    const askTen = (): Promise<unknown> =>
      Promise.all(Array.from({ length: 10 }, () => facts.capabilities()));
    hypervisor.info = undefined;
    await askTen();
    assert.equal(hypervisor.calls, 1);
    hypervisor.info = hostInfo;
    await askTen();
    assert.equal(hypervisor.calls, 2);
  });

  it("keep libvirt's last word while it is away, and ask again at once when it is back", async () => {
    await facts.start();
    await facts.capabilities();
    await facts.capabilities();
    assert.equal(hypervisor.calls, 1);
    hypervisor.info = undefined;
    await clock.advance(61_000);
    assert.equal((await facts.capabilities())['kvmEnabled'], 'true');
    hypervisor.info = { ...hostInfo, libraryVersion: '10.0.0' };
    hypervisor.listener?.connected?.({ gap: true });
    const answer = await facts.capabilities();
    assert.deepEqual((answer['packages2'] as Record<string, unknown>)['libvirt'], {
      version: '10.0.0',
      release: '',
    });
  });
});

describe('the statistics', () => {
  it('have every key with the type that an engine insists on, and no float anywhere', async () => {
    const answer = await facts.stats();
    assert.deepEqual(typesOf(answer), statsTypes);
    assert.deepEqual(floats(answer), []);
    for (const cpu of Object.values(answer['cpuStatistics'] as object)) {
      assert.deepEqual(typesOf(cpu as Record<string, unknown>), {
        cpuUser: 'string',
        cpuSys: 'string',
        cpuIdle: 'string',
        nodeIndex: 'integer',
      });
    }
  });

  it('are averages since boot at first, and of the last period then', async () => {
    await facts.start();
    const first = await facts.stats();
    assert.deepEqual([first['cpuUser'], first['cpuSys'], first['cpuIdle']], ['11.00', '5.00', '82.00']);
    // 1,500 ticks more on all: 900 user, 300 system, 300 idle. CPU 0 was taken off, CPU 1 came back anew.
    host.write('proc/stat', 'cpu  1900 100 700 8300 200 50 50 200\ncpu1 10 0 20 70 0 0 0 0\n');
    await clock.advance(15_000);
    const second = await facts.stats();
    host.write('proc/stat', stat);
    assert.deepEqual([second['cpuUser'], second['cpuSys'], second['cpuIdle']], ['60.00', '20.00', '20.00']);
    assert.deepEqual(second['cpuStatistics'], {
      '1': { cpuUser: '0.00', cpuSys: '0.00', cpuIdle: '100.00', nodeIndex: 1 },
    });
  });

  it('tell memory in MiB, sharing and huge pages', async () => {
    const answer = await facts.stats();
    const keys = [
      'memFree',
      'memAvailable',
      'memUsed',
      'swapTotal',
      'swapFree',
      'anonHugePages',
      'memShared',
    ];
    assert.deepEqual(
      keys.map((key) => answer[key]),
      [11_264, 20_480, '53', 2048, 1024, '4', 20],
    );
    assert.deepEqual([answer['ksmState'], answer['ksmPages'], answer['thpState']], [true, 100, 'madvise']);
    assert.deepEqual(answer['hugepages'], { '2048': { free_hugepages: 5, nr_hugepages: 8 } });
    assert.deepEqual((answer['numaNodeMemFree'] as Record<string, unknown>)['0'], {
      memFree: '2541',
      memPercent: 50,
    });
  });

  it('tell the interfaces of the host with state, counters and a sample time', async () => {
    const network = (await facts.stats())['network'] as Record<string, Record<string, string>>;
    assert.deepEqual(Object.keys(network), ['bond0.100', 'eth0', 'ovirtmgmt']);
    assert.deepEqual(network['eth0'], {
      name: 'eth0',
      state: 'up',
      speed: '10000',
      rx: '202483005',
      tx: '429725',
      rxErrors: '1',
      txErrors: '3',
      rxDropped: '2',
      txDropped: '4',
      sampleTime: '2000.000',
    });
    assert.deepEqual([network['ovirtmgmt']?.['state'], network['bond0.100']?.['state']], ['up', 'down']);
  });

  it('count the VMs and tell the time', async () => {
    facts = make(
      host,
      vmsOf('Up', 'Powering up', 'Paused', 'Migration Source', 'Migration Destination', 'Down'),
    );
    const answer = await facts.stats();
    const keys = ['vmCount', 'vmActive', 'vmMigrating', 'incomingVmMigrations', 'outgoingVmMigrations'];
    assert.deepEqual(
      keys.map((key) => answer[key]),
      [6, 2, 1, 1, 1],
    );
    assert.equal(answer['dateTime'], '2026-11-20T13:11:19 GMT');
  });

  it('tell the age of their sample', async () => {
    await facts.start();
    await clock.advance(14_000);
    assert.equal((await facts.stats())['statsAge'], '14.00');
    await clock.advance(2000);
    assert.equal((await facts.stats())['statsAge'], '1.00');
  });

  it('are made of nothing where nothing can be read', async () => {
    const empty = makeHost({ 'proc/': '' });
    facts = make(empty);
    const answer = await facts.stats();
    assert.deepEqual([answer['cpuIdle'], answer['network'], 'ksmState' in answer], ['100.00', {}, false]);
    for (const [key, type] of Object.entries(typesOf(answer))) assert.equal(type, statsTypes[key], key);
    empty.remove();
  });
});

describe('stopping the host facts', () => {
  it('leaves neither timer nor listener, and may be repeated', async () => {
    await facts.start();
    assert.equal(clock.pendingTimers, 1);
    await facts.stop();
    await facts.stop();
    assert.deepEqual([clock.pendingTimers, hypervisor.listener], [0, undefined]);
  });
});
