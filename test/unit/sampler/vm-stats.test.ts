import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Ajv } from 'ajv';
import fc from 'fast-check';
import { defaultGuest, type GuestInfo } from '../../../src/domain/guest-info.js';
import type { Vm } from '../../../src/domain/vm.js';
import { recordTextOf } from '../../../src/sampler/record-text.js';
import { VmSamples } from '../../../src/sampler/sample-window.js';
import { RecordEncoder } from '../../../src/sampler/vm-stats.js';
import { packageRoot } from '../../../src/util/package-root.js';
import { batchOf, domain, makeVm, readGolden, vmId, type Fields } from './fixtures.js';

const validate = new Ajv({ strict: true, allErrors: true }).compile(
  JSON.parse(readFileSync(join(packageRoot, 'schema/vm-stats.json'), 'utf8')) as object,
);

type Json = Record<string, unknown>;
const START_MS = 7_600_000;
const input = readGolden('bulk-stats-input.json') as Fields;

function samplesOf(first: Fields | undefined, last: Fields | undefined, intervalMs: number): VmSamples {
  const samples = new VmSamples();
  for (const [index, fields] of [first, last].entries()) {
    if (!fields) continue;
    const batch = batchOf([vmId(0), fields]);
    samples.pushFree(batch, 0, START_MS + index * intervalMs);
    samples.pushBacked(batch, 0, START_MS + index * intervalMs);
  }
  return samples;
}

function recordText(vm: Vm, samples = new VmSamples(), nowMs = START_MS, tally = { resets: 0 }): string {
  const time = { nowMs, wallMs: 86_401_000 };
  const { bytes, length } = new RecordEncoder(tally).encode(recordTextOf(vm), samples, time);
  return bytes.toString('utf8', 0, length);
}

/** The record, checked against the schema. */
function record(vm: Vm, samples?: VmSamples, nowMs?: number): Json {
  const parsed = JSON.parse(recordText(vm, samples, nowMs)) as Json;
  assert.ok(validate(parsed), JSON.stringify(validate.errors));
  return parsed;
}

function after15Sec(first: Fields, last: Fields, vm = makeVm()): Json {
  return record(vm, samplesOf({ ...input, ...first }, { ...input, ...last }, 15_000));
}

function disk(recorded: Json, target: string): Json {
  return (recorded['disks'] as Record<string, Json>)[target]!;
}

/** The second sample of the recorded answers, as their totals and rates imply it. */
function secondSample(): Fields {
  const last: Fields = { ...input };
  const add = (name: string, delta: number): void => void (last[name] = Number(input[name]) + delta);
  add('cpu.time', 15e9);
  add('cpu.user', 5e9);
  add('cpu.system', 3e9);
  add('net.0.rx.bytes', 1228800);
  add('net.0.tx.bytes', 1228800);
  for (const block of ['block.0', 'block.1']) {
    for (const way of ['rd', 'wr']) {
      add(`${block}.${way}.reqs`, 300);
      add(`${block}.${way}.bytes`, 1228800);
      add(`${block}.${way}.times`, 300 * 81920);
    }
    add(`${block}.fl.reqs`, 10);
    add(`${block}.fl.times`, 10_000);
  }
  add('balloon.swap_in', 15);
  add('balloon.swap_out', 30);
  add('balloon.major_fault', 45);
  add('balloon.minor_fault', 15_000);
  return last;
}

function assertLikeRecorded(made: Json, recorded: Json): void {
  // The size that the guest sees comes from the hypervisor here; VDSM asks its storage layer.
  for (const entry of Object.values(recorded['disks'] as Record<string, Json>))
    entry['apparentsize'] = '34359738368';
  assert.deepEqual(Object.keys(made).sort(), Object.keys(recorded).sort());
  for (const target of ['sda', 'sdb']) {
    for (const rate of ['readRate', 'writeRate']) {
      const [ours, theirs] = [Number(disk(made, target)[rate]), Number(disk(recorded, target)[rate])];
      assert.ok(Math.abs(ours - theirs) < 1e-3, `${rate} ${ours} ${theirs}`);
      disk(made, target)[rate] = disk(recorded, target)[rate];
    }
  }
  assert.deepEqual(made, recorded);
}

describe('a record made from two samples', () => {
  it('equals the one that VDSM made from the same samples', () => {
    const recorded = readGolden('vm-stats.json') as Json;
    const intervalMs = (1228800 / 1228444.9057156935) * 1000;
    const samples = samplesOf(input, secondSample(), intervalMs);
    const vm = makeVm({ domain: { ...domain, devicesHash: '-7435046713673362533' } });
    const made = record(vm, samples, 7601190);
    const [nic, theirNic] = [made, recorded].map((r) => (r['network'] as Record<string, Json>)['vnet0']!);
    // VDSM puts the time of the answer here; ours is when the counters were read.
    assert.ok(Math.abs(Number(nic!['sampleTime']) * 1000 - (START_MS + intervalMs)) < 1e-3);
    nic!['sampleTime'] = theirNic!['sampleTime'];
    assertLikeRecorded(made, recorded);
  });

  it('equals the recorded one with guest agent data', () => {
    const recorded = readGolden('vm-stats-with-guest-agent.json') as Json;
    const intervalMs = (1228800 / 1228479.6530459123) * 1000;
    const names = [
      ...Object.keys(defaultGuest),
      ...Object.keys(recorded).filter((key) => /^(guest|pci_)|Ifaces|Usage/.test(key)),
    ];
    const told = Object.fromEntries(names.map((name) => [name, recorded[name]]));
    const guest = { ...(told as unknown as GuestInfo), memUsage: '0' };
    const made = record(makeVm({ guest }), samplesOf(input, secondSample(), intervalMs), 7602643);
    (made['network'] as Record<string, Json>)['vnet0']!['sampleTime'] = 7602.643321371;
    assertLikeRecorded(made, recorded);
  });

  it('encodes what the guest tells once, however often the VM changes', () => {
    let reads = 0;
    const guest: GuestInfo = {
      ...defaultGuest,
      get appsList() {
        reads++;
        return ['qemu-guest-agent-8.2.0'];
      },
    };
    for (const clientIp of ['', '192.0.2.7', '']) {
      assert.deepEqual(record(makeVm({ guest, clientIp }))['appsList'], ['qemu-guest-agent-8.2.0']);
    }
    assert.equal(reads, 1);
    const changed = { ...defaultGuest, appsList: [] };
    assert.deepEqual(record(makeVm({ guest: changed }))['appsList'], []);
  });

  it('splits CPU time as VDSM does', () => {
    const made = after15Sec(
      { 'cpu.time': 10e9, 'cpu.user': 2e9, 'cpu.system': 3e9 },
      { 'cpu.time': 25e9, 'cpu.user': 3e9, 'cpu.system': 5e9 },
    );
    assert.equal(made['cpuUser'], '80.00');
    assert.equal(made['cpuSys'], '20.00');
    assert.equal(made['cpuUsage'], '8000000000');
    assert.equal(made['cpuActual'], true);
  });

  it('never shows a negative share where user and system time exceed the total', () => {
    const made = after15Sec(
      { 'cpu.time': 10e9, 'cpu.user': 2e9, 'cpu.system': 3e9 },
      { 'cpu.time': 25e9, 'cpu.user': 13e9, 'cpu.system': 9e9 },
    );
    assert.equal(made['cpuUser'], '0.00');
    assert.equal(made['cpuSys'], '113.33');
  });

  it('shows all CPU time as cpuUser where the hypervisor does not split it', () => {
    const made = after15Sec(
      { 'cpu.time': 10e9, 'cpu.user': NaN, 'cpu.system': NaN },
      { 'cpu.time': 25e9, 'cpu.user': NaN, 'cpu.system': NaN },
    );
    assert.deepEqual([made['cpuUser'], made['cpuSys'], made['cpuActual']], ['100.00', '0.00', false]);
  });

  it('gives latencies per request, rates per second and "0" without requests', () => {
    const made = after15Sec(
      { 'block.0.rd.reqs': 100, 'block.0.rd.times': 5000, 'block.0.rd.bytes': 1000 },
      { 'block.0.rd.reqs': 150, 'block.0.rd.times': 105_000, 'block.0.rd.bytes': 16_000 },
    );
    const { readLatency, readRate, writeLatency, writeRate } = disk(made, 'sda');
    assert.deepEqual([readLatency, readRate, writeLatency, writeRate], ['2000.0', '1000.0', '0', '0.0']);
  });

  it('gives faults per second and counts caches as free memory', () => {
    const made = after15Sec(
      { 'balloon.major_fault': 10, 'balloon.minor_fault': 1000 },
      {
        'balloon.major_fault': 25,
        'balloon.minor_fault': 1450,
        'balloon.unused': 400_000,
        'balloon.disk_caches': 100_000,
      },
    );
    const { majflt, minflt, pageflt, mem_free } = made['memoryStats'] as Json;
    assert.deepEqual([majflt, minflt, pageflt, mem_free], [1, 30, 31, '500000']);
  });

  it('leaves memoryStats out where the balloon tells no size', () => {
    const made = after15Sec({}, { 'balloon.available': NaN });
    assert.equal('memoryStats' in made, false);
    assert.equal(made['memUsage'], '0');
    assert.ok('balloonInfo' in made);
  });

  it('prefers what the guest agent says of memory', () => {
    const vm = makeVm({ guest: { ...makeVm().guest, memUsage: '63' } });
    assert.equal(after15Sec({}, {}, vm)['memUsage'], '63');
  });

  it('gives no rate for counters that went backwards, and counts them', () => {
    const tally = { resets: 0 };
    const last = { ...input, 'block.0.rd.bytes': 5, 'block.0.wr.reqs': 1 };
    const made = JSON.parse(recordText(makeVm(), samplesOf(input, last, 15_000), START_MS, tally)) as Json;
    assert.equal(disk(made, 'sda')['readRate'], '0.0');
    assert.equal(disk(made, 'sda')['writeLatency'], '0');
    assert.equal(disk(made, 'sda')['readBytes'], '5');
    assert.equal(tally.resets, 2);
  });

  it('finds devices by name, whatever their index', () => {
    const swapped: Fields = { ...secondSample() };
    for (const [key, value] of Object.entries(secondSample())) {
      if (key.startsWith('block.0.')) swapped[key.replace('block.0', 'block.1')] = value;
      if (key.startsWith('block.1.')) swapped[key.replace('block.1', 'block.0')] = value;
    }
    swapped['block.0.capacity'] = 7;
    const made = record(makeVm(), samplesOf(input, swapped, 1000));
    assert.equal(disk(made, 'sdb')['apparentsize'], '7');
    assert.equal(disk(made, 'sda')['readOps'], '20300');
  });

  it('shows a disk that is in one sample only with zeros, and leaves out such a NIC', () => {
    const made = after15Sec({ 'block.1.name': 'vdz', 'net.0.name': 'vnet9' }, {});
    assert.deepEqual(
      new Set(
        Object.entries(disk(made, 'sdb')).flatMap(([key, value]) => (key === 'imageID' ? [] : [value])),
      ),
      new Set(['0', '0.0']),
    );
    assert.equal('network' in made, false);
  });

  it('leaves out passed-through NICs and tells a slow model by its speed', () => {
    const nics = [
      { ...domain.nics[0]!, model: 'rtl8139' },
      { ...domain.nics[0]!, target: 'vnet1', passthrough: true },
    ];
    const fields = { ...input, 'net.1.name': 'vnet1', 'net.1.rx.bytes': 1 };
    const made = record(makeVm({ domain: { ...domain, nics } }), samplesOf(fields, fields, 15_000));
    assert.deepEqual(Object.keys(made['network'] as Json), ['vnet0']);
    assert.equal((made['network'] as Record<string, Json>)['vnet0']!['speed'], '100');
  });

  it('names a LUN disk by its GUID and takes the written offset where the storage size is unknown', () => {
    const { imageId: _, ...plain } = domain.disks[0]!;
    const vm = makeVm({ domain: { ...domain, disks: [{ ...plain, lunGuid: '3600a' }] } });
    const made = after15Sec({}, { 'block.0.physical': NaN }, vm);
    assert.equal(disk(made, 'sda')['lunGUID'], '3600a');
    assert.equal(disk(made, 'sda')['truesize'], '8671854592');
  });

  it('writes sampleTime as a number with a fraction, even at a whole second', () => {
    const text = recordText(makeVm(), samplesOf(input, input, 1000));
    assert.match(text, /"sampleTime":7601\.000000\}/);
  });

  it('says when it was made and how long the guest has been running', () => {
    const made = record(makeVm(), undefined, 7601190.9);
    assert.equal(made['statusTime'], '2155084837');
    assert.equal(made['elapsedTime'], '86401');
  });
});

describe('a record without two samples', () => {
  for (const [name, samples] of [
    ['none', new VmSamples()],
    ['one', samplesOf(input, undefined, 0)],
  ] as const) {
    it(`has defaults and no device members with ${name}`, () => {
      const tuned = { ...domain, disks: [{ ...domain.disks[0]!, ioTune: { total_bytes_sec: 1000 } }] };
      const made = record(makeVm({ domain: tuned }), samples);
      assert.deepEqual(
        [made['cpuUser'], made['cpuSys'], made['cpuUsage'], made['cpuActual'], made['memUsage']],
        ['0.00', '0.00', '0.00', false, '0'],
      );
      for (const key of ['network', 'disks', 'balloonInfo', 'memoryStats', 'vcpuCount'])
        assert.equal(key in made, false, key);
      assert.deepEqual(made['ioTune'], [
        { name: 'sda', path: '/images/0', ioTune: { total_bytes_sec: '1000' } },
      ]);
    });
  }

  it('is complete before the XML is known', () => {
    const { domain: _, ...vm } = makeVm({ internal: 'WaitForLaunch', status: 'WaitForLaunch' });
    assert.equal(record(vm, samplesOf(input, input, 1000))['status'], 'WaitForLaunch');
  });
});

describe('the record of a VM that is Down', () => {
  it('has its exit members and nothing else', () => {
    const exit = { code: 0, reason: 6, message: 'Admin shut down from the engine' } as const;
    const made = record(makeVm({ internal: 'Down', status: 'Down', exit }), samplesOf(input, input, 1000));
    assert.deepEqual(made, {
      statusTime: String(2 ** 31 - 1 + START_MS),
      status: 'Down',
      vmId: vmId(0),
      exitCode: 0,
      exitMessage: 'Admin shut down from the engine',
      exitReason: 6,
      timeOffset: '0',
    });
  });
});

describe('any record', () => {
  const figure = fc.oneof(
    fc.maxSafeNat(),
    fc.double(),
    fc.constantFrom(NaN, 0, -0, -1, Infinity, 2 ** 53, 2 ** 64, 1e21, 1e300, Number.MIN_VALUE),
  );
  const anyText = fc.string({ unit: 'binary' });
  const arbitraryFields = fc.record(
    Object.fromEntries(
      Object.entries(input)
        .filter(([, value]) => typeof value === 'number')
        .map(([name]) => [name, figure]),
    ),
  );
  const names = { 'net.0.name': 'vnet0', 'block.0.name': 'sda', 'block.1.name': 'sdb' };

  it('is valid JSON of the schema, without exponents, whatever the counters and names are', () => {
    fc.assert(
      fc.property(
        arbitraryFields,
        arbitraryFields,
        fc.double({ min: Number.MIN_VALUE, max: 1e9, noNaN: true }),
        fc.record({ name: anyText, target: anyText, tap: anyText, image: anyText, nowMs: fc.nat() }),
        (first, last, intervalMs, free) => {
          const vm = makeVm({
            name: free.name,
            domain: {
              ...domain,
              disks: [{ ...domain.disks[0]!, target: free.target, imageId: free.image }, domain.disks[1]!],
              nics: [{ ...domain.nics[0]!, target: free.tap }],
            },
          });
          const named = { ...names, 'block.0.name': free.target, 'net.0.name': free.tap };
          const samples = samplesOf({ ...first, ...named }, { ...last, ...named }, intervalMs);
          const text = recordText(vm, samples, free.nowMs);
          const parsed = JSON.parse(text) as Json;
          assert.ok(validate(parsed), JSON.stringify(validate.errors));
          assert.equal(parsed['vmName'], free.name);
          const figures = text.replace(/"(vmName|name|imageID)":"(\\.|[^"\\])*"/g, '');
          assert.doesNotMatch(figures, /NaN|Infinity|"\d[\d.]*e|:-?\d[\d.]*e/);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('shows shares of CPU time that add up to the whole', () => {
    const ns = fc.integer({ min: 0, max: 60e9 });
    fc.assert(
      fc.property(ns, ns, ns, fc.integer({ min: 100, max: 60_000 }), (guest, user, system, intervalMs) => {
        const last = {
          ...input,
          'cpu.time': Number(input['cpu.time']) + guest + user + system,
          'cpu.user': Number(input['cpu.user']) + user,
          'cpu.system': Number(input['cpu.system']) + system,
        };
        const made = record(makeVm(), samplesOf(input, last, intervalMs));
        const sum = Number(made['cpuUser']) + Number(made['cpuSys']);
        assert.ok(Math.abs(sum - (guest + user + system) / (intervalMs * 1e4)) < 0.011);
      }),
    );
  });
});
