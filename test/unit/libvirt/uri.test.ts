import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { findLibvirt, parseLibvirtUri } from '../../../src/libvirt/uri.js';

describe('parseLibvirtUri', () => {
  it('finds the system sockets, monolithic before modular, with their read-only forms', () => {
    assert.deepEqual(parseLibvirtUri('qemu:///system', {}), {
      uri: 'qemu:///system',
      name: 'qemu:///system',
      socketPaths: ['/run/libvirt/libvirt-sock', '/run/libvirt/virtqemud-sock'],
      readOnlySocketPaths: ['/run/libvirt/libvirt-sock-ro', '/run/libvirt/virtqemud-sock-ro'],
    });
  });

  it('finds the session sockets in the runtime folder, else in the cache', () => {
    const first = (env: Record<string, string>): string | undefined =>
      parseLibvirtUri('qemu:///session', env).socketPaths[0];
    assert.equal(first({ XDG_RUNTIME_DIR: '/run/user/7', HOME: '/h' }), '/run/user/7/libvirt/libvirt-sock');
    assert.equal(first({ XDG_RUNTIME_DIR: '', HOME: '/h' }), '/h/.cache/libvirt/libvirt-sock');
    assert.equal(first({ XDG_CACHE_HOME: '/c', HOME: '/h' }), '/c/libvirt/libvirt-sock');
    assert.deepEqual(parseLibvirtUri('qemu:///session', {}).readOnlySocketPaths, []);
  });

  it('takes a socket from the URI and opens the hypervisor without transport and parameters', () => {
    const target = parseLibvirtUri('test+unix:///default?socket=/tmp/a%20b', {});
    assert.deepEqual(target.socketPaths, ['/tmp/a b']);
    assert.equal(target.name, 'test:///default');
  });

  it("reaches libvirt's test driver through the system daemon", () => {
    const target = parseLibvirtUri('test:///default', {});
    assert.equal(target.name, 'test:///default');
    assert.equal(target.socketPaths[0], '/run/libvirt/libvirt-sock');
  });

  for (const [text, fault] of [
    ['', /no libvirt URI/],
    ['system', /no libvirt URI/],
    ['xen:///system', /driver 'xen'/],
    ['qemu+ssh://host/system', /transport 'ssh'/],
    ['qemu+tcp:///system', /transport 'tcp'/],
    ['qemu://host/system', /host 'host'/],
    ['qemu:///', /\/system or \/session/],
    ['test:///', /needs a path/],
    ['qemu+unix:///system?sokket=/x', /unknown parameter 'sokket'/],
    ['qemu+unix:///system?socket=x', /absolute path/],
  ] as const) {
    it(`refuses '${text}' and says why`, () => {
      assert.throws(() => parseLibvirtUri(text, {}), fault);
    });
  }
});

describe('findLibvirt', () => {
  const env = { XDG_RUNTIME_DIR: '/run/user/7' };

  it('prefers the system daemon', () => {
    assert.equal(findLibvirt(env, () => true)?.uri, 'qemu:///system');
  });

  it('finds a modular system daemon before a session', () => {
    const there = new Set(['/run/libvirt/virtqemud-sock', '/run/user/7/libvirt/libvirt-sock']);
    assert.equal(findLibvirt(env, (path) => there.has(path))?.uri, 'qemu:///system');
  });

  it('falls back to the session daemon', () => {
    const there = '/run/user/7/libvirt/virtqemud-sock';
    assert.equal(findLibvirt(env, (path) => path === there)?.uri, 'qemu:///session');
  });

  it('finds nothing where nothing is', () => {
    assert.equal(
      findLibvirt(env, () => false),
      undefined,
    );
  });
});
