/**
 * The contract of the port domain/hypervisor.ts as one suite, run against every implementation. Where they may
 * differ, and only there, their traits say so. Each test has a subject of its own.
 *
 * The sentences are in contract-lifecycle.ts, contract-reading.ts, contract-stats.ts and contract-connection.ts.
 */
import { afterEach, beforeEach, describe } from 'node:test';
import { Bench } from './contract-bench.js';
import type { HypervisorTraits, Subject } from './contract-bench.js';
import { connectionContract } from './contract-connection.js';
import { lifecycleContract } from './contract-lifecycle.js';
import { readingContract } from './contract-reading.js';
import { statsContract } from './contract-stats.js';

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
  });
}
