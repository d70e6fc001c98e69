/** What each call of the port's groups sends: procedure, flags, values; and what it makes of the answers. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LibvirtHypervisor } from '../../../src/libvirt/driver.js';
import type { ProcedureName } from '../../../src/libvirt/procedures.js';
import { kind } from './connection-fixture.js';
import { BOTH, code, CONFIG, DriverFixture, id, LIVE } from './driver-fixture.js';

const fixture = DriverFixture.use();

type Case = readonly [
  name: ProcedureName,
  args: Readonly<Record<string, unknown>>,
  call: (h: LibvirtHypervisor) => Promise<unknown>,
];
const tp = (field: string, type: string, value: number) => ({ field, type, value });
const snapshot = { diskOnly: true, reuse: false, atomic: false, quiesce: false };
const range = { base: '/b', top: '/t', bandwidth: 5 };
const element = { uri: 'u', prefix: 'p', xml: '<a/>' };

/** Each sends this, and nothing else of its group. */
const cases: readonly Case[] = [
  ['DOMAIN_SHUTDOWN_FLAGS', { flags: 1 }, (h) => h.power.shutdown(id, 'acpi')],
  ['DOMAIN_SHUTDOWN_FLAGS', { flags: 2 }, (h) => h.power.shutdown(id, 'agent')],
  ['DOMAIN_REBOOT', { flags: 1 }, (h) => h.power.reboot(id, 'acpi')],
  ['DOMAIN_REBOOT', { flags: 2 }, (h) => h.power.reboot(id, 'agent')],
  ['DOMAIN_RESET', { flags: 0 }, (h) => h.power.reset(id)],
  ['DOMAIN_SAVE_FLAGS', { to: '/f', xml: undefined, flags: 0 }, (h) => h.saving.save(id, '/f')],
  [
    'DOMAIN_RESTORE_FLAGS',
    { from: '/f', xml: 'x', flags: 2 },
    (h) => h.saving.restore('/f', { xml: 'x', paused: false }),
  ],
  [
    'DOMAIN_RESTORE_FLAGS',
    { from: '/f', xml: undefined, flags: 4 },
    (h) => h.saving.restore('/f', { paused: true }),
  ],
  ['DOMAIN_ABORT_JOB', {}, (h) => h.saving.abortJob(id)],
  ['DOMAIN_ATTACH_DEVICE_FLAGS', { xml: '<d/>', flags: BOTH }, (h) => h.devices.attach(id, '<d/>')],
  ['DOMAIN_DETACH_DEVICE_FLAGS', { xml: '<d/>', flags: BOTH }, (h) => h.devices.detach(id, '<d/>')],
  [
    'DOMAIN_UPDATE_DEVICE_FLAGS',
    { xml: '<d/>', flags: LIVE },
    (h) => h.devices.update(id, '<d/>', { force: false, persist: false }),
  ],
  [
    'DOMAIN_UPDATE_DEVICE_FLAGS',
    { xml: '<d/>', flags: BOTH + 4 },
    (h) => h.devices.update(id, '<d/>', { force: true, persist: true }),
  ],
  ['DOMAIN_SET_VCPUS_FLAGS', { vcpus: 3, flags: BOTH }, (h) => h.devices.setVcpus(id, 3)],
  [
    'DOMAIN_PIN_VCPU_FLAGS',
    { vcpu: 1, cpuMap: Buffer.from([0b1001, 0b10]), flags: LIVE },
    (h) => h.devices.pinVcpu(id, 1, [0, 3, 9]),
  ],
  ['DOMAIN_SET_MEMORY_FLAGS', { memory: 4096, flags: LIVE }, (h) => h.devices.setMemory(id, 4096)],
  [
    'DOMAIN_SET_SCHEDULER_PARAMETERS_FLAGS',
    { params: [tp('vcpu_period', 'ullong', 9), tp('vcpu_quota', 'llong', -1)], flags: BOTH },
    (h) => h.tuning.setScheduler(id, { vcpuQuota: -1, vcpuPeriod: 9 }),
  ],
  [
    'DOMAIN_SET_BLOCK_IO_TUNE',
    { disk: 'vda', params: [tp('total_bytes_sec', 'ullong', 7)], flags: LIVE },
    (h) => h.tuning.setDiskLimits(id, 'vda', { total_bytes_sec: 7 }),
  ],
  [
    'DOMAIN_BLOCK_RESIZE',
    { disk: 'vda', size: 2 ** 40, flags: 1 },
    (h) => h.disks.resize(id, 'vda', 2 ** 40),
  ],
  [
    'DOMAIN_BLOCK_COMMIT',
    { disk: 'vda', ...range, flags: 0 },
    (h) => h.disks.commit(id, 'vda', { ...range, active: false }),
  ],
  [
    'DOMAIN_BLOCK_COMMIT',
    { disk: 'vda', ...range, flags: 4 },
    (h) => h.disks.commit(id, 'vda', { ...range, active: true }),
  ],
  ['DOMAIN_BLOCK_JOB_ABORT', { path: 'vda', flags: 0 }, (h) => h.disks.endJob(id, 'vda', { pivot: false })],
  ['DOMAIN_BLOCK_JOB_ABORT', { path: 'vda', flags: 2 }, (h) => h.disks.endJob(id, 'vda', { pivot: true })],
  [
    'DOMAIN_SET_METADATA',
    { type: 2, metadata: '<a/>', key: 'p', uri: 'u', flags: BOTH },
    (h) => h.metadata.set(id, element, 'both'),
  ],
  [
    'DOMAIN_SET_METADATA',
    { type: 2, metadata: undefined, key: 'p', uri: 'u', flags: CONFIG },
    (h) => h.metadata.set(id, { ...element, xml: undefined }, 'definition'),
  ],
];

describe('calls of verbs', () => {
  for (const [name, expected, call] of cases) {
    const shown = Object.entries(expected).map(([key, value]) => `${key} ${String(value)}`);
    it(`send ${name} with ${shown.join(', ')}`, async () => {
      fixture.daemon.answer(name, () => undefined as never);
      await call(fixture.hypervisor);
      const [sent, ...more] = fixture.daemon.calls(name);
      assert.equal(more.length, 0);
      const { dom, ...args } = sent?.args as { readonly dom?: { readonly uuid: string } };
      if (dom) assert.equal(dom.uuid, id);
      assert.deepEqual(args, expected);
    });
  }

  it('send nothing where nothing is to be set', async () => {
    await fixture.hypervisor.tuning.setScheduler(id, {});
    await fixture.hypervisor.tuning.setDiskLimits(id, 'vda', {});
    assert.deepEqual(fixture.flagsOf('DOMAIN_SET_SCHEDULER_PARAMETERS_FLAGS'), []);
    assert.deepEqual(fixture.flagsOf('DOMAIN_SET_BLOCK_IO_TUNE'), []);
  });

  for (const [what, how, flags] of [
    ['disks alone', snapshot, 4 + 16],
    ['disks, into files that are there', { ...snapshot, reuse: true, atomic: true }, 4 + 16 + 32 + 128],
    ['disks, the guest frozen', { ...snapshot, quiesce: true }, 4 + 16 + 64],
    ['memory', { ...snapshot, diskOnly: false }, 4],
  ] as const) {
    it(`take snapshots without metadata of ${what}`, async () => {
      const dom = { name: 'wr1', uuid: id, id: 7 };
      fixture.daemon.answer('DOMAIN_SNAPSHOT_CREATE_XML', () => ({ snapshot: { name: 's', dom } }));
      await fixture.hypervisor.disks.snapshot(id, '<domainsnapshot/>', how);
      assert.deepEqual(fixture.flagsOf('DOMAIN_SNAPSHOT_CREATE_XML'), [flags]);
    });
  }

  it('read limits, sizes, jobs, metadata and files as they are told', async () => {
    const params = [tp('total_bytes_sec', 'ullong', 5), { field: 'group_name', type: 'string', value: 'g' }];
    fixture.daemon.answer('DOMAIN_GET_BLOCK_IO_TUNE', () => ({ params, nparams: 2 }) as never);
    fixture.daemon.answer('DOMAIN_GET_BLOCK_INFO', () => ({ allocation: 1, capacity: 2, physical: 3 }));
    const job = { found: 1, type: 4, bandwidth: 10, cur: 1, end: 2 };
    fixture.daemon.answer('DOMAIN_GET_BLOCK_JOB_INFO', ({ path }) => ({
      ...job,
      found: path === 'vda' ? 1 : 0,
    }));
    fixture.daemon.answer('DOMAIN_SAVE_IMAGE_GET_XML_DESC', ({ flags }) => ({ xml: `<domain/>${flags}` }));
    const { disks, tuning, saving } = fixture.hypervisor;
    assert.deepEqual(await tuning.diskLimits(id, 'vda'), { total_bytes_sec: 5 });
    assert.deepEqual(await disks.size(id, 'vda'), { capacity: 2, physical: 3 });
    assert.deepEqual(await disks.job(id, 'vda'), { type: 'active-commit', cur: 1, end: 2, bandwidth: 10 });
    assert.equal(await disks.job(id, 'vdb'), undefined);
    assert.equal(await saving.savedXml('/f'), '<domain/>1', 'passwords included');
  });

  it('find no metadata without an error', async () => {
    fixture.fail('DOMAIN_GET_METADATA', { [LIVE]: code.noMetadata, [CONFIG]: code.invalidState });
    assert.equal(await fixture.hypervisor.metadata.get(id, 'u', 'live'), undefined);
    await assert.rejects(fixture.hypervisor.metadata.get(id, 'u', 'definition'), kind('invalid-state'));
  });
});
