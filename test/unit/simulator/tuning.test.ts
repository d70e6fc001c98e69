import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { TypedParam } from '../../../src/libvirt/typed-params.js';
import { cpuListOf, cpuMapOf } from '../../../src/simulator/cpu-map.js';
import { changedLimits, readLimits } from '../../../src/simulator/disk-limits.js';
import { Fault } from '../../../src/simulator/fault.js';
import { checkedScheduler } from '../../../src/simulator/scheduler.js';
import { code, onDomain } from './rpc-domain.js';
import type { OnDomain } from './rpc-domain.js';

const [LIVE, CONFIG, MAXIMUM, STRINGS] = [1, 2, 4, 4];
const ullong = (field: string, value: number): TypedParam => ({ field, type: 'ullong', value });
const llong = (field: string, value: number): TypedParam => ({ field, type: 'llong', value });
const record = (params: readonly TypedParam[]) =>
  Object.fromEntries(params.map(({ field, value }) => [field, value]));

const setScheduler = ({ client, dom }: OnDomain, params: readonly TypedParam[], flags = LIVE) =>
  client.call('DOMAIN_SET_SCHEDULER_PARAMETERS_FLAGS', { dom, params, flags });
const scheduler = async ({ client, dom }: OnDomain, flags = LIVE) =>
  record((await client.call('DOMAIN_GET_SCHEDULER_PARAMETERS_FLAGS', { dom, nparams: 16, flags })).params);
const setLimits = ({ client, dom }: OnDomain, params: readonly TypedParam[], flags = LIVE, disk = 'vda') =>
  client.call('DOMAIN_SET_BLOCK_IO_TUNE', { dom, disk, params, flags });

/** Fields of the next tunable event. */
async function tunable(on: OnDomain): Promise<Record<string, unknown>> {
  while (!on.client.events.some(({ name }) => name === 'tunable')) await on.clock.advance(0);
  const [event] = on.client.events.splice(0);
  return record(event!.payload['params'] as TypedParam[]);
}

describe('CPU bandwidth of a simulated domain', () => {
  it('is set for the running domain, told of, and shown in its XML', () =>
    onDomain({}, async (on) => {
      await setScheduler(on, [llong('vcpu_quota', 50_000), ullong('vcpu_period', 100_000)]);
      assert.deepEqual(await tunable(on), { 'cputune.vcpu_quota': 50_000, 'cputune.vcpu_period': 100_000 });
      assert.match(on.xml(), /<cputune>\s+<period>100000<\/period>\s+<quota>50000<\/quota>\s+<\/cputune>/);
      assert.doesNotMatch(on.defined(), /cputune/);
      assert.equal((await scheduler(on))['vcpu_quota'], 50_000);
      assert.equal((await scheduler(on, CONFIG))['vcpu_quota'], 0);
      await assert.rejects(scheduler(on, LIVE | CONFIG), code(8));
    }));

  it('is set in the definition for the next start', () =>
    onDomain({}, async (on) => {
      await setScheduler(on, [ullong('cpu_shares', 512)], CONFIG);
      assert.equal((await scheduler(on))['cpu_shares'], 100);
      on.host.lifecycle.destroy(on.domain, false);
      on.host.lifecycle.start(on.domain, false);
      assert.equal((await scheduler(on))['cpu_shares'], 512);
      assert.ok(on.told().every((event) => !event.startsWith('tunable')));
    }));

  it('is refused out of range, of other types and by other names; 0 changes nothing', () =>
    onDomain({}, async (on) => {
      await assert.rejects(setScheduler(on, [llong('vcpu_quota', 5)]), code(8));
      await assert.rejects(setScheduler(on, [ullong('vcpu_period', 5)]), code(8));
      await assert.rejects(setScheduler(on, [ullong('vcpu_quota', 5000)]), code(8));
      await assert.rejects(setScheduler(on, [ullong('nonsense', 5000)]), code(74));
      await setScheduler(on, [llong('vcpu_quota', 5000)]);
      await setScheduler(on, [llong('vcpu_quota', 0)]);
      assert.equal((await scheduler(on))['vcpu_quota'], 5000);
      await setScheduler(on, [llong('vcpu_quota', -1)]);
      assert.equal((await scheduler(on))['vcpu_quota'], -1);
    }));
});

describe('disk limits of a simulated domain', () => {
  it('are set by kind, told of, and shown in the XML', () =>
    onDomain({}, async (on) => {
      await setLimits(on, [ullong('total_bytes_sec', 1000), ullong('total_iops_sec', 500)]);
      assert.deepEqual(await tunable(on), {
        'blkdeviotune.disk': 'vda',
        'blkdeviotune.total_bytes_sec': 1000,
        'blkdeviotune.total_iops_sec': 500,
      });
      await setLimits(on, [ullong('read_bytes_sec', 300)]);
      assert.match(
        on.xml(),
        /<iotune>\s+<read_bytes_sec>300<\/read_bytes_sec>\s+<total_iops_sec>500<\/total_iops_sec>\s+<\/iotune>/,
      );
      const get = { dom: on.dom, disk: 'vda', nparams: 32, flags: STRINGS };
      const { params, nparams } = await on.client.call('DOMAIN_GET_BLOCK_IO_TUNE', get);
      assert.equal(nparams, 20);
      assert.deepEqual(
        params.filter(({ value }) => value !== 0 && value !== '').map(({ field, value }) => [field, value]),
        [
          ['read_bytes_sec', 300],
          ['total_iops_sec', 500],
        ],
      );
      const count = await on.client.call('DOMAIN_GET_BLOCK_IO_TUNE', { dom: on.dom, nparams: 0, flags: 0 });
      assert.deepEqual(count, { params: [], nparams: 19 });
    }));

  it('are refused where they contradict, by unknown names, of unknown disks', () =>
    onDomain({}, async (on) => {
      await assert.rejects(setLimits(on, [ullong('total_iops_sec', 1), ullong('read_iops_sec', 1)]), code(8));
      await assert.rejects(setLimits(on, [ullong('write_bytes_sec_max', 1)]), code(67));
      await assert.rejects(setLimits(on, [ullong('nonsense', 1)]), code(74));
      await assert.rejects(setLimits(on, [llong('total_iops_sec', 1)]), code(8));
      await assert.rejects(setLimits(on, [ullong('total_iops_sec', 1)], LIVE, 'vdz'), code(8));
      assert.doesNotMatch(on.xml(), /iotune/);
    }));

  it('never end in a state that libvirt would refuse, and are read as they were set', () => {
    const name = fc.constantFrom(...readLimits(undefined, false).map(({ field }) => field));
    const call = fc.uniqueArray(fc.tuple(name, fc.nat(3)), { selector: ([field]) => field, maxLength: 6 });
    fc.assert(
      fc.property(fc.array(call, { maxLength: 5 }), (calls) => {
        let limits: ReturnType<typeof changedLimits> | undefined;
        for (const params of calls) {
          try {
            limits = changedLimits(
              limits,
              params.map(([field, value]) => ullong(field, value)),
            );
          } catch (error) {
            assert.ok(error instanceof Fault, String(error));
            continue;
          }
          const read = record(readLimits(limits, false));
          for (const [field, value] of params) assert.equal(read[field], value);
          for (const kind of ['bytes_sec', 'iops_sec', 'bytes_sec_max', 'iops_sec_max']) {
            const parts = [read[`read_${kind}`], read[`write_${kind}`]];
            assert.ok(read[`total_${kind}`] === 0 || parts.every((part) => part === 0));
          }
        }
      }),
    );
  });

  it('fail with a Fault, whatever the parameters', () => {
    const param = fc.record({
      field: fc.oneof(
        fc.string(),
        fc.constantFrom('vcpu_quota', 'cpu_shares', 'total_iops_sec', 'group_name'),
      ),
      type: fc.constantFrom('int', 'ullong', 'llong', 'double', 'boolean', 'string'),
      value: fc.oneof(fc.double(), fc.string(), fc.boolean()),
    }) as fc.Arbitrary<TypedParam>;
    fc.assert(
      fc.property(fc.array(param, { maxLength: 4 }), fc.boolean(), (params, live) => {
        for (const attempt of [
          () => checkedScheduler(params, live),
          () => changedLimits(undefined, params),
        ]) {
          try {
            attempt();
          } catch (error) {
            assert.ok(error instanceof Fault, String(error));
          }
        }
      }),
    );
  });
});

describe('vCPUs and memory of a simulated domain', () => {
  it('pins vCPUs to lists of host CPUs', () =>
    onDomain({}, async (on) => {
      const { client, dom } = on;
      const cpuMap = Uint8Array.of(0b0010_0111);
      await client.call('DOMAIN_PIN_VCPU_FLAGS', { dom, vcpu: 1, cpuMap, flags: LIVE });
      assert.deepEqual(await tunable(on), { 'cputune.vcpupin1': '0-2,5' });
      assert.match(on.xml(), /<vcpupin vcpu='1' cpuset='0-2,5'\/>/);
      const ask = { dom, count: 2, mapLength: 1, flags: LIVE };
      const { cpuMaps, num } = await client.call('DOMAIN_GET_VCPU_PIN_INFO', ask);
      assert.deepEqual([num, [...cpuMaps]], [2, [0xff, 0b0010_0111]]);
      await assert.rejects(client.call('DOMAIN_PIN_VCPU', { dom, vcpu: 7, cpuMap }), code(8));
      const none = { dom, vcpu: 0, cpuMap: Uint8Array.of(0) };
      await assert.rejects(client.call('DOMAIN_PIN_VCPU', none), code(8));
    }));

  it('lists CPUs as it read them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 16 }), (map) => {
        const list = cpuListOf(map);
        if (list === '') assert.ok(map.every((byte) => byte === 0));
        else assert.deepEqual([...cpuMapOf(list, map.length)], [...map]);
      }),
    );
  });

  it('sets vCPUs up to the maximum, and waits for the guest to let them go', () =>
    onDomain({}, async (on) => {
      const { client, dom, host, domain } = on;
      host.lifecycle.destroy(domain, false);
      host.define(host.xml(domain, true).replace(/<vcpu[^>]*>2</, "<vcpu current='1'>4<"));
      host.lifecycle.start(domain, false);
      const set = (vcpus: number, flags: number) =>
        client.call('DOMAIN_SET_VCPUS_FLAGS', { dom, vcpus, flags });
      const get = async (flags: number) => (await client.call('DOMAIN_GET_VCPUS_FLAGS', { dom, flags })).num;
      await on.clock.advance(60_000);
      const cpuTime = () => host.stats.of(domain).value(domain, 'cpu.time');
      const before = cpuTime();
      await set(3, LIVE);
      assert.equal(cpuTime(), before, 'no counter jumps');
      assert.deepEqual([await get(LIVE), await get(CONFIG), await get(LIVE | MAXIMUM)], [3, 1, 4]);
      assert.match(on.xml(), /<vcpu placement='static' current='3'>4<\/vcpu>/);
      assert.equal(host.stats.of(domain).has('vcpu.2.time'), true);
      await assert.rejects(set(5, LIVE), code(8));
      await assert.rejects(set(0, LIVE), code(8));
      await on.passing(set(2, LIVE | CONFIG));
      assert.deepEqual([await get(LIVE), await get(CONFIG)], [2, 2]);
      host.guests.setBehaviour(domain, { unplug: 'ignores' });
      await assert.rejects(on.passing(set(1, LIVE)), code(68));
      assert.equal(await get(LIVE), 2);
    }));

  it('sets the balloon’s target, and the maximum only of a domain that does not run', () =>
    onDomain({}, async (on) => {
      const { client, dom } = on;
      const set = (memory: number, flags: number) =>
        client.call('DOMAIN_SET_MEMORY_FLAGS', { dom, memory, flags });
      await set(262_144, LIVE);
      assert.deepEqual(await on.next(1), ['balloonChange 262144']);
      assert.match(on.xml(), /<currentMemory unit='KiB'>262144</);
      assert.doesNotMatch(on.defined(), /<currentMemory unit='KiB'>262144</);
      await assert.rejects(set(2 ** 40, LIVE), code(8));
      await assert.rejects(set(2 ** 30, LIVE | MAXIMUM), code(55));
      await set(2 ** 30, CONFIG | MAXIMUM);
      assert.match(on.defined(), /<memory unit='KiB'>1073741824</);
    }));
});
