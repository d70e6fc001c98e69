import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import * as proc from '../../../src/host/proc.js';
import * as fixture from './fixture.js';

describe("the kernel's texts", () => {
  it('tell each logical CPU', () => {
    const cpus = proc.parseCpuinfo(fixture.cpuinfo);
    assert.equal(cpus.length, 4);
    assert.deepEqual(cpus[3], {
      processor: 3,
      model: 'Test CPU @ 2.00GHz',
      mhz: '2000.123',
      flags: ['fpu', 'vme', 'sse4_1'],
      socket: 1,
      core: 0,
    });
  });

  it('tell a CPU without topology, as on arm64', () => {
    const [cpu] = proc.parseCpuinfo(
      'processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd\nCPU part\t: 0xd0c\n',
    );
    assert.deepEqual([cpu?.flags, cpu?.socket, cpu?.mhz], [['fp', 'asimd'], undefined, '']);
  });

  it('tell memory, of the host and of a node', () => {
    const memory = proc.parseMeminfo(fixture.meminfo);
    assert.deepEqual(
      [memory.get('MemTotal'), memory.get('Active(anon)'), memory.get('HugePages_Total')],
      [24684096, 1588, 0],
    );
    assert.equal(proc.parseMeminfo('Node 1 MemFree:  4367200 kB\n').get('MemFree'), 4367200);
  });

  it('tell CPU time, with nice in user, interrupts in system and waiting in idle', () => {
    const { all, cpus, bootTimeSec } = proc.parseStat(fixture.stat);
    assert.deepEqual(all, { user: 1100, system: 500, idle: 8200, total: 10_000 });
    assert.equal(cpus.get(1)?.total, 5000);
    assert.deepEqual([cpus.size, bootTimeSec], [2, 1795177664]);
  });

  it('tell the counters of interfaces, also where the colon is followed by no space', () => {
    const counters = proc.parseNetDev(fixture.netDev);
    assert.deepEqual([...counters.keys()], ['lo', 'eth0', 'ovirtmgmt', 'bond0.100', 'vnet0']);
    assert.deepEqual(counters.get('eth0'), {
      rxBytes: 202483005,
      rxErrors: 1,
      rxDropped: 2,
      txBytes: 429725,
      txErrors: 3,
      txDropped: 4,
    });
  });

  it('tell default gateways and VLANs', () => {
    assert.deepEqual([...proc.parseDefaultGateways(fixture.route)], [['ovirtmgmt', '192.0.2.1']]);
    assert.deepEqual([...proc.parseVlans(fixture.vlanConfig)], [['bond0.100', { tag: 100, iface: 'bond0' }]]);
  });

  it('tell lists of CPUs', () => {
    assert.deepEqual(proc.parseCpuList('0-2,8\n'), [0, 1, 2, 8]);
    assert.deepEqual(proc.parseCpuList('\n'), []);
    assert.deepEqual(proc.parseCpuList('5-3,x,0-99999999'), []);
  });

  it('tell the distribution, quoted or not', () => {
    const release = proc.parseOsRelease(fixture.osRelease);
    assert.deepEqual(
      ['NAME', 'VERSION_ID', 'VERSION_CODENAME', 'HOME_URL'].map((key) => release.get(key)),
      ['Debian GNU/Linux', '12', 'bookworm', 'https://www.debian.org/'],
    );
    assert.equal(proc.parseOsRelease('NAME="a \\"b\\" \\$c"').get('NAME'), 'a "b" $c');
  });

  it('tell name servers and choices', () => {
    assert.deepEqual(proc.parseNameservers('#nameserver 1.1.1.1\nnameserver 192.0.2.53\n'), ['192.0.2.53']);
    assert.equal(proc.selectedChoice('always [madvise] never'), 'madvise');
    assert.equal(proc.selectedChoice(''), undefined);
  });

  it('never make a parser throw, however broken', () => {
    const parsers = Object.values(proc) as ((text: string) => unknown)[];
    const sources = [fixture.cpuinfo, fixture.stat, fixture.netDev, fixture.route, fixture.vlanConfig];
    const mangled = fc
      .tuple(fc.constantFrom(...sources), fc.nat(300), fc.string({ maxLength: 20 }), fc.nat(300))
      .map(([text, at, insert, cut]) => text.slice(0, at) + insert + text.slice(at + cut));
    fc.assert(
      fc.property(fc.oneof(fc.string(), mangled), (text) => {
        for (const parse of parsers) assert.doesNotThrow(() => parse(text));
      }),
    );
  });
});
