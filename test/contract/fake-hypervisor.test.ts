/** The contract of the hypervisor port on the fake of unit tests. */
import { AGENT_CHANNEL, contractXml, qemuTraits } from '../support/contract-subject.js';
import type { Subject } from '../support/contract-subject.js';
import type { FakeAgent } from '../support/fake-guest.js';
import { FakeHypervisor } from '../support/fake-hypervisor.js';
import { hypervisorContract } from '../support/hypervisor-contract.js';

const agent: FakeAgent = {
  info: { hostname: 'guest' },
  interfaces: [{ name: 'lo', mac: '00:00:00:00:00:00', ipv4: ['127.0.0.1'], ipv6: [] }],
  commands: { 'guest-ping': () => ({}) },
};

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
    agentGuest: {
      domainXml: (spec) => contractXml({ ...spec, more: AGENT_CHANNEL }, 'kvm', ''),
      launched: (id) => void hypervisor.guest.connect(id, agent),
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
