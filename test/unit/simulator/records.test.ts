import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { StatsGroup } from '../../../src/domain/stats.js';
import { domainStatsRecord } from '../../../src/libvirt/objects.js';
import { HEADER_BYTES } from '../../../src/libvirt/wire.js';
import { XdrReader, XdrWriter } from '../../../src/libvirt/xdr.js';
import { SimulatedHost } from '../../../src/simulator/simulated-host.js';
import type { SimulatedHostOptions } from '../../../src/simulator/simulated-host.js';
import type { SimulatedDomain } from '../../../src/simulator/domain.js';
import type { RecordMode } from '../../../src/simulator/stats-table.js';
import { ManualClock } from '../../support/manual-clock.js';

const AGENT_GROUPS = Object.values(StatsGroup).reduce((sum, bit) => sum | bit, 0);
const ALL = 2047;

function makeHost(options: Partial<SimulatedHostOptions> = {}) {
  const clock = new ManualClock();
  const host = new SimulatedHost({ clock, domains: 3, ...options });
  return { clock, host, first: host.require('vm-0001') };
}

function readRecord(host: SimulatedHost, domain: SimulatedDomain, groups: number, mode: RecordMode) {
  const writer = new XdrWriter(65_536);
  host.stats.of(domain).template(groups, mode).write(writer, domain);
  const bytes = writer.bodyLength;
  const packet = writer.finish({ program: 0, version: 0, procedure: 0, type: 0, serial: 0, status: 0 });
  assert.equal(packet.length, HEADER_BYTES + bytes);
  const reader = new XdrReader(packet);
  const record = domainStatsRecord.read(reader);
  assert.equal(reader.remaining, 0);
  return { bytes, ...record };
}

describe('bulk statistics records', () => {
  it('have the size and number of parameters of a recorded KVM domain with 2 vCPUs, 2 disks and 1 NIC', () => {
    const { host, first } = makeHost();
    const { params, bytes } = readRecord(host, first, AGENT_GROUPS, 'full');
    assert.ok(Math.abs(params.length - 154) <= 2, `${params.length} parameters`);
    assert.ok(Math.abs(bytes - 6066) < 200, `${bytes} bytes`);
  });

  it('hold the same values as the table of single figures', async () => {
    const { clock, host, first } = makeHost();
    await clock.advance(12_345);
    const { dom, params } = readRecord(host, first, ALL, 'full');
    assert.deepEqual(dom, { name: first.name, uuid: first.uuid, id: first.id });
    const table = host.stats.of(first);
    for (const param of params) {
      if (param.type === 'string') continue;
      assert.equal(Number(param.value), table.value(first, param.field), param.field);
    }
    const texts = params.filter(({ type }) => type === 'string').map(({ value }) => value);
    const [vda, vdb] = first.config.disks;
    assert.deepEqual(texts, [first.taps[0], 'vda', vda!.path, 'vdb', vdb!.path, 'page-sampling']);
  });

  it('differ between domains that share a template', () => {
    const { host, first } = makeHost();
    const second = host.require('vm-0002');
    const one = readRecord(host, first, AGENT_GROUPS, 'full');
    const two = readRecord(host, second, AGENT_GROUPS, 'full');
    assert.notDeepEqual(one.params, two.params);
    assert.deepEqual(readRecord(host, first, AGENT_GROUPS, 'full'), one);
  });

  it('carry only the groups asked for', () => {
    const { host, first } = makeHost();
    const { params } = readRecord(host, first, StatsGroup.state | StatsGroup.interface, 'full');
    assert.ok(params.every(({ field }) => /^(state|net)\./.test(field)));
    assert.equal(params.length, 12);
  });

  it('leave out what only the monitor knows when it was skipped', () => {
    const { host, first } = makeHost();
    const fields = readRecord(host, first, ALL, 'partial').params.map(({ field }) => field);
    assert.ok(
      fields.includes('cpu.time') && fields.includes('vcpu.1.time') && fields.includes('block.1.path'),
    );
    assert.ok(fields.includes('net.0.rx.bytes') && fields.includes('balloon.maximum'));
    const monitorOnly = /haltpoll|\.(sum|cur|max)$|rd\.|wr\.|fl\.|unused|dirtyrate|allocation/;
    assert.deepEqual(
      fields.filter((field) => monitorOnly.test(field)),
      [],
    );
  });

  it('tell of an inactive domain what libvirt tells', () => {
    const { host, first } = makeHost();
    host.lifecycle.destroy(first, false);
    const fields = readRecord(host, first, AGENT_GROUPS, 'inactive').params.map(({ field }) => field);
    assert.deepEqual(fields.slice(0, 10), [
      'state.state',
      'state.reason',
      'cpu.time',
      'cpu.user',
      'cpu.system',
      'balloon.current',
      'balloon.maximum',
      'vcpu.current',
      'vcpu.maximum',
      'block.count',
    ]);
    assert.equal(fields.length, 20);
  });

  it('tell of a guest without balloon statistics only what the host knows', () => {
    const { host, first } = makeHost();
    first.changeLive({ ...first.config, balloonPeriodSec: 0 });
    const { params } = readRecord(host, first, StatsGroup.balloon, 'full');
    assert.deepEqual(
      params.map(({ field }) => field.slice('balloon.'.length)),
      ['current', 'maximum', 'last-update', 'rss'],
    );
    assert.equal(params[2]!.value, 0);
  });

  it('give a drive without medium a name but neither path nor sizes', () => {
    const { host } = makeHost();
    const domain = host.define(
      `<domain type='kvm'><name>cd</name><memory>1024</memory><os><type>hvm</type></os><devices><disk device='cdrom'><target dev='sda'/></disk></devices></domain>`,
    );
    host.lifecycle.start(domain, false);
    const fields = readRecord(host, domain, StatsGroup.block, 'full').params.map(({ field }) => field);
    assert.ok(fields.includes('block.0.name') && fields.includes('block.0.rd.bytes'));
    assert.ok(!fields.some((field) => /path|allocation|capacity|physical/.test(field)));
  });

  it('follow the shape of the domain', () => {
    const { host, first } = makeHost({ defaults: { vcpus: 4, disks: 1, nics: 3 } });
    const { params } = readRecord(host, first, AGENT_GROUPS, 'full');
    const value = (name: string) => params.find(({ field }) => field === name)?.value;
    assert.deepEqual([value('vcpu.current'), value('block.count'), value('net.count')], [4, 1, 3]);
    assert.equal(value('net.2.name'), first.taps[2]);
    assert.ok(Number(value('vcpu.3.time')) > 0);
  });
});
