import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Ajv } from 'ajv';
import fc from 'fast-check';
import { defaultGuest } from '../../../../src/domain/guest-info.js';
import { packageRoot } from '../../../../src/util/package-root.js';
import { commandTable } from '../../../../src/vms/guest-agent/commands.js';
import {
  agentVersion,
  cpus,
  devices,
  filesystems,
  hostname,
  interfaces,
  os,
  supportedCommands,
  timezone,
  users,
  withTold,
  type Told,
} from '../../../../src/vms/guest-agent/guest-block.js';
import { readGolden } from '../../sampler/fixtures.js';
import * as answers from './answers.js';

type Json = Record<string, unknown>;

const schema = JSON.parse(readFileSync(join(packageRoot, 'schema/vm-stats.json'), 'utf8')) as {
  $defs: { live: { required: string[]; properties: Json } } & Json;
};
/** The guest block alone, by the schema of the record. */
const validate = new Ajv({ strict: true, allErrors: true }).compile({
  ...schema.$defs.live,
  required: Object.keys(defaultGuest),
  $defs: schema.$defs,
});

describe('the guest block', () => {
  it('is the recorded one where the agent answers as the recorded one did', () => {
    const told: Told[] = [
      agentVersion(answers.guestInfoAnswer()),
      users(answers.info),
      cpus(answers.vcpus),
      interfaces(answers.interfaces),
      hostname(answers.info),
      os(answers.info),
      timezone(answers.info),
      filesystems(answers.info),
      devices(answers.pciDevices),
    ];
    const guest = withTold(defaultGuest, Object.assign({}, ...told) as Told);
    const recorded = readGolden('vm-stats-with-guest-agent.json') as Json;
    const expected = Object.fromEntries(Object.keys(guest).map((name) => [name, recorded[name]]));
    assert.deepEqual(guest, { ...expected, memUsage: '0' });
    assert.equal(Object.keys(guest).length, 14);
  });

  it('stays the same object where an answer changes nothing', () => {
    const guest = withTold(defaultGuest, { ...hostname(answers.info), ...interfaces(answers.interfaces) });
    assert.notEqual(guest, defaultGuest);
    assert.equal(withTold(guest, { ...hostname(answers.info), ...interfaces(answers.interfaces) }), guest);
    assert.equal(withTold(guest, {}), guest);
  });

  it('names the users with their domains, each once', () => {
    const fields = {
      'user.count': 4,
      'user.0.name': 'anna',
      'user.0.domain': 'CORP',
      'user.1.name': 'ben',
      'user.2.name': 'anna',
      'user.2.domain': 'CORP',
      'user.3.domain': 'nobody',
    };
    assert.deepEqual(users(fields), { username: 'anna@CORP, ben' });
    assert.deepEqual(users({ 'user.count': 0 }), { username: '' });
  });

  it('tells time zones in whole minutes, west of Greenwich too, and none that no clock can have', () => {
    const zone = (offset: unknown): unknown => timezone({ 'timezone.name': 'X', 'timezone.offset': offset });
    assert.deepEqual(zone(-12_600), { guestTimezone: { offset: -210, zone: 'X' } });
    assert.deepEqual(zone(20_700), { guestTimezone: { offset: 345, zone: 'X' } });
    assert.deepEqual(zone(90), { guestTimezone: { offset: 1, zone: 'X' } });
    for (const absurd of [1e9, NaN, Infinity, '3600', undefined]) assert.deepEqual(zone(absurd), {});
  });

  it('shows Windows by its name, and no kernel among the applications', () => {
    const windows = os({
      'os.id': 'mswindows',
      'os.name': 'Microsoft Windows',
      'os.pretty-name': 'Windows Server 2022 Standard',
      'os.version-id': '2022',
      'os.kernel-release': '20348',
      'os.machine': 'x86_64',
    });
    assert.deepEqual(windows, {
      guestOs: 'Windows Server 2022 Standard',
      guestOsInfo: {
        type: 'windows',
        arch: 'x86_64',
        kernel: '',
        distribution: '',
        version: '2022',
        codename: 'Windows Server 2022 Standard',
      },
    });
  });

  it('dates drivers by day, whether the agent tells nanoseconds or text', () => {
    const device = (date: unknown): unknown =>
      devices([{ id: { 'vendor-id': 1, 'device-id': 2 }, 'driver-date': date }]).pci_devices?.[0]
        ?.driver_date;
    assert.equal(device(1_700_000_000_000_000_000), '2023-11-14');
    assert.equal(device('2019-08-12'), '2019-08-12');
    for (const none of [undefined, 1e30, NaN, {}]) assert.equal(device(none), '');
    const old = [{ address: { type: 'pci', data: { 'vendor-id': 6900, 'device-id': 4161 } } }];
    assert.equal(devices(old).pci_devices?.[0]?.device_id, 4161);
  });

  it('takes no address for one that is none', () => {
    const nic = {
      name: 'eth0',
      mac: '',
      ipv4: ['10.0.0.1', '10.0.0', 7],
      ipv6: ['fe80::1', 'fe80::1%eth0', 'x'],
    };
    assert.deepEqual(interfaces([nic, { name: '' }, null]), {
      netIfaces: [{ name: 'eth0', inet: ['10.0.0.1'], inet6: ['fe80::1', 'fe80::1%eth0'], hw: '' }],
      guestIPs: '10.0.0.1',
    });
  });

  it('drops what no database takes, and halves of characters at the cut', () => {
    assert.deepEqual(hostname({ hostname: 'a\u0000b\nc\ud800d' }), { guestFQDN: 'abcd', guestName: 'abcd' });
    const long = `${'x'.repeat(254)}\u{1f600}`;
    assert.equal(hostname({ hostname: long }).guestFQDN, 'x'.repeat(254));
  });
});

describe('what an agent says it can do', () => {
  it('is what it may run', () => {
    const names = supportedCommands(answers.guestInfoAnswer('7.2', ['guest-get-devices']));
    assert.equal(names?.has('guest-get-users'), true);
    assert.equal(names.has('guest-get-devices'), false);
  });

  it('is what it has while it is frozen, when it may run next to nothing', () => {
    const whileFrozen = ['guest-info', 'guest-fsfreeze-thaw', 'guest-fsfreeze-status'];
    const disabled = answers.supported.filter((name) => !whileFrozen.includes(name));
    const names = supportedCommands(answers.guestInfoAnswer('7.2', disabled));
    assert.equal(names?.has('guest-get-users'), true);
  });

  it('is not known where it does not say', () => {
    for (const answer of [undefined, {}, { supported_commands: [] }, { supported_commands: 'all' }]) {
      assert.equal(supportedCommands(answer), undefined);
    }
  });
});

describe('answers of a guest that lies', () => {
  const value = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 600 }),
    fc.double(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(fc.string(), { maxLength: 3 }),
  );
  const index = fc.constantFrom(0, 1, 2);
  const flatName = fc.oneof(
    fc.constantFrom('hostname', 'user.count', 'fs.count', 'timezone.name', 'timezone.offset', 'os.id'),
    fc.constantFrom('os.name', 'os.pretty-name', 'os.version-id', 'os.machine', 'os.kernel-release'),
    fc.tuple(fc.constant('user'), index, fc.constantFrom('name', 'domain')).map((parts) => parts.join('.')),
    fc
      .tuple(fc.constant('fs'), index, fc.constantFrom('mountpoint', 'fstype', 'total-bytes', 'used-bytes'))
      .map((parts) => parts.join('.')),
  );
  const entry = fc.dictionary(
    fc.constantFrom(
      ...['name', 'mac', 'ipv4', 'ipv6', 'online', 'id', 'address', 'data', 'vendor-id', 'device-id'],
      ...['driver-name', 'driver-date', 'driver-version', 'version', 'supported_commands', 'enabled'],
    ),
    fc.oneof(value, fc.dictionary(fc.constantFrom('vendor-id', 'device-id', 'data'), value)),
  );
  const answer = fc.oneof(
    fc.anything(),
    fc.dictionary(flatName, fc.oneof({ weight: 3, arbitrary: value }, { weight: 1, arbitrary: index })),
    fc.array(fc.oneof(entry, value), { maxLength: 5 }),
    entry,
  );

  it('never make a block that an engine cannot read', () => {
    fc.assert(
      fc.property(fc.array(answer, { minLength: 9, maxLength: 9 }), (given) => {
        const told = Object.values(commandTable).map((row, at) => row.read(given[at]));
        const guest = withTold(defaultGuest, Object.assign({}, ...told) as Told);
        const text = JSON.stringify(guest);
        assert.ok(validate(JSON.parse(text)), `${JSON.stringify(validate.errors)} ${text}`);
        assert.doesNotMatch(text, /\\u0000/);
      }),
      { numRuns: 300 },
    );
  });

  it('are cut to a size that one VM may have', () => {
    const many = Array.from({ length: 5000 }, (_, n) => n);
    const long = 'x'.repeat(10_000);
    const flat: Json = { 'user.count': 1e9, 'fs.count': 1e9, hostname: long };
    for (const n of many) {
      flat[`user.${n}.name`] = `${n}${long}`;
      Object.assign(flat, {
        [`fs.${n}.mountpoint`]: long,
        [`fs.${n}.total-bytes`]: 1,
        [`fs.${n}.used-bytes`]: 1,
      });
    }
    const ipv4 = many.map((n) => `10.0.${n >> 8}.${n & 255}`);
    const nics = many.map(() => ({ name: long, mac: long, ipv4, ipv6: [] }));
    const pci = many.map((n) => ({ id: { 'vendor-id': n, 'device-id': n }, 'driver-name': long }));
    assert.ok((users(flat).username ?? '').length <= 8192);
    assert.equal(filesystems(flat).disksUsage?.length, 1000);
    const { netIfaces = [], guestIPs = '' } = interfaces(nics);
    assert.equal(netIfaces.length, 1000);
    assert.equal(netIfaces.flatMap(({ inet }) => inet).length, 1000);
    assert.equal(guestIPs.split(' ').length, 1000);
    assert.equal(devices(pci).pci_devices?.length, 1000);
    assert.equal(hostname(flat).guestFQDN?.length, 255);
  });
});
