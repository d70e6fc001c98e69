import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { StatsGroup } from '../../../src/domain/stats.js';
import { code, onDomain } from './rpc-domain.js';
import type { OnDomain } from './rpc-domain.js';
import { watch } from './server-fixture.js';

const [LIVE, CONFIG, FORCE] = [1, 2, 4];
const disk = (target: string, path = '/images/new', more = '') =>
  `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${path}'/>` +
  `<target dev='${target}' bus='virtio'/>${more}</disk>`;
const nic = (mac: string, more = '') =>
  `<interface type='bridge'><mac address='${mac}'/><source bridge='b'/><model type='virtio'/>${more}</interface>`;
const module = (mib: number) =>
  `<memory model='dimm'><target><size unit='MiB'>${mib}</size><node>0</node></target></memory>`;
const cdrom = (path?: string, target = 'sda') =>
  `<disk type='file' device='cdrom'>${path === undefined ? '' : `<source file='${path}'/>`}<target dev='${target}' bus='sata'/><readonly/></disk>`;

const attach = ({ client, dom }: OnDomain, xml: string, flags = LIVE) =>
  client.call('DOMAIN_ATTACH_DEVICE_FLAGS', { dom, xml, flags });
const detach = ({ client, dom }: OnDomain, xml: string, flags = LIVE) =>
  client.call('DOMAIN_DETACH_DEVICE_FLAGS', { dom, xml, flags });
const update = ({ client, dom }: OnDomain, xml: string, flags = LIVE) =>
  client.call('DOMAIN_UPDATE_DEVICE_FLAGS', { dom, xml, flags });

/** The first domain, started from a document of other devices. */
async function redefined(on: OnDomain, edit: (xml: string) => string): Promise<void> {
  const { host, domain } = on;
  host.lifecycle.destroy(domain, false);
  host.define(edit(host.xml(domain, true)));
  host.lifecycle.start(domain, false);
  await on.next(6);
}
const withDevices = (more: string) => (xml: string) => xml.replace('</devices>', `${more}</devices>`);

describe('attaching a device', () => {
  it('plugs a disk: alias, node and address in the XML, an event, its own statistics', () =>
    onDomain({}, async (on) => {
      await attach(on, disk('vdc'));
      assert.deepEqual(await on.next(1), ['deviceAdded virtio-disk2']);
      assert.match(
        on.xml(),
        /<source file='\/images\/new' index='3'\/>\s+<backingStore\/>\s+<target dev='vdc'/,
      );
      assert.match(on.xml(), /<alias name='virtio-disk2'\/>\s+<address type='pci'/);
      assert.doesNotMatch(on.defined(), /vdc/);
      const { records } = await on.client.call('CONNECT_GET_ALL_DOMAIN_STATS', {
        doms: [on.dom],
        stats: StatsGroup.block,
        flags: 0,
      });
      const fields = new Map(records[0]!.params.map(({ field, value }) => [field, value]));
      assert.deepEqual([fields.get('block.count'), fields.get('block.2.path')], [3, '/images/new']);
    }));

  it('plugs NICs with a tap each, told apart by their aliases', () =>
    onDomain({}, async (on) => {
      for (const flags of [LIVE, LIVE | CONFIG]) await attach(on, nic('52:54:00:00:00:99'), flags);
      assert.deepEqual(await on.next(2), ['deviceAdded net1', 'deviceAdded net2']);
      assert.equal(new Set(on.domain.taps).size, 3);
      assert.equal(on.defined().match(/52:54:00:00:00:99/g)?.length, 1);
      assert.doesNotMatch(on.defined(), /vnet/);
    }));

  it('keeps a user’s alias in the definition too', () =>
    onDomain({}, async (on) => {
      await attach(on, disk('vdc', '/images/new', "<alias name='ua-mine'/>"), LIVE | CONFIG);
      assert.deepEqual(await on.next(1), ['deviceAdded ua-mine']);
      assert.match(on.defined(), /ua-mine/);
      await assert.rejects(attach(on, disk('vdd', '/x', "<alias name='ua-mine'/>")), code(67));
    }));

  it('adds the memory of a module to the domain’s', () =>
    onDomain({}, async (on) => {
      await assert.rejects(attach(on, module(128)), code(67), 'without maxMemory');
      await redefined(on, (xml) =>
        xml.replace('<memory ', "<maxMemory slots='2' unit='MiB'>16384</maxMemory><memory "),
      );
      const before = on.domain.config.memoryKiB;
      await attach(on, module(128));
      assert.deepEqual(await on.next(1), ['deviceAdded memdimm0']);
      assert.equal(on.domain.config.memoryKiB, before + 131_072);
      assert.equal(on.domain.config.currentMemoryKiB, before + 131_072);
      assert.match(on.xml(), /<alias name='dimm0'\/>\s+<address type='dimm' slot='0'/);
      await assert.rejects(attach(on, module(1)), code(1), 'no multiple of 2 MiB');
      await assert.rejects(attach(on, module(16_384)), code(67), 'over the maximum');
      await attach(on, module(128));
      await assert.rejects(attach(on, module(128)), code(9), 'no slot');
      await on.passing(detach(on, module(128)));
      assert.equal(on.domain.config.memoryKiB, before + 131_072);
    }));

  it('refuses what libvirt refuses, with its numbers', () =>
    onDomain({}, async (on) => {
      const folder = mkdtempSync(join(tmpdir(), 'devices-'));
      try {
        await assert.rejects(attach(on, disk('vda')), code(27));
        await assert.rejects(attach(on, disk('vda'), CONFIG), code(55));
        await assert.rejects(attach(on, disk('vdc', join(folder, 'absent'))), code(38));
        await attach(on, disk('vdc', join(folder, 'absent')), CONFIG);
      } finally {
        rmSync(folder, { recursive: true });
      }
      await assert.rejects(attach(on, '<nonsense/>'), code(67));
      await assert.rejects(attach(on, '<disk'), code(35));
      await assert.rejects(attach(on, "<memballoon model='virtio'/>"), code(84));
      on.host.lifecycle.destroy(on.domain, false);
      await assert.rejects(attach(on, disk('vdd')), code(55));
      await attach(on, disk('vdd'), 0);
      assert.match(on.defined(), /vdd/);
    }));
});

describe('statistics of devices that come and go', () => {
  it('start at zero, and leave those of the others alone', () =>
    onDomain({}, async (on) => {
      const counters = async () => {
        const groups = StatsGroup.block | StatsGroup.interface;
        const ask = { doms: [on.dom], stats: groups, flags: 0 };
        const { records } = await on.client.call('CONNECT_GET_ALL_DOMAIN_STATS', ask);
        const fields = new Map(records[0]!.params.map(({ field, value }) => [field, value]));
        const of = (group: string, bytes: string) =>
          Array.from({ length: Number(fields.get(`${group}.count`)) }, (_, index) => [
            String(fields.get(`${group}.${index}.name`)),
            Number(fields.get(`${group}.${index}.${bytes}`)),
          ]);
        return Object.fromEntries([...of('block', 'wr.bytes'), ...of('net', 'rx.bytes')]) as Record<
          string,
          number
        >;
      };
      await attach(on, disk('vdc'));
      await attach(on, nic('52:54:00:00:00:99'));
      const before = await counters();
      const [first = '', second = ''] = on.domain.taps;
      assert.deepEqual([before['vdc'], before[second]], [0, 0]);
      assert.ok(before['vdb']! > 1e6 && before[first]! > 1e6);
      await on.clock.advance(10_000);
      const later = await counters();
      assert.ok(later['vdc']! > 0 && later[second]! > 0);
      const grown = later[first]! - before[first]!;
      assert.ok(Math.abs(later[second]! - grown) <= 1, 'NICs are alike');
      await on.passing(detach(on, disk('vda')));
      const { vda, vdb, vdc } = await counters();
      assert.equal(vda, undefined);
      assert.ok(vdb! - later['vdb']! < 1e6 && vdb! >= later['vdb']!);
      assert.ok(vdc! - later['vdc']! < 1e6 && vdc! >= later['vdc']!);
    }));
});

describe('detaching a device', () => {
  it('replies when the guest has let go, and takes it from the definition', () =>
    onDomain({}, async (on) => {
      await on.passing(detach(on, disk('vdb'), LIVE | CONFIG));
      assert.deepEqual(await on.next(1), ['deviceRemoved virtio-disk1']);
      assert.doesNotMatch(on.xml(), /dev='vdb'/);
      assert.doesNotMatch(on.defined(), /dev='vdb'/);
      await assert.rejects(detach(on, disk('vdb')), code(99));
      await assert.rejects(detach(on, disk('vdb'), CONFIG), code(99));
    }));

  it('replies after five seconds where the guest keeps it, and asks again after that', () =>
    onDomain({ guest: { unplug: 'ignores' } }, async (on) => {
      const first = watch(detach(on, disk('vdb')));
      while (on.domain.unplugging.size === 0) await on.clock.advance(0);
      await assert.rejects(detach(on, disk('vdb')), code(1));
      await on.clock.advance(4990);
      assert.equal(first.settled, false);
      await on.passing(Promise.resolve());
      await on.passing(detach(on, disk('vdb')));
      assert.equal(first.error, undefined);
      assert.match(on.xml(), /dev='vdb'/);
      assert.deepEqual(on.told(), []);
    }));

  it('fails where the guest refuses, and tells of it', () =>
    onDomain({ guest: { unplug: 'refuses' } }, async (on) => {
      await assert.rejects(on.passing(detach(on, disk('vdb'))), code(9));
      assert.deepEqual(await on.next(1), ['deviceRemovalFailed virtio-disk1']);
      assert.match(on.xml(), /dev='vdb'/);
    }));

  it('waits for a paused guest, which lets go when it runs', () =>
    onDomain({}, async (on) => {
      on.host.lifecycle.suspend(on.domain);
      await on.passing(detach(on, disk('vdb')));
      assert.match(on.xml(), /dev='vdb'/);
      on.host.lifecycle.resume(on.domain);
      await on.clock.advance(100);
      assert.deepEqual(await on.next(3), ['3/0', '4/0', 'deviceRemoved virtio-disk1']);
    }));

  it('asked twice of a paused guest happens once', () =>
    onDomain({}, async (on) => {
      on.host.lifecycle.suspend(on.domain);
      await on.passing(detach(on, disk('vdb')));
      await on.passing(detach(on, disk('vdb')));
      on.host.lifecycle.resume(on.domain);
      await on.clock.advance(1000);
      assert.deepEqual(await on.next(3), ['3/0', '4/0', 'deviceRemoved virtio-disk1']);
      assert.deepEqual(on.told(), []);
    }));

  it('by alias replies at once', () =>
    onDomain({}, async (on) => {
      const { client, dom } = on;
      await client.call('DOMAIN_DETACH_DEVICE_ALIAS', { dom, alias: 'net0', flags: LIVE });
      assert.match(on.xml(), /net0/);
      await on.clock.advance(100);
      assert.deepEqual(await on.next(1), ['deviceRemoved net0']);
      assert.doesNotMatch(on.xml(), /net0/);
      const gone = { dom, alias: 'net0', flags: LIVE };
      await assert.rejects(client.call('DOMAIN_DETACH_DEVICE_ALIAS', gone), code(1));
    }));

  it('finds NICs by MAC, and by alias where there are two of one', () =>
    onDomain({}, async (on) => {
      const mac = '52:54:00:00:00:99';
      await attach(on, nic(mac));
      await attach(on, nic(mac));
      await assert.rejects(detach(on, nic(mac)), code(9));
      await assert.rejects(detach(on, nic('52:54:00:00:00:98')), code(99));
      await on.passing(detach(on, nic(mac, "<alias name='net1'/>")));
      await on.passing(detach(on, nic(mac)));
      assert.deepEqual((await on.next(4)).slice(2), ['deviceRemoved net1', 'deviceRemoved net2']);
    }));

  it('finds host devices by their source, and other devices by all of it', () =>
    onDomain({}, async (on) => {
      const hostdev = (bus: string) =>
        `<hostdev mode='subsystem' type='pci' managed='no'><source><address domain='0' bus='${bus}' slot='0' function='0'/></source></hostdev>`;
      const rng = `<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>`;
      await attach(on, hostdev('0x05'));
      await attach(on, rng);
      assert.deepEqual(await on.next(2), ['deviceAdded hostdev0', 'deviceAdded rng0']);
      await assert.rejects(detach(on, hostdev('6')), code(99));
      await assert.rejects(detach(on, rng.replace('urandom', 'random')), code(99));
      await on.passing(detach(on, hostdev('5')));
      await on.passing(detach(on, rng));
      assert.deepEqual(await on.next(2), ['deviceRemoved hostdev0', 'deviceRemoved rng0']);
    }));

  it('fails when the domain ends meanwhile', () =>
    onDomain({ guest: { unplug: 'ignores' } }, async (on) => {
      const outcome = watch(detach(on, disk('vdb')));
      while (on.domain.unplugging.size === 0) await on.clock.advance(0);
      on.host.lifecycle.destroy(on.domain, false);
      await on.passing(Promise.resolve());
      while (!outcome.settled) await on.clock.advance(0);
      assert.ok(code(55)(outcome.error));
    }));
});

describe('changing a device', () => {
  it('changes media, moving the tray', () =>
    onDomain({}, async (on) => {
      await redefined(on, withDevices(cdrom()));
      await update(on, cdrom('/images/one.iso'));
      assert.deepEqual(await on.next(2), ['trayChange sata0-0-0 0', 'trayChange sata0-0-0 1']);
      assert.match(on.xml(), /<source file='\/images\/one\.iso' index='\d+'\/>/);
      await update(on, cdrom('/images/one.iso'));
      assert.deepEqual(on.told(), [], 'the same medium moves nothing');
      await update(on, cdrom(), LIVE | CONFIG | FORCE);
      assert.equal((await on.next(2)).length, 2);
      assert.doesNotMatch(on.xml(), /one\.iso/);
      await assert.rejects(update(on, cdrom('/images/one.iso', 'sdz')), code(1));
      await assert.rejects(update(on, disk('vdb', '/images/other')), code(67));
      await update(on, disk('vdb', on.domain.config.disks[1]!.path));
    }));

  it('opens a locked tray only by force', () =>
    onDomain({ guest: { tray: 'locked' } }, async (on) => {
      await redefined(on, withDevices(cdrom('/images/one.iso')));
      await assert.rejects(on.passing(update(on, cdrom('/images/two.iso'))), code(9));
      assert.match(on.xml(), /one\.iso/);
      await update(on, cdrom('/images/two.iso'), LIVE | FORCE);
      assert.match(on.xml(), /two\.iso/);
    }));

  it('changes link and bridge of a NIC, not its model or type', () =>
    onDomain({}, async (on) => {
      const mac = on.domain.config.nics[0]!.mac;
      await update(on, nic(mac, "<link state='down'/>"));
      assert.match(on.xml(), /<source bridge='b'\/>[^]*<link state='down'\/>/);
      assert.match(on.xml(), /<target dev='vnet0'\/>/);
      assert.match(on.defined(), /ovirtmgmt/);
      await assert.rejects(update(on, nic(mac).replace('virtio', 'e1000')), code(84));
      const bare = `<interface type='ethernet'><mac address='${mac}'/><model type='virtio'/></interface>`;
      await assert.rejects(update(on, bare), code(84));
      await assert.rejects(update(on, nic('52:54:00:00:00:98')), code(99));
    }));

  it('sets the ticket of graphics that have one, and nothing else of them', () =>
    onDomain({}, async (on) => {
      const graphics = (rest: string) => `<graphics type='vnc' autoport='yes' listen='127.0.0.1' ${rest}/>`;
      await assert.rejects(update(on, graphics("passwd='a'")), code(1), 'it was started without');
      await redefined(on, (xml) => xml.replace("<graphics type='vnc'", "<graphics type='vnc' passwd='x'"));
      await update(on, graphics("passwd='secret' passwdValidTo='2030-01-01T00:00:00'"));
      assert.doesNotMatch(on.xml(), /secret/);
      const { xml } = await on.client.call('DOMAIN_GET_XML_DESC', { dom: on.dom, flags: 1 });
      assert.match(xml, /passwd='secret' passwdValidTo='2030-01-01T00:00:00'/);
      await assert.rejects(update(on, graphics("passwd='a' connected='disconnect'")), code(67));
      await assert.rejects(update(on, graphics("passwd='a'").replace('127.0.0.1', '0.0.0.0')), code(84));
      await assert.rejects(update(on, graphics("passwd='a'").replace('vnc', 'spice')), code(99));
      const reader = await on.open(1);
      await assert.rejects(reader.call('DOMAIN_GET_XML_DESC', { dom: on.dom, flags: 1 }), code(29));
    }));

  it('knows images in folders that exist by what is there', () =>
    onDomain({}, async (on) => {
      const folder = mkdtempSync(join(tmpdir(), 'devices-'));
      try {
        const iso = join(folder, 'one.iso');
        await redefined(on, withDevices(cdrom()));
        await assert.rejects(update(on, cdrom(iso)), code(38));
        writeFileSync(iso, '');
        await update(on, cdrom(iso));
      } finally {
        rmSync(folder, { recursive: true });
      }
    }));
});
