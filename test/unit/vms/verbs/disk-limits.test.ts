import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseXmlForEdit } from '../../../../src/util/xml-edit.js';
import {
  conflictIn,
  faultOfGiven,
  mergedLimits,
  basicLimits,
} from '../../../../src/vms/verbs/disk-limits.js';
import { changePolicy, diskPoliciesIn, diskPoliciesOf } from '../../../../src/vms/verbs/vm-policy.js';

describe('limits of a disk', () => {
  it('that are not given stay, and the basic ones are always named', () => {
    assert.deepEqual(
      mergedLimits({ total_iops_sec: 5, read_bytes_sec: 7, size_iops_sec: 9 }, { total_iops_sec: 0 }),
      {
        total_bytes_sec: 0,
        read_bytes_sec: 7,
        write_bytes_sec: 0,
        total_iops_sec: 0,
        read_iops_sec: 0,
        write_iops_sec: 0,
        size_iops_sec: 9,
      },
    );
  });

  it('exclude a total beside a part of the same kind, with a sentence that says which', () => {
    assert.match(
      conflictIn({ total_bytes_sec: 1, write_bytes_sec: 2 }) ?? '',
      /^total_bytes_sec excludes write_bytes_sec, which is 2/,
    );
    assert.match(conflictIn({ total_iops_sec_max: 1, read_iops_sec_max: 2 }) ?? '', /total_iops_sec_max/);
    assert.equal(conflictIn({ total_bytes_sec: 1, read_iops_sec: 2, write_bytes_sec: 0 }), undefined);
  });

  it('are whole numbers under names that disks have', () => {
    assert.match(faultOfGiven({ total_byte_sec: 1 }) ?? '', /total_byte_sec is no limit/);
    for (const value of [-1, 0.5, '1', NaN])
      assert.match(faultOfGiven({ read_bytes_sec: value }) ?? '', /whole number/);
    assert.equal(faultOfGiven({ read_bytes_sec: 0, read_bytes_sec_max: 1, size_iops_sec: 4096 }), undefined);
  });
});

describe("a VM's policy", () => {
  const policy = (name: string, limit: number) => ({
    name,
    path: `/images/${name}`,
    guaranteed: {},
    maximum: { total_iops_sec: limit },
  });

  it('takes the place of that of the same disk and stands beside the others', () => {
    const qos = parseXmlForEdit('<qos><vcpuLimit>90</vcpuLimit></qos>');
    changePolicy(qos, { disks: [policy('vda', 1), policy('vdb', 2)] });
    changePolicy(qos, { vcpuLimit: 50, disks: [policy('vda', 3)] });
    assert.deepEqual(diskPoliciesOf(qos), [policy('vdb', 2), policy('vda', 3)]);
    assert.equal(qos.child('vcpuLimit')?.text, '50');
  });

  it('is read under any prefix out of the XML of a whole domain', () => {
    const domain = (qos: string): string =>
      `<domain><metadata>${qos}</metadata><devices><iotune/></devices></domain>`;
    const qos = `<t:qos xmlns:t="http://ovirt.org/vm/tune/1.0"><t:ioTune><t:device name="vda" path="/a &amp; b">
      <t:maximum><t:total_bytes_sec>5</t:total_bytes_sec><t:read_bytes_sec>many</t:read_bytes_sec></t:maximum></t:device></t:ioTune></t:qos>`;
    assert.deepEqual(diskPoliciesIn(domain(qos)), [
      { name: 'vda', path: '/a & b', guaranteed: {}, maximum: { total_bytes_sec: 5 } },
    ]);
    assert.deepEqual(diskPoliciesIn(domain('<t:qos/>')), []);
    assert.deepEqual(diskPoliciesIn('<domain/>'), []);
  });

  it('is read back as it was written', () => {
    const limits = fc.dictionary(fc.constantFrom(...basicLimits), fc.integer({ min: 0 }));
    const text = fc.stringMatching(/^[\w/.&<>"' -]{1,20}$/);
    const disk = fc.record({ name: text, path: text, guaranteed: limits, maximum: limits });
    const disks = fc.uniqueArray(disk, { selector: ({ name }) => name, maxLength: 4 });
    fc.assert(
      fc.property(disks, (policies) => {
        const unique = policies.filter(
          ({ path }, at) => policies.findIndex((each) => each.path === path) === at,
        );
        const qos = parseXmlForEdit('<qos/>');
        changePolicy(qos, { disks: unique });
        assert.deepEqual(diskPoliciesOf(parseXmlForEdit(String(qos))), unique.map(plain));
      }),
    );
  });
});

/** Without the null prototypes of arbitrary dictionaries. */
function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}
