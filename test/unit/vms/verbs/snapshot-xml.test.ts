import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { snapshotXml } from '../../../../src/vms/verbs/snapshot-xml.js';

describe('the XML of a snapshot', () => {
  it('names every disk: libvirt would make files for those that are left out', () => {
    const file = { disk: 'vda', path: '/images/b & c', device: false };
    assert.equal(
      snapshotXml(
        [file, { disk: 'vdb', path: '/dev/vg/b', device: true }],
        ['sdc', 'vdc'],
        undefined,
      ).replaceAll('"', "'"),
      "<domainsnapshot><memory snapshot='no'/><disks>" +
        "<disk name='vda' snapshot='external' type='file'><driver type='qcow2'/><source file='/images/b &amp; c'/></disk>" +
        "<disk name='vdb' snapshot='external' type='block'><driver type='qcow2'/><source dev='/dev/vg/b'/></disk>" +
        "<disk name='sdc' snapshot='no'/><disk name='vdc' snapshot='no'/></disks></domainsnapshot>",
    );
  });

  it('has a file for the memory where one is wanted', () => {
    assert.match(
      snapshotXml([], ['vda'], '/images/memory'),
      /^<domainsnapshot><memory snapshot="external" file="\/images\/memory"\/>/,
    );
  });
});
