import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Fault } from '../../../src/simulator/fault.js';
import { SimulatedHost } from '../../../src/simulator/simulated-host.js';
import { parseSnapshot } from '../../../src/simulator/snapshots.js';
import { ManualClock } from '../../support/manual-clock.js';
import { code, onDomain } from './rpc-domain.js';
import type { OnDomain } from './rpc-domain.js';

const [DISK_ONLY, REUSE, NO_METADATA, QUIESCE] = [16, 32, 4, 64];
const [ACTIVE, PIVOT, BYTES] = [4, 2, 1];

interface WithFolder extends OnDomain {
  readonly folder: string;
  file(name: string): string;
  snapshot(images: Readonly<Record<string, string>>, flags?: number, memory?: string): Promise<unknown>;
  /** Files of vda's chain in the live XML, top first, without their folders. */
  chain(xml?: string): string[];
}

function inFolder(test: (on: WithFolder) => Promise<void>, options = {}): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'images-'));
  const file = (name: string) => join(folder, name);
  return onDomain(options, (on) =>
    test({
      ...on,
      folder,
      file,
      snapshot(images, flags = DISK_ONLY | NO_METADATA, memory = '') {
        const disks = Object.entries(images).map(
          ([disk, image]) => `<disk name='${disk}' snapshot='external'><source file='${image}'/></disk>`,
        );
        const xml = `<domainsnapshot><name>s</name>${memory}<disks>${disks.join('')}<disk name='vdb' snapshot='no'/></disks></domainsnapshot>`;
        return on.client.call('DOMAIN_SNAPSHOT_CREATE_XML', { dom: on.dom, xml, flags });
      },
      chain(xml = on.xml()) {
        const [disk = ''] = /<disk [^]*?<\/disk>/.exec(xml.replace(/<mirror[^]*<\/mirror>/, '')) ?? [];
        return [...disk.matchAll(/<source file='([^']+)'/g)].map(([, image]) => image!.replace(/.*\//, ''));
      },
    }),
  ).finally(() => rmSync(folder, { recursive: true }));
}

const commit = (
  { client, dom }: OnDomain,
  top: string | undefined,
  base: string | undefined,
  flags: number,
) =>
  client.call('DOMAIN_BLOCK_COMMIT', {
    dom,
    disk: 'vda',
    bandwidth: 0,
    flags,
    ...(top && { top }),
    ...(base && { base }),
  });
const endJob = ({ client, dom }: OnDomain, flags: number) =>
  client.call('DOMAIN_BLOCK_JOB_ABORT', { dom, path: 'vda', flags });
const job = ({ client, dom }: OnDomain) =>
  client.call('DOMAIN_GET_BLOCK_JOB_INFO', { dom, path: 'vda', flags: 0 });

describe('snapshots of a simulated domain', () => {
  it('put a new image on the chain, in the running domain and in its definition', () =>
    inFolder(async (on) => {
      const original = on.domain.config.disks[0]!.path.replace(/.*\//, '');
      await on.snapshot({ vda: on.file('one') });
      await on.snapshot({ vda: on.file('two') });
      assert.deepEqual(on.chain(), ['two', 'one', original]);
      assert.match(on.xml(), /<source file='[^']+two' index='4'\/>\s+<backingStore type='file' index='3'>/);
      assert.match(on.xml(), /<backingStore\/>\s+<\/backingStore>/);
      assert.deepEqual(on.chain(on.defined()), ['two', 'one', original]);
      assert.doesNotMatch(on.defined(), /backingStore type='file' index/);
      assert.deepEqual(on.told(), []);
    }));

  it('make images that qemu-img knows', (t) => {
    if (!existsSync('/usr/bin/qemu-img')) {
      t.skip('qemu-img is not installed');
      return Promise.resolve();
    }
    return inFolder(async (on) => {
      await on.snapshot({ vda: on.file('one') });
      const info = execFileSync('qemu-img', ['info', '--output=json', on.file('one')], { encoding: 'utf8' });
      const facts = JSON.parse(info) as Record<string, unknown>;
      const { backing, capacityBytes } = on.domain.config.disks[0]!;
      assert.deepEqual(
        [facts['format'], facts['virtual-size'], facts['backing-filename'], facts['backing-filename-format']],
        ['qcow2', capacityBytes, backing[0]!.path, 'qcow2'],
      );
      const file = { driver: 'file', filename: on.file('one') };
      const alone = `json:${JSON.stringify({ driver: 'qcow2', backing: null, file })}`;
      execFileSync('qemu-img', ['check', '-q', alone]);
    });
  });

  it('take every disk that is not mentioned, with generated names', () =>
    inFolder(async (on) => {
      const xml = '<domainsnapshot><name>s</name></domainsnapshot>';
      const flags = DISK_ONLY | NO_METADATA;
      const reply = await on.client.call('DOMAIN_SNAPSHOT_CREATE_XML', { dom: on.dom, xml, flags });
      assert.equal(reply.snapshot.name, 's');
      assert.ok(on.domain.config.disks.every(({ path, backing }) => path === `${backing[0]!.path}.s`));
    }));

  it('use files that are there only if asked to, and then only such', () =>
    inFolder(async (on) => {
      const flags = DISK_ONLY | NO_METADATA;
      await assert.rejects(on.snapshot({ vda: on.file('one') }, flags | REUSE), code(38));
      writeFileSync(on.file('one'), 'made by somebody');
      await assert.rejects(on.snapshot({ vda: on.file('one') }, flags), code(67));
      await on.snapshot({ vda: on.file('one') }, flags | REUSE);
      assert.equal(on.chain()[0], 'one');
      await assert.rejects(on.snapshot({ vda: on.file('no/such') }, flags), code(38));
      await assert.rejects(on.snapshot({ vdz: on.file('two') }, flags), code(67));
      assert.deepEqual(on.chain().length, 2);
    }));

  it('with memory hold the guest still while that is written', () =>
    inFolder(async (on) => {
      const memory = `<memory snapshot='external' file='${on.file('memory')}'/>`;
      await on.passing(on.snapshot({ vda: on.file('one') }, NO_METADATA, memory));
      assert.deepEqual(await on.next(4), ['3/0', 'migrationIteration', 'jobCompleted', '4/0']);
      const saved = { file: on.file('memory'), flags: 0 };
      const { xml } = await on.client.call('DOMAIN_SAVE_IMAGE_GET_XML_DESC', saved);
      assert.doesNotMatch(xml, /memory'/);
      assert.equal(on.chain()[0], 'one');
    }));

  it('ask the agent to freeze, and thaw whatever happens', () =>
    inFolder(async (on) => {
      const flags = DISK_ONLY | NO_METADATA | QUIESCE;
      await on.snapshot({ vda: on.file('one') }, flags);
      assert.equal(on.domain.frozenFilesystems, 0);
      await assert.rejects(on.snapshot({ vda: on.file('no/such') }, flags), code(38));
      assert.equal(on.domain.frozenFilesystems, 0);
      on.host.guests.setBehaviour(on.domain, { agent: 'absent' });
      await assert.rejects(on.snapshot({ vda: on.file('two') }, flags), code(86));
    }));

  it('are refused with a Fault, whatever the XML', () => {
    const host = new SimulatedHost({ clock: new ManualClock(), domains: 1 });
    const domain = host.require('vm-0001');
    const piece = fc.constantFrom(
      '<domainsnapshot>',
      '</domainsnapshot>',
      "<disk name='vda' snapshot='external'>",
      "<source file='/x'/>",
      '</disk>',
      '<disks>',
      '</disks>',
      "<memory snapshot='external' file='/m'/>",
      '<name>',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), fc.nat(1023), (pieces, flags) => {
        try {
          const order = parseSnapshot(domain, pieces.join(''), flags, 1);
          assert.ok(order.images.size > 0);
        } catch (error) {
          assert.ok(error instanceof Fault, String(error));
        }
      }),
    );
  });
});

describe('commits of a simulated domain’s images', () => {
  it('of an inner image end by themselves, and take it out of the chain', () =>
    inFolder(async (on) => {
      const original = on.domain.config.disks[0]!.path;
      for (const name of ['one', 'two', 'three']) await on.snapshot({ vda: on.file(name) });
      await commit(on, on.file('two'), on.file('one'), 0);
      await on.clock.advance(250);
      const half = await job(on);
      assert.deepEqual([half.found, half.type, half.end], [1, 3, 64 * 2 ** 20]);
      assert.ok(Math.abs(half.cur - half.end / 2) < 2);
      await on.clock.advance(250);
      assert.deepEqual(await on.next(2), [`blockJob ${on.file('three')} 0`, 'blockJob2 vda 0']);
      assert.deepEqual(on.chain(), ['three', 'one', original.replace(/.*\//, '')]);
      assert.deepEqual(on.chain(on.defined()), on.chain());
      assert.equal((await job(on)).found, 0);
    }));

  it('of what the guest writes to become ready, and wait for the pivot', () =>
    inFolder(async (on) => {
      const original = on.domain.config.disks[0]!.path;
      await on.snapshot({ vda: on.file('one') });
      await commit(on, undefined, undefined, ACTIVE);
      assert.match(on.xml(), /<mirror type='file' job='active-commit'>/);
      await assert.rejects(endJob(on, PIVOT), code(83));
      await on.clock.advance(500);
      assert.deepEqual(await on.next(2), [`blockJob ${on.file('one')} 3`, 'blockJob2 vda 3']);
      assert.match(on.xml(), /<mirror type='file' job='active-commit' ready='yes'>/);
      const { cur, end, type } = await job(on);
      assert.deepEqual([cur, type], [end, 4]);
      await endJob(on, PIVOT);
      assert.deepEqual(await on.next(2), [`blockJob ${original} 0`, 'blockJob2 vda 0']);
      assert.equal(on.domain.config.disks[0]!.path, original);
      assert.deepEqual(on.domain.config.disks[0]!.backing, []);
      assert.equal(on.domain.definition.disks[0]!.path, original);
      assert.doesNotMatch(on.xml(), /mirror/);
    }));

  it('are cancelled, fail, and end with their QEMU, and leave the chain', () =>
    inFolder(async (on) => {
      await on.snapshot({ vda: on.file('one') });
      const chain = on.chain();
      await commit(on, undefined, undefined, ACTIVE);
      await endJob(on, 0);
      assert.deepEqual((await on.next(2))[1], 'blockJob2 vda 2');
      await commit(on, undefined, undefined, ACTIVE);
      on.host.blockJobs.fail(on.domain, 'vda');
      assert.deepEqual((await on.next(2))[1], 'blockJob2 vda 1');
      assert.deepEqual(on.chain(), chain);
      await commit(on, undefined, undefined, ACTIVE);
      on.host.lifecycle.destroy(on.domain, false);
      await on.clock.advance(1000);
      assert.deepEqual(await on.next(2), ['6/2', '5/1']);
      assert.equal(on.clock.pendingTimers, 0);
    }));

  it('go on while the guest is paused, and as slowly as they are told', () =>
    inFolder(async (on) => {
      await on.snapshot({ vda: on.file('one') });
      on.host.lifecycle.suspend(on.domain);
      await commit(on, undefined, undefined, ACTIVE);
      await on.clock.advance(250);
      const speed = { dom: on.dom, path: 'vda', bandwidth: 16, flags: 0 };
      await on.client.call('DOMAIN_BLOCK_JOB_SET_SPEED', speed);
      assert.equal((await job(on)).bandwidth, 16 * 2 ** 20);
      await on.clock.advance(1999);
      assert.equal(on.domain.blockJobs.get('vda')!.ready, false);
      await on.clock.advance(2);
      assert.equal(on.domain.blockJobs.get('vda')!.ready, true);
    }));

  it('hold their disk, and are refused where the chain does not allow them', () =>
    inFolder(async (on) => {
      for (const name of ['one', 'two']) await on.snapshot({ vda: on.file(name) });
      await assert.rejects(commit(on, undefined, undefined, 0), code(8), 'active, unsaid');
      await assert.rejects(
        commit(on, on.file('one'), undefined, ACTIVE),
        code(8),
        'inner, said to be active',
      );
      await assert.rejects(commit(on, on.file('none'), undefined, 0), code(8));
      await assert.rejects(commit(on, on.file('one'), on.file('two'), 0), code(8), 'upwards');
      await assert.rejects(endJob(on, 0), code(8), 'none is there');
      await commit(on, 'vda[3]', undefined, 0);
      assert.equal(on.domain.blockJobs.get('vda')!.plan.top, on.file('one'), 'a node by its number');
      await assert.rejects(commit(on, undefined, undefined, ACTIVE), code(83));
      await assert.rejects(on.snapshot({ vda: on.file('three') }), code(83));
      const { client, dom } = on;
      const xml = "<disk type='file'><target dev='vda'/></disk>";
      await assert.rejects(client.call('DOMAIN_DETACH_DEVICE_FLAGS', { dom, xml, flags: 1 }), code(83));
      await assert.rejects(
        client.call('DOMAIN_BLOCK_RESIZE', { dom, disk: 'vda', size: 1, flags: 0 }),
        code(1),
      );
      await assert.rejects(endJob(on, PIVOT), code(55), 'this kind has no pivot');
    }));
});

describe('sizes of a simulated domain’s disks', () => {
  it('change in KiB or bytes, in block info and statistics', () =>
    inFolder(async (on) => {
      const { client, dom, host, domain } = on;
      const resize = (disk: string, size: number, flags: number) =>
        client.call('DOMAIN_BLOCK_RESIZE', { dom, disk, size, flags });
      const size = async () =>
        (await client.call('DOMAIN_GET_BLOCK_INFO', { dom, path: 'vda', flags: 0 })).capacity;
      await resize('vda', 32 * 2 ** 20, 0);
      assert.equal(await size(), 32 * 2 ** 30);
      await resize('vda', 33 * 2 ** 30, BYTES);
      assert.equal(await size(), 33 * 2 ** 30);
      assert.equal(host.stats.of(domain).value(domain, 'block.0.capacity'), 33 * 2 ** 30);
      await assert.rejects(resize('vdz', 1, 0), code(8));
      host.lifecycle.destroy(domain, false);
      host.lifecycle.start(domain, false);
      assert.equal(await size(), 33 * 2 ** 30, 'the image stays that large');
    }));
});
