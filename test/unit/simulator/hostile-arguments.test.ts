/** Calls that are well-formed packets and nonsense otherwise: whatever they say, they end with a reply or a Fault. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ProcedureName } from '../../../src/libvirt/procedures.js';
import { readXml } from '../../../src/simulator/xml-text.js';
import { RpcError } from './rpc-client.js';
import { onDomain } from './rpc-domain.js';

const folder = mkdtempSync(join(tmpdir(), 'hostile-'));

const name = fc.constantFrom('vda', 'vdb', 'vdz', '', 'sda', 'vda[2]', 'net0', 'virtio-disk0');
const path = fc.constantFrom('a', 'b', 'no/such').map((file) => join(folder, file));
const flags = fc.oneof(fc.nat(15), fc.nat(1023), fc.constant(0xffff_ffff));
const number = fc.oneof(fc.nat(4), fc.nat(0x7fff_ffff));
const param = fc.oneof(
  fc.record({
    field: fc.constantFrom(
      'vcpu_quota',
      'vcpu_period',
      'total_iops_sec',
      'read_iops_sec',
      'file',
      'group_name',
    ),
    type: fc.constantFrom('ullong', 'llong'),
    value: number,
  }),
  fc.record({
    field: fc.constantFrom('file', 'dxml', 'group_name'),
    type: fc.constant('string'),
    value: path,
  }),
);
const piece = fc.constantFrom(
  "<disk type='file' device='disk'>",
  "<disk type='block' device='cdrom'>",
  '</disk>',
  "<target dev='vdc' bus='virtio'/>",
  "<target dev='vda'/>",
  `<source file='${join(folder, 'a')}'/>`,
  "<alias name='ua-1'/>",
  "<interface type='bridge'>",
  '</interface>',
  "<mac address='52:54:00:00:00:10'/>",
  "<model type='virtio'/>",
  "<memory model='dimm'>",
  '<target><size>2048</size></target>',
  '</memory>',
  "<graphics type='vnc' passwd='x' port='7'/>",
  "<hostdev type='pci'><source/></hostdev>",
  "<rng model='virtio'/>",
  "<domainsnapshot><disks><disk name='vda' snapshot='external'/></disks></domainsnapshot>",
  '<address/>',
  "<address type='pci' bus='zz'/>",
  'text',
);
const xml = fc.oneof(
  fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join('')),
  piece,
);

/** Arguments beside the domain. */
const procedures: Partial<Record<ProcedureName, Readonly<Record<string, fc.Arbitrary<unknown>>>>> = {
  DOMAIN_SHUTDOWN_FLAGS: { flags },
  DOMAIN_REBOOT: { flags },
  DOMAIN_RESET: { flags },
  DOMAIN_SAVE_PARAMS: { params: fc.array(param, { maxLength: 3 }), flags },
  DOMAIN_ABORT_JOB: {},
  DOMAIN_ATTACH_DEVICE_FLAGS: { xml, flags },
  DOMAIN_DETACH_DEVICE_FLAGS: { xml, flags },
  DOMAIN_UPDATE_DEVICE_FLAGS: { xml, flags },
  DOMAIN_DETACH_DEVICE_ALIAS: { alias: name, flags },
  DOMAIN_SET_VCPUS_FLAGS: { vcpus: number, flags },
  DOMAIN_PIN_VCPU_FLAGS: { vcpu: number, cpuMap: fc.uint8Array({ maxLength: 9 }), flags },
  DOMAIN_GET_VCPU_PIN_INFO: {
    count: fc.integer({ min: -9, max: 99 }),
    mapLength: fc.integer({ min: -9 }),
    flags,
  },
  DOMAIN_SET_MEMORY_FLAGS: { memory: number, flags },
  DOMAIN_SET_SCHEDULER_PARAMETERS_FLAGS: { params: fc.array(param, { maxLength: 3 }), flags },
  DOMAIN_SET_BLOCK_IO_TUNE: { disk: name, params: fc.array(param, { maxLength: 3 }), flags },
  DOMAIN_GET_BLOCK_IO_TUNE: { disk: name, nparams: fc.integer(), flags },
  DOMAIN_BLOCK_RESIZE: { disk: name, size: number, flags },
  DOMAIN_SNAPSHOT_CREATE_XML: { xml, flags },
  DOMAIN_BLOCK_COMMIT: {
    disk: name,
    base: fc.option(path, { nil: undefined }),
    top: fc.option(name, { nil: undefined }),
    bandwidth: number,
    flags,
  },
  DOMAIN_BLOCK_JOB_ABORT: { path: name, flags },
  DOMAIN_BLOCK_JOB_SET_SPEED: { path: name, bandwidth: number, flags },
  DOMAIN_GET_BLOCK_JOB_INFO: { path: name, flags },
  DOMAIN_SET_METADATA: {
    type: fc.nat(3),
    metadata: fc.option(xml, { nil: undefined }),
    key: name,
    uri: name,
    flags,
  },
  DOMAIN_GET_GUEST_INFO: { types: flags, flags },
  DOMAIN_AGENT_COMMAND: { command: fc.oneof(fc.json(), fc.string()), timeout: fc.integer(), flags },
  DOMAIN_AGENT_SET_RESPONSE_TIMEOUT: { timeout: fc.integer({ min: -3, max: 9 }), flags },
  DOMAIN_FSFREEZE: { mountpoints: fc.array(fc.string(), { maxLength: 3 }), flags },
  DOMAIN_FSTHAW: { mountpoints: fc.array(fc.string(), { maxLength: 1 }), flags },
  DOMAIN_SCREENSHOT: { screen: fc.nat(2), flags },
};

const anyCall = fc
  .constantFrom(...Object.entries(procedures))
  .chain(([procedure, fields]) =>
    fc.record({ procedure: fc.constant(procedure as ProcedureName), args: fc.record(fields) }),
  );

describe('arguments that no client of libvirt sends', () => {
  it('end with a reply or with libvirt’s own kind of error, and leave a domain that can be described', () =>
    onDomain({ guest: { powerMs: 1e9, unplugMs: 0 }, saveMs: 0, commitMs: 0, patienceMs: 10 }, async (on) => {
      await fc.assert(
        fc.asyncProperty(anyCall, async ({ procedure, args }) => {
          const { host, domain, client, dom } = on;
          if (!domain.active) host.lifecycle.start(domain, false);
          const all = { dom, ...args } as never;
          try {
            await on.passing(client.call(procedure, all));
            if (procedure === 'DOMAIN_SCREENSHOT') client.endStream(procedure, client.lastSerial, 0);
          } catch (error) {
            assert.ok(error instanceof RpcError, String(error));
            assert.doesNotMatch(error.message, /TypeError|RangeError|ReferenceError|SyntaxError/);
          }
          for (const document of [on.xml(), on.defined()]) assert.equal(readXml(document).name, 'domain');
          const { disks, nics } = domain.config;
          assert.equal(new Set(disks.map(({ target }) => target)).size, disks.length);
          assert.ok(!domain.active || nics.every(({ tap }) => tap !== undefined));
          rmSync(folder, { recursive: true, force: true });
          mkdirSync(folder);
        }),
        { numRuns: 600 },
      );
    }).finally(() => rmSync(folder, { recursive: true, force: true })));
});
