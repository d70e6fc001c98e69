import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../src/domain/hypervisor.js';
import type { HypervisorErrorKind } from '../../../src/domain/hypervisor.js';
import type { VmId } from '../../../src/domain/ids.js';
import { StatsGroup } from '../../../src/domain/stats.js';
import { perDomainStats } from '../../../src/libvirt/per-domain-stats.js';
import type { ProcedureName, TypedCall } from '../../../src/libvirt/procedures.js';
import { batchToPlain } from '../../support/bulk-model.js';

const ids = [1, 2, 3].map((n) => `00000000-0000-4000-8000-00000000000${n}` as VmId);
const everything = 63;

const domainXml = `<domain type='test'><name>t</name><uuid>${ids[0]}</uuid><memory>2048</memory><devices>
  <disk type='file'><source file='/a'/><target dev='vda'/></disk>
  <disk type='file' device='cdrom'><target dev='sda'/></disk>
  <interface type='network'><target dev='vnet0'/></interface>
  <interface type='hostdev'><target dev='eth9'/></interface>
  <interface type='network'/>
</devices></domain>`;

type Answers = Partial<Record<ProcedureName, unknown>>;

const answers: Answers = {
  DOMAIN_GET_STATE: { state: 1, reason: 5 },
  DOMAIN_GET_INFO: { state: 1, maxMem: 2048, memory: 1024, vcpus: 2, cpuTime: 900 },
  DOMAIN_GET_MAX_VCPUS: { num: 8 },
  DOMAIN_GET_CPU_STATS: {
    nparams: 3,
    params: [
      { field: 'cpu_time', type: 'ullong', value: 1000 },
      { field: 'user_time', type: 'ullong', value: 300 },
      { field: 'system_time', type: 'ullong', value: 200 },
    ],
  },
  DOMAIN_MEMORY_STATS: {
    stats: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 99].map((tag) => ({ tag, value: tag + 50 })),
  },
  DOMAIN_GET_XML_DESC: { xml: domainXml },
  DOMAIN_INTERFACE_STATS: {
    rxBytes: 1,
    rxPackets: 2,
    rxErrs: 3,
    rxDrop: 4,
    txBytes: 5,
    txPackets: 6,
    txErrs: -1,
    txDrop: 8,
  },
  DOMAIN_BLOCK_STATS_FLAGS: {
    nparams: 4,
    params: [
      { field: 'rd_operations', type: 'llong', value: 11 },
      { field: 'wr_total_times', type: 'llong', value: 12 },
      { field: 'flush_operations', type: 'llong', value: -1 },
      { field: 'unheard_of', type: 'llong', value: 13 },
    ],
  },
  DOMAIN_GET_BLOCK_INFO: { allocation: 21, capacity: 22, physical: 23 },
  DOMAIN_BLOCK_STATS: { rdReq: 31, rdBytes: 32, wrReq: 33, wrBytes: -1, errs: -1 },
};

interface Call {
  readonly name: ProcedureName;
  readonly id: VmId;
}

/** Answers from the table; `fail` says which calls fail, and how. */
function daemon(fail: (call: Call) => HypervisorErrorKind | undefined = () => undefined): {
  call: TypedCall;
  calls: Call[];
} {
  const calls: Call[] = [];
  const call = async (name: ProcedureName, args: unknown): Promise<unknown> => {
    const made = { name, id: (args as { dom: { uuid: VmId } }).dom.uuid };
    calls.push(made);
    const kind = fail(made);
    await Promise.resolve();
    if (kind) throw new HypervisorError(kind, 'as the test wants it');
    return answers[name];
  };
  return { call: call as TypedCall, calls };
}

async function plain(
  call: TypedCall,
  groups = everything,
  of = ids,
): Promise<ReturnType<typeof batchToPlain>> {
  return batchToPlain(await perDomainStats(call, of, groups));
}

describe('perDomainStats', () => {
  it('fills the columns of all groups', async () => {
    const [vm, ...others] = await plain(daemon().call);
    assert.equal(others.length, 2);
    assert.deepEqual(vm, {
      id: ids[0],
      scalars: {
        'state.state': 1,
        'state.reason': 5,
        'cpu.time': 1000,
        'cpu.user': 300,
        'cpu.system': 200,
        'balloon.current': 56,
        'balloon.maximum': 2048,
        'balloon.swap_in': 50,
        'balloon.swap_out': 51,
        'balloon.major_fault': 52,
        'balloon.minor_fault': 53,
        'balloon.unused': 54,
        'balloon.available': 55,
        'balloon.usable': 58,
        'balloon.last-update': 59,
        'balloon.disk_caches': 60,
        'balloon.rss': 57,
        'vcpu.current': 2,
        'vcpu.maximum': 8,
      },
      nets: [
        {
          name: 'vnet0',
          values: {
            'rx.bytes': 1,
            'rx.pkts': 2,
            'rx.errs': 3,
            'rx.drop': 4,
            'tx.bytes': 5,
            'tx.pkts': 6,
            'tx.drop': 8,
          },
        },
      ],
      blocks: [
        {
          name: 'vda',
          path: '/a',
          values: { 'rd.reqs': 11, 'wr.times': 12, allocation: 21, capacity: 22, physical: 23 },
        },
        { name: 'sda', path: '', values: { 'rd.reqs': 11, 'wr.times': 12 } },
      ],
    });
  });

  it('calls only what the groups need', async () => {
    const used = async (groups: number): Promise<string[]> => {
      const { call, calls } = daemon();
      await perDomainStats(call, ids.slice(0, 1), groups);
      return calls.map(({ name }) => name.replace('DOMAIN_', ''));
    };
    assert.deepEqual(await used(StatsGroup.state), ['GET_STATE']);
    assert.deepEqual(await used(StatsGroup.cpu), ['GET_INFO', 'GET_CPU_STATS']);
    assert.deepEqual(await used(StatsGroup.balloon), ['GET_INFO', 'MEMORY_STATS']);
    assert.deepEqual(await used(StatsGroup.vcpu), ['GET_INFO', 'GET_MAX_VCPUS']);
    assert.deepEqual(await used(StatsGroup.interface), ['GET_XML_DESC', 'INTERFACE_STATS']);
  });

  it('takes the next best source where a call is not supported', async () => {
    const missing = new Set<ProcedureName>([
      'DOMAIN_GET_CPU_STATS',
      'DOMAIN_MEMORY_STATS',
      'DOMAIN_BLOCK_STATS_FLAGS',
    ]);
    const [vm] = await plain(daemon(({ name }) => (missing.has(name) ? 'unsupported' : undefined)).call);
    assert.equal(vm?.scalars['cpu.time'], 900);
    assert.equal('cpu.user' in vm.scalars, false);
    assert.equal(vm.scalars['balloon.current'], 1024);
    assert.deepEqual(vm.blocks[0]?.values, {
      'rd.reqs': 31,
      'rd.bytes': 32,
      'wr.reqs': 33,
      allocation: 21,
      capacity: 22,
      physical: 23,
    });
  });

  it('loses the values of a failed call and no others, whichever call it is', async () => {
    const whole = await plain(daemon().call);
    for (const failing of Object.keys(answers) as ProcedureName[]) {
      for (const kind of ['failed', 'timeout', 'invalid-state', 'unsupported'] as const) {
        const fails = (call: Call): boolean => call.name === failing && call.id === ids[1];
        const vms = await plain(daemon((call) => (fails(call) ? kind : undefined)).call);
        assert.deepEqual(vms[0], whole[0]);
        assert.deepEqual(vms[2], whole[2]);
        assert.equal(vms[1]?.id, ids[1]);
      }
    }
  });

  it('leaves out a domain that is gone, at whatever call it is noticed', async () => {
    for (const name of ['DOMAIN_GET_STATE', 'DOMAIN_GET_INFO', 'DOMAIN_GET_XML_DESC'] as const) {
      const gone = (call: Call): boolean => call.name === name && call.id === ids[1];
      const vms = await plain(daemon((call) => (gone(call) ? 'no-domain' : undefined)).call);
      assert.deepEqual(
        vms.map(({ id }) => id),
        [ids[0], ids[2]],
      );
    }
  });

  it('fails as a whole where the connection is lost or the caller gives up', async () => {
    for (const kind of ['unavailable', 'aborted'] as const) {
      const { call } = daemon(({ id }) => (id === ids[2] ? kind : undefined));
      await assert.rejects(perDomainStats(call, ids, everything), { kind });
    }
  });

  it('answers in the order asked, repeats included, and grows as needed', async () => {
    const many = Array.from({ length: 60 }, (_, i) => ids[(i * 7) % 3]!);
    const { call, calls } = daemon();
    const vms = await plain(call, StatsGroup.state | StatsGroup.interface | StatsGroup.block, many);
    assert.deepEqual(
      vms.map(({ id }) => id),
      many,
    );
    for (const vm of vms) {
      assert.equal(vm.nets[0]?.values['rx.bytes'], 1);
      assert.equal(vm.blocks[0]?.values['capacity'], 22);
    }
    assert.equal(calls.filter(({ name }) => name === 'DOMAIN_GET_STATE').length, 3);
  });

  it('lives with XML that is none', async () => {
    const { call } = daemon();
    const broken = ((name: ProcedureName, args: never) =>
      name === 'DOMAIN_GET_XML_DESC' ? Promise.resolve({ xml: '<x' }) : call(name, args)) as TypedCall;
    const [vm] = await plain(broken);
    assert.deepEqual([vm?.nets, vm?.blocks], [[], []]);
    assert.equal(vm?.scalars['vcpu.current'], 2);
  });
});
