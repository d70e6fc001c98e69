/**
 * The contract of the hypervisor port on the libvirt adapter with a simulated daemon.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LibvirtHypervisor } from '../../src/libvirt/driver.js';
import { parseLibvirtUri } from '../../src/libvirt/uri.js';
import { SimulatedHost } from '../../src/simulator/simulated-host.js';
import { SimulatorServer } from '../../src/simulator/simulator-server.js';
import { silentLogger } from '../../src/util/log.js';
import { createMetrics } from '../../src/util/metrics.js';
import { systemClock } from '../../src/util/time.js';
import { AGENT_CHANNEL, contractXml, qemuTraits } from '../support/contract-subject.js';
import type { Subject } from '../support/contract-subject.js';
import { hypervisorContract } from '../support/hypervisor-contract.js';

/** The reply of a call that causes events is here by then. */
const LATE_MS = 5;
/** libvirt's, of guests that keep what they should let go, made short. */
const PATIENCE_MS = 50;

async function simulated(eventDelayMs: number): Promise<Subject> {
  const folder = mkdtempSync(join(tmpdir(), 'contract-'));
  const socketPath = join(folder, 'sock');
  // As in the suite's guests on real QEMU, no system answers; but devices go when they are asked to.
  const guest = { power: 'ignores', agent: 'absent' } as const;
  const host = new SimulatedHost({ clock: systemClock, domains: 3, guest, patienceMs: PATIENCE_MS });
  const server = new SimulatorServer({
    host,
    socketPath,
    clock: systemClock,
    log: silentLogger,
    eventDelayMs,
  });
  await server.start();
  const hypervisor = new LibvirtHypervisor({
    target: parseLibvirtUri(`qemu+unix:///system?socket=${socketPath}`, {}),
    clock: systemClock,
    log: silentLogger,
    metrics: createMetrics(),
  });
  return {
    hypervisor,
    domainXml: (spec) => contractXml(spec, 'qemu', '/images/contract.qcow2'),
    newPath: (name) => join(folder, name),
    newImage: (name) => Promise.resolve(`/images/${name}.qcow2`),
    keepDevices() {
      for (const domain of host.domains) host.guests.setBehaviour(domain, { unplug: 'ignores' });
    },
    agentGuest: {
      domainXml: (spec) =>
        contractXml({ ...spec, devices: true, more: AGENT_CHANNEL }, 'qemu', '/images/guest.qcow2'),
      launched: (id) => host.guests.setBehaviour(host.require(id), { agent: 'works' }),
    },
    finishJob: (id, disk) => host.blockJobs.hurry(host.require(id), disk),
    freeze(name) {
      server.hang(name);
      return () => server.release(name);
    },
    async cut() {
      await server.kill();
      return () => server.start();
    },
    async dispose() {
      await server.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

hypervisorContract('libvirt adapter, simulated daemon', () => simulated(0), qemuTraits);
hypervisorContract('libvirt adapter, simulated daemon, late events', () => simulated(LATE_MS), qemuTraits);
