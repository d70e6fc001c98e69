/**
 * The contract of the hypervisor port on the libvirt adapter with the real libvirtd: its QEMU driver with guests of
 * 16 MiB, and its test driver, whose domains live in the daemon as long as any client is connected to it.
 *
 * The adapter is connected through a relay, so that its daemon can be taken away without touching the daemon.
 */
import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe } from 'node:test';
import { promisify } from 'node:util';
import { LibvirtClient } from '../../src/libvirt/client.js';
import { LibvirtHypervisor } from '../../src/libvirt/driver.js';
import { parseLibvirtUri } from '../../src/libvirt/uri.js';
import { silentLogger } from '../../src/util/log.js';
import { createMetrics } from '../../src/util/metrics.js';
import { systemClock } from '../../src/util/time.js';
import { CONTRACT_PREFIX, contractXml, qemuTraits, testDriverTraits } from '../support/contract-subject.js';
import type { Subject } from '../support/contract-subject.js';
import { guestDomainXml } from '../support/guest-domain.js';
import { guestImage } from '../support/guest-image.js';
import { hypervisorContract } from '../support/hypervisor-contract.js';
import { LIBVIRT_SOCKET, removeDomains, skipWithoutLibvirt } from '../support/real-libvirt.js';
import { SocketRelay } from '../support/socket-relay.js';

interface Relayed {
  readonly relay: SocketRelay;
  readonly hypervisor: LibvirtHypervisor;
}

/** @param driver URI up to its socket */
async function relayed(driver: string): Promise<Relayed> {
  const relay = new SocketRelay(LIBVIRT_SOCKET);
  await relay.open();
  const hypervisor = new LibvirtHypervisor({
    target: parseLibvirtUri(`${driver}?socket=${relay.path}`, {}),
    clock: systemClock,
    log: silentLogger,
    metrics: createMetrics(),
  });
  return { relay, hypervisor };
}

async function cut(relay: SocketRelay): Promise<() => Promise<void>> {
  await relay.cut();
  return () => relay.open();
}

/** Stops the domain's QEMU process. */
function freeze(name: string): () => void {
  const pid = Number(readFileSync(`/run/libvirt/qemu/${name}.pid`, 'utf8'));
  process.kill(pid, 'SIGSTOP');
  return () => void process.kill(pid, 'SIGCONT');
}

describe('libvirtd’s QEMU driver', { skip: skipWithoutLibvirt() }, () => {
  let folder: string;
  let disk: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), CONTRACT_PREFIX));
    chmodSync(folder, 0o755);
    await removeDomains(CONTRACT_PREFIX);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  let files = 0;
  const newPath = (name: string): string => join(folder, `${name}-${files++}`);
  async function newImage(name: string): Promise<string> {
    const path = newPath(name);
    await promisify(execFile)('qemu-img', ['create', '-q', '-f', 'qcow2', path, '8M']);
    chmodSync(path, 0o666);
    return path;
  }

  async function subject(): Promise<Subject> {
    disk = await newImage('vda');
    const { relay, hypervisor } = await relayed('qemu+unix:///system');
    const image = guestImage();
    return {
      ...(image && {
        agentGuest: {
          domainXml: ({ id, name }) =>
            guestDomainXml({ name, uuid: id, image, consolePath: newPath('console') }),
        },
      }),
      hypervisor,
      domainXml: (spec) => contractXml(spec, 'qemu', disk),
      newPath,
      newImage,
      freeze,
      cut: () => cut(relay),
      async dispose() {
        await relay.dispose();
        await removeDomains(CONTRACT_PREFIX);
      },
    };
  }
  hypervisorContract('libvirt adapter, real libvirtd', subject, qemuTraits);
});

describe('libvirtd’s test driver', { skip: skipWithoutLibvirt() }, () => {
  async function subject(): Promise<Subject> {
    // Keeps the driver's domains while the adapter is cut off.
    const keeper = await LibvirtClient.connect(`test+unix:///default?socket=${LIBVIRT_SOCKET}`);
    const { relay, hypervisor } = await relayed('test+unix:///default');
    return {
      hypervisor,
      domainXml: (spec) => contractXml(spec, 'test', '/images/contract.qcow2'),
      newPath: (name) => `/files/${name}`,
      newImage: (name) => Promise.resolve(`/images/${name}.qcow2`),
      cut: () => cut(relay),
      async dispose() {
        await relay.dispose();
        await keeper.close();
      },
    };
  }
  hypervisorContract('libvirt adapter, libvirt’s test driver', subject, testDriverTraits);
});
