/** The contract of the hypervisor port on the fake of unit tests. */
import { contractXml, qemuTraits } from '../support/contract-bench.js';
import type { Subject } from '../support/contract-bench.js';
import { FakeHypervisor } from '../support/fake-hypervisor.js';
import { hypervisorContract } from '../support/hypervisor-contract.js';

function fake(): Promise<Subject> {
  const hypervisor = new FakeHypervisor();
  return Promise.resolve({
    hypervisor,
    domainXml: (spec) => contractXml(spec, 'kvm', '/images/contract.qcow2'),
    newPath: (name) => `/files/${name}`,
    newImage: (name) => Promise.resolve(`/images/${name}.qcow2`),
    keepDevices() {
      hypervisor.devices.unplug = 'held';
    },
    finishJob: (id, disk) => hypervisor.disks.progress(id, disk, hypervisor.disks.jobBytes),
    dispose: () => Promise.resolve(),
  });
}

hypervisorContract('the fake of unit tests', fake, {
  ...qemuTraits,
  domainType: 'kvm',
  stats: 'states',
  options: false,
  connects: false,
});
