import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { HostIdentity, Payload } from '../../../src/domain/launch-files.js';
import { identityOf, qemuOwnerOf, type Owner } from '../../../src/host/host-identity.js';
import { HostLaunchFiles, untouchedHost } from '../../../src/host/launch-files.js';
import { silentLogger } from '../../../src/util/log.js';
import { fakeId } from '../../support/fake-domain.js';

const id = fakeId(1);
const identity: HostIdentity = { osName: 'Debian GNU/Linux', osVersion: '12-bookworm', uuid: 'u' };
const isRoot = process.getuid?.() === 0;

let folder: string;
let owner: Owner | undefined;
let asked: number;
let files: HostLaunchFiles;

function hostFiles(): HostLaunchFiles {
  return new HostLaunchFiles({
    folder: join(folder, 'payload'),
    facts: {
      identity: () => {
        asked++;
        return Promise.resolve(identity);
      },
      qemuOwner: () => Promise.resolve(owner),
    },
    log: silentLogger,
    socketRoots: [join(folder, 'sockets/')],
  });
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'launch-files-'));
  owner = undefined;
  asked = 0;
  files = hostFiles();
});
afterEach(() => rmSync(folder, { recursive: true }));

const payload = (part: Partial<Payload> = {}): Payload => ({
  vmId: id,
  target: 'sdc',
  format: 'iso',
  volumeId: 'config-2',
  files: [
    { path: 'openstack/latest/user_data', content: Buffer.from('#cloud-config\n') },
    { path: 'Ünïcode & a long name with spaces.json', content: Buffer.from([0, 255, 10, 13]) },
  ],
  ...part,
});

function isInstalled(...programs: string[]): boolean {
  return programs.every((program) => {
    try {
      execFileSync('sh', ['-c', `command -v ${program}`]);
      return true;
    } catch {
      return false;
    }
  });
}

/** A PATH on which only these programs are. */
function withOnly(programs: Readonly<Record<string, string>>): () => void {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  for (const [name, script] of Object.entries(programs)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  const { PATH } = process.env;
  process.env['PATH'] = bin;
  return () => (process.env['PATH'] = PATH);
}

describe('a payload CD', () => {
  const skip = isInstalled('xorriso') ? false : 'xorriso is not installed';

  it('has the files under their own names, the label, and is for QEMU alone', { skip }, async () => {
    await files.buildImage(payload());
    const path = files.imagePath(id, 'sdc');
    const out = join(folder, 'out');
    execFileSync('xorriso', ['-osirrox', 'on', '-indev', path, '-extract', '/', out], { stdio: 'pipe' });
    assert.equal(readFileSync(join(out, 'openstack/latest/user_data'), 'utf8'), '#cloud-config\n');
    const strange = readFileSync(join(out, 'Ünïcode & a long name with spaces.json'));
    assert.deepEqual(strange, Buffer.from([0, 255, 10, 13]));
    const image = readFileSync(path);
    assert.equal(
      image
        .subarray(32768 + 40, 32768 + 72)
        .toString('ascii')
        .trim(),
      'config-2',
    );
    assert.ok(image.includes(Buffer.from('openstack', 'utf16le').swap16()), 'Joliet names');
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(statSync(join(folder, 'payload')).mode & 0o777, 0o711);
    assert.deepEqual(readdirSync(join(folder, 'payload')), [`${id}.sdc.img`], 'nothing else is left behind');
  });

  it('belongs to the user that QEMU runs as', { skip: skip || (isRoot ? false : 'needs root') }, async () => {
    owner = { uid: 12345, gid: 54321 };
    await files.buildImage(payload());
    const { uid, gid } = statSync(files.imagePath(id, 'sdc'));
    assert.deepEqual({ uid, gid }, owner);
  });

  it('may be empty, and replaces an earlier one', { skip }, async () => {
    await files.buildImage(payload());
    await files.buildImage(payload({ files: [] }));
    assert.equal(readFileSync(files.imagePath(id, 'sdc')).includes('#cloud-config'), false);
  });

  it('is made by whichever tool there is', async () => {
    const restore = withOnly({ genisoimage: 'while [ "$1" != -o ]; do shift; done; echo "$*" > "$2"' });
    try {
      await files.buildImage(payload());
    } finally {
      restore();
    }
    assert.match(readFileSync(files.imagePath(id, 'sdc'), 'utf8'), /files$/m);
  });

  for (const [what, programs, message] of [
    ['no tool is installed', {}, /^a payload CD could not be made: install xorriso or genisoimage$/],
    [
      'the tool fails',
      { xorriso: 'echo one >&2; echo disk full >&2; exit 1' },
      /xorriso said: one; disk full$/,
    ],
  ] as const) {
    it(`is an error in one sentence where ${what}, and leaves nothing behind`, async () => {
      const restore = withOnly(programs);
      try {
        await assert.rejects(files.buildImage(payload()), { message });
      } finally {
        restore();
      }
      assert.deepEqual(readdirSync(join(folder, 'payload')), []);
    });
  }
});

describe('a payload floppy', () => {
  const skip = isInstalled('mcopy') ? false : 'mtools is not installed';
  const floppy = payload({ target: 'fda', format: 'floppy' });

  it('is a FAT disk with the files and the label', { skip }, async () => {
    await files.buildImage(floppy);
    const path = files.imagePath(id, 'fda');
    assert.equal(statSync(path).size, 1_474_560);
    const text = execFileSync('mtype', ['-i', path, '::/openstack/latest/user_data'], { encoding: 'utf8' });
    assert.equal(text, '#cloud-config\n');
    assert.match(execFileSync('mlabel', ['-i', path, '-s', '::'], { encoding: 'utf8' }), /config-2/i);
    await files.buildImage({ ...floppy, files: [] });
  });

  it('says so where the files do not fit', { skip }, async () => {
    const many = Array.from({ length: 300 }, (_, n) => ({
      path: `folder/f${n}`,
      content: Buffer.alloc(5000),
    }));
    await assert.rejects(files.buildImage({ ...floppy, files: many }), { message: /mcopy said: .*[Ff]ull/ });
  });

  it('needs its tools', async () => {
    const restore = withOnly({ 'mkfs.vfat': ': > "$4"' });
    try {
      await assert.rejects(files.buildImage(floppy), { message: /could not be made: install mtools$/ });
    } finally {
      restore();
    }
  });
});

describe('images', () => {
  const fake = { genisoimage: 'while [ "$1" != -o ]; do shift; done; : > "$2"' };
  let restore: () => void;
  beforeEach(() => (restore = withOnly(fake)));
  afterEach(() => restore());

  it('go with their VM, and a new VM of the same id gets its own', async () => {
    await files.buildImage(payload());
    await files.buildImage(payload({ vmId: fakeId(2) }));
    const removed = files.removeImages(id);
    await files.buildImage(payload());
    await removed;
    assert.ok(existsSync(files.imagePath(id, 'sdc')));
    await files.removeImages(id);
    await files.removeImages(id);
    assert.deepEqual(readdirSync(join(folder, 'payload')), [`${fakeId(2)}.sdc.img`]);
  });

  it('of an earlier life are removed, unless their VM is known: then they go with it', async () => {
    await files.buildImage(payload());
    await files.buildImage(payload({ vmId: fakeId(2) }));
    const own = join(folder, 'payload');
    mkdirSync(join(own, '.draft-1-abc'));
    writeFileSync(join(own, 'README'), 'not an image');
    const next = hostFiles();
    await next.removeStaleImages((vmId) => vmId === id);
    assert.deepEqual(readdirSync(own).sort(), [`${id}.sdc.img`, 'README']);
    await next.removeImages(id);
    assert.deepEqual(readdirSync(own), ['README']);
  });

  it('are not missed where there never was one', async () => {
    await files.removeStaleImages(() => false);
    await files.removeImages(id);
    assert.equal(existsSync(join(folder, 'payload')), false);
  });
});

describe('folders for sockets', () => {
  it('are made where they are missing, below the places of such sockets alone', async () => {
    const wanted = [join(folder, 'sockets/a/b'), join(folder, 'elsewhere'), join(folder, 'sockets/a/b')];
    await files.makeFolders(wanted);
    assert.ok(existsSync(join(folder, 'sockets/a/b')));
    assert.equal(existsSync(join(folder, 'elsewhere')), false);
  });

  it('are named where they cannot be made', async () => {
    writeFileSync(join(folder, 'sockets'), 'a file');
    await assert.rejects(files.makeFolders([join(folder, 'sockets/a')]), {
      message: /the folder .*sockets\/a for a socket/,
    });
  });
});

describe('who this host is', () => {
  it('is read once', async () => {
    assert.deepEqual(await files.identity(), identity);
    await files.identity();
    assert.equal(asked, 1);
  });

  it('is what its capabilities say', () => {
    const osRelease = new Map([
      ['NAME', 'Debian GNU/Linux'],
      ['VERSION_ID', '12'],
      ['VERSION_CODENAME', 'bookworm'],
    ]);
    const facts = { dmiUuid: fakeId(9), dmiPresent: true, machineId: undefined, osRelease };
    assert.deepEqual(identityOf(facts, undefined), { ...identity, uuid: fakeId(9) });
    const unknown = {
      dmiUuid: undefined,
      dmiPresent: false,
      machineId: undefined,
      osRelease: new Map<string, string>(),
    };
    assert.deepEqual(identityOf(unknown, '<capabilities/>'), { osName: '', osVersion: '', uuid: '' });
  });

  it("tells QEMU's user by libvirt's label", () => {
    const secmodel = (model: string, label: string): string =>
      `<secmodel><model>${model}</model><doi>0</doi><baselabel type='kvm'>${label}</baselabel><baselabel type='qemu'>+1:+2</baselabel></secmodel>`;
    const xml = `<host>${secmodel('selinux', 'system_u:system_r:svirt_t:s0')}${secmodel('dac', '+64055:+107')}</host>`;
    assert.deepEqual(qemuOwnerOf(xml), { uid: 64055, gid: 107 });
    assert.equal(qemuOwnerOf(`<host>${secmodel('selinux', '+1:+1')}</host>`), undefined);
    assert.equal(qemuOwnerOf(''), undefined);
  });
});

describe('with a simulated hypervisor', () => {
  it('nothing of the host is touched', async () => {
    const facts = { identity: () => Promise.resolve(identity), qemuOwner: () => Promise.resolve(undefined) };
    const host = untouchedHost(join(folder, 'payload'), facts);
    await host.buildImage(payload());
    await host.makeFolders([join(folder, 'sockets/a')]);
    await host.removeImages(id);
    await host.removeStaleImages(() => false);
    assert.deepEqual(readdirSync(folder), []);
    assert.equal(host.imagePath(id, 'sdc'), files.imagePath(id, 'sdc'));
    assert.deepEqual(await host.identity(), identity);
  });
});
