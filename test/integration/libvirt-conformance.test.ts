/**
 * Every value that this project reads from libvirt, beside what virsh and libvirt.so say of the same domains.
 */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { StatsGroup } from '../../src/domain/stats.js';
import type { DomainDescription } from '../../src/domain/devices.js';
import { LibvirtClient } from '../../src/libvirt/client.js';
import { parseDomainXml } from '../../src/libvirt/domain-xml.js';
import type { DomainHandle } from '../../src/libvirt/objects.js';
import { perDomainStats } from '../../src/libvirt/per-domain-stats.js';
import type { TypedCall } from '../../src/libvirt/procedures.js';
import { memoryStatTags } from '../../src/libvirt/enumerations.js';
import { packageRoot } from '../../src/util/package-root.js';
import { assertBracketed } from '../support/bracket.js';
import type { Readings } from '../support/bracket.js';
import { batchToPlain, plainRecord } from '../support/bulk-model.js';
import type { PlainVm } from '../support/bulk-model.js';
import { createConformanceDomains } from '../support/conformance-domains.js';
import type { ConformanceDomains } from '../support/conformance-domains.js';
import {
  domstats,
  LIBVIRT_SOCKET,
  libvirtRequired,
  skipWithoutLibvirt,
  virsh,
} from '../support/real-libvirt.js';

const PREFIX = 'decode-conformance-';
const GROUPS = Object.values(StatsGroup).reduce((all, bit) => all | bit, 0);
const TEST_URI = `test+unix:///default?socket=${LIBVIRT_SOCKET}`;

const PYTHON = '/usr/bin/python3';

/** Value for `skip` of a test that asks libvirt.so. */
function skipWithoutPythonLibvirt(): string | false {
  if (libvirtRequired || skipWithoutLibvirt() !== false) return false;
  try {
    execFileSync(PYTHON, ['-c', 'import libvirt'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'python3-libvirt is not installed';
  }
}
const withLibvirtSo = { skip: skipWithoutPythonLibvirt() };

interface Truth {
  readonly numbers: Readonly<Record<string, number>>;
  readonly facts: Readonly<Record<string, unknown>>;
}

async function truth(name: string, uri = 'qemu:///system'): Promise<Truth> {
  const script = join(packageRoot, 'test/support/libvirt-truth.py');
  const { stdout } = await promisify(execFile)(PYTHON, [script, uri, name], { timeout: 60_000 });
  return (JSON.parse(stdout) as Record<string, Truth>)[name]!;
}

async function lookup(client: LibvirtClient, name: string): Promise<DomainHandle> {
  return (await client.call('DOMAIN_LOOKUP_BY_NAME', { name })).dom;
}

/** One VM's columns as readings by libvirt's names. */
function readings(vm: PlainVm): Readings {
  const found: Record<string, number | string> = { ...vm.scalars };
  for (const [kind, devices] of [
    ['net', vm.nets],
    ['block', vm.blocks],
  ] as const) {
    devices.forEach((device, n) => {
      found[`${kind}.${n}.name`] = device.name;
      if (device.path !== undefined) found[`${kind}.${n}.path`] = device.path;
      for (const [field, value] of Object.entries(device.values)) found[`${kind}.${n}.${field}`] = value;
    });
  }
  return found;
}

/** What `virsh domstats --raw` prints, as far as there are columns for it. */
async function virshReadings(name: string): Promise<Readings> {
  const fields = [...(await domstats(name))].map(([field, text]) =>
    /\.(name|path)$/.test(field)
      ? ({ field, type: 'string', value: text } as const)
      : ({ field, type: 'double', value: Number(text) } as const),
  );
  return readings(plainRecord('', fields));
}

describe('libvirt client against real libvirtd', { skip: skipWithoutLibvirt() }, () => {
  let client: LibvirtClient;
  let domains: ConformanceDomains;
  const cleanups: (() => Promise<void>)[] = [];

  before(async () => {
    domains = await createConformanceDomains(PREFIX);
    cleanups.push(domains.remove);
    client = await LibvirtClient.connect('qemu:///system');
    cleanups.unshift(() => client.close());
  });

  after(async () => {
    for (const cleanup of cleanups) await cleanup();
  });

  /** Runs for each domain, and says which one failed. */
  async function forEach(check: (name: string) => Promise<void>): Promise<void> {
    for (const name of domains.names) {
      try {
        await check(name);
      } catch (error) {
        throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
      }
    }
  }

  async function bulk(name: string, groups = GROUPS): Promise<Readings> {
    const doms = [await lookup(client, name)];
    return readings(batchToPlain(await client.getAllDomainStats({ groups, doms }))[0]!);
  }

  async function describeDomain(name: string): Promise<DomainDescription> {
    const dom = await lookup(client, name);
    return parseDomainXml((await client.call('DOMAIN_GET_XML_DESC', { dom, flags: 0 })).xml);
  }

  it('decodes every bulk value as virsh domstats prints it', async () => {
    await forEach(async (name) => {
      const compared = await assertBracketed(
        () => virshReadings(name),
        () => bulk(name),
      );
      assert.ok(compared >= (name.endsWith('off') ? 12 : 45), `only ${compared} values`);
    });
  });

  it('decodes all domains at once as it decodes each alone', async () => {
    const all = batchToPlain(
      await client.getAllDomainStats({ groups: StatsGroup.state | StatsGroup.interface }),
    );
    await forEach(async (name) => {
      const { uuid } = await lookup(client, name);
      const vm = all.find(({ id }) => id === uuid);
      const alone = await bulk(name, StatsGroup.state | StatsGroup.interface);
      assert.deepEqual(Object.keys(readings(vm!)), Object.keys(alone));
      assert.equal(vm?.scalars['state.state'], alone['state.state']);
    });
  });

  it('reads from the XML what another parser reads from the same XML', withLibvirtSo, async () => {
    await forEach(async (name) => {
      const { facts } = await truth(name);
      const domain = await describeDomain(name);
      const { disks, nics, graphics } = domain;
      assert.deepEqual(
        {
          ...Object.fromEntries(
            Object.keys(facts).map((key) => [key, domain[key as keyof DomainDescription]]),
          ),
          balloonPeriodSec: domain.balloonPeriodSec ?? -1,
          disks: disks.map((disk) => [disk.target, disk.device, disk.bus, disk.source, disk.alias]),
          nics: nics.map((nic) => [nic.target, nic.mac, nic.model, nic.alias]),
          graphics: graphics.map(({ type, port }) => [type, port]),
        },
        facts,
      );
      assert.equal(domain.xml.trim(), (await virsh(['dumpxml', name])).trim());
      assert.deepEqual(domain.metadata, { minGuaranteedMemoryMb: 32 });
    });
  });

  it('agrees with virsh dominfo', async () => {
    await forEach(async (name) => {
      const theirs = async (): Promise<Readings> => dominfo(await virsh(['dominfo', name]));
      const ours = async (): Promise<Readings> => {
        const dom = await lookup(client, name);
        const info = await client.call('DOMAIN_GET_INFO', { dom });
        const { persistent } = await client.call('DOMAIN_IS_PERSISTENT', { dom });
        const { autostart } = await client.call('DOMAIN_GET_AUTOSTART', { dom });
        const { type } = await client.call('DOMAIN_GET_OS_TYPE', { dom });
        return {
          id: dom.id < 0 ? '-' : String(dom.id),
          name: dom.name,
          uuid: dom.uuid,
          osType: type,
          state: ['no state', 'running', 'idle', 'paused', 'in shutdown', 'shut off'][info.state] ?? '',
          vcpus: info.vcpus,
          maxMemoryKiB: info.maxMem,
          usedMemoryKiB: info.memory,
          persistent: persistent === 1 ? 'yes' : 'no',
          autostart: autostart === 1 ? 'enable' : 'disable',
        };
      };
      await assertBracketed(theirs, ours);
    });
  });

  it('agrees with libvirt.so on the calls about one domain', withLibvirtSo, async () => {
    await forEach(async (name) => {
      const compared = await assertBracketed(
        async () => (await truth(name)).numbers,
        async () => numbers(client, await lookup(client, name)),
      );
      assert.ok(compared >= 20, `only ${compared} values`);
    });
  });

  it('finds call by call what the bulk call finds', async () => {
    await forEach(async (name) => {
      const { uuid, id } = await lookup(client, name);
      if (id < 0) return;
      const call: TypedCall = (procedure, args, options) => client.call(procedure, args, options);
      await assertBracketed(
        async () => comparable(await bulk(name)),
        async () => comparable(readings(batchToPlain(await perDomainStats(call, [uuid], GROUPS))[0]!)),
      );
    });
  });

  it("samples libvirt's test driver, which has next to no bulk statistics", withLibvirtSo, async () => {
    const driver = await LibvirtClient.connect(TEST_URI);
    try {
      const dom = await lookup(driver, 'test');
      const call: TypedCall = (procedure, args, options) => driver.call(procedure, args, options);
      const sample = async (): Promise<PlainVm> =>
        batchToPlain(await perDomainStats(call, [dom.uuid], GROUPS))[0]!;
      await assertBracketed(
        async () => (await truth('test', TEST_URI)).numbers,
        async () => numbers(driver, dom),
      );
      const first = await sample();
      const second = await sample();
      assert.deepEqual(
        [first.scalars['state.state'], first.scalars['vcpu.maximum'], first.scalars['balloon.maximum']],
        [1, 2, 8_388_608],
      );
      assert.deepEqual(
        first.nets.map(({ name }) => name),
        ['testnet0'],
      );
      assert.deepEqual(
        first.blocks.map(({ name }) => name),
        ['vda'],
      );
      assert.ok(second.nets[0]!.values['rx.bytes']! >= first.nets[0]!.values['rx.bytes']!);
      assert.ok(second.blocks[0]!.values['rd.bytes']! >= first.blocks[0]!.values['rd.bytes']!);
    } finally {
      await driver.close();
    }
  });
});

/** The sizes are another matter there: GET_BLOCK_INFO asks the file, the bulk call asks QEMU. */
function comparable(found: Readings): Readings {
  return Object.fromEntries(Object.entries(found).filter(([name]) => !/\.(allocation|physical)$/.test(name)));
}

function dominfo(text: string): Readings {
  const values = new Map(
    text.split('\n').map((line) => [line.split(':', 1)[0]!, line.slice(line.indexOf(':') + 1).trim()]),
  );
  const get = (key: string): string => values.get(key) ?? '';
  const kib = (key: string): number => Number(/^(\d+) KiB$/.exec(get(key))?.[1]);
  return {
    id: get('Id'),
    name: get('Name'),
    uuid: get('UUID'),
    osType: get('OS Type'),
    state: get('State'),
    vcpus: Number(get('CPU(s)')),
    maxMemoryKiB: kib('Max memory'),
    usedMemoryKiB: kib('Used memory'),
    persistent: get('Persistent'),
    autostart: get('Autostart'),
  };
}

/** The keys and the calls of libvirt-truth.py. */
async function numbers(client: LibvirtClient, dom: DomainHandle): Promise<Readings> {
  const found: Record<string, number> = {};
  const put = async (
    prefix: string,
    read: () => Promise<Readonly<Record<string, unknown>> | unknown[]>,
  ): Promise<void> => {
    try {
      for (const [key, value] of Object.entries(await read())) found[`${prefix}.${key}`] = Number(value);
    } catch (error) {
      found[`${prefix}.error`] = (error as { code: number }).code;
    }
  };
  const flags = 0;
  const { xml } = await client.call('DOMAIN_GET_XML_DESC', { dom, flags });
  await put('state', async () => Object.values(await client.call('DOMAIN_GET_STATE', { dom, flags })));
  await put('info', async () => Object.values(await client.call('DOMAIN_GET_INFO', { dom })));
  await put('control', async () =>
    Object.values(await client.call('DOMAIN_GET_CONTROL_INFO', { dom, flags })),
  );
  await put('cpu', () =>
    client
      .call('DOMAIN_GET_CPU_STATS', { dom, nparams: 3, startCpu: -1, ncpus: 1, flags })
      .then(({ params }) => Object.fromEntries(params.map(({ field, value }) => [field, value]))),
  );
  await put('memory', () =>
    client
      .call('DOMAIN_MEMORY_STATS', { dom, maxStats: 13, flags })
      .then(({ stats }) =>
        Object.fromEntries(
          stats.map(({ tag, value }) => [
            String(memoryStatTags[tag]).replace('actual_balloon', 'actual'),
            value,
          ]),
        ),
      ),
  );
  await put('max', async () => {
    const { num } = await client.call('DOMAIN_GET_MAX_VCPUS', { dom });
    return [num, (await client.call('DOMAIN_GET_MAX_MEMORY', { dom })).memory];
  });
  const { nics, disks } = parseDomainXml(xml);
  for (const device of nics.map(({ target }) => target).filter((target) => target !== '')) {
    await put(`net.${device}`, async () =>
      Object.values(await client.call('DOMAIN_INTERFACE_STATS', { dom, device })),
    );
  }
  for (const { target: path } of disks) {
    await put(`block.${path}`, () =>
      client
        .call('DOMAIN_GET_BLOCK_INFO', { dom, path, flags })
        .then(({ capacity, allocation, physical }) => [capacity, allocation, physical]),
    );
    await put(`io.${path}`, () =>
      client
        .call('DOMAIN_BLOCK_STATS_FLAGS', { dom, path, nparams: 16, flags })
        .then(({ params }) => Object.fromEntries(params.map(({ field, value }) => [field, value]))),
    );
    await put(`oldio.${path}`, async () =>
      Object.values(await client.call('DOMAIN_BLOCK_STATS', { dom, path })),
    );
  }
  return found;
}
