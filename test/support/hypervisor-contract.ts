/**
 * The contract of the port domain/hypervisor.ts as one suite, run against every implementation. Where they may
 * differ, and only there, their traits say so. Each test has a subject of its own.
 *
 * The sentences are in contract-lifecycle.ts, contract-reading.ts, contract-stats.ts and contract-connection.ts, and one
 * file for each group of calls: contract-power.ts ... contract-metadata.ts.
 */
import { afterEach, beforeEach, describe } from 'node:test';
import { Bench } from './contract-bench.js';
import type { Group, HypervisorTraits, Subject } from './contract-subject.js';
import { connectionContract } from './contract-connection.js';
import { devicesContract } from './contract-devices.js';
import { disksContract } from './contract-disks.js';
import { guestContract } from './contract-guest.js';
import { lifecycleContract } from './contract-lifecycle.js';
import { metadataContract } from './contract-metadata.js';
import { powerContract } from './contract-power.js';
import { readingContract } from './contract-reading.js';
import { savingContract } from './contract-saving.js';
import { statsContract } from './contract-stats.js';
import { tuningContract } from './contract-tuning.js';

/** Longer than any one of its waits. */
const TEST_LIMIT_MS = 60_000;

/** Defines the suite; call it at the top of a test file or inside describe(). */
export function hypervisorContract(
  name: string,
  makeSubject: () => Promise<Subject>,
  traits: HypervisorTraits,
): void {
  describe(`the hypervisor port: ${name}`, { timeout: 20 * TEST_LIMIT_MS }, () => {
    let bench: Bench | undefined;

    beforeEach(async () => {
      bench = new Bench(await makeSubject(), traits);
    });
    afterEach(async () => {
      await bench?.dispose();
      bench = undefined;
    });

    const fresh = (): Bench => {
      if (!bench) throw new Error('no subject outside of a test');
      return bench;
    };
    const started = async (): Promise<Bench> => {
      await fresh().start();
      return fresh();
    };
    lifecycleContract(started, traits);
    readingContract(started, traits);
    statsContract(started, traits);
    connectionContract({ fresh, started }, traits);
    for (const group of traits.groups) groupContracts[group](started);
  });
}

const groupContracts: Readonly<Record<Group, (started: () => Promise<Bench>) => void>> = {
  power: powerContract,
  saving: savingContract,
  devices: devicesContract,
  tuning: tuningContract,
  disks: disksContract,
  guest: guestContract,
  metadata: metadataContract,
};
