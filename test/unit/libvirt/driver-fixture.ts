/** For tests of the adapter as a whole: started over a fake daemon with a manual clock, stopped after each test. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach } from 'node:test';
import type { VmId } from '../../../src/domain/ids.js';
import { LibvirtHypervisor } from '../../../src/libvirt/driver.js';
import type { ProcedureName } from '../../../src/libvirt/procedures.js';
import { silentLogger } from '../../../src/util/log.js';
import { createMetrics } from '../../../src/util/metrics.js';
import { ManualClock } from '../../support/manual-clock.js';
import { DaemonFault, FakeDaemon } from './fake-daemon.js';
import { wr1 } from './golden-packets.js';

export const id = wr1 as VmId;
/** virDomainModificationImpact. */
export const [LIVE, CONFIG, BOTH] = [1, 2, 3] as const;
/** virErrorNumber. */
export const code = {
  failed: 1,
  invalidArg: 8,
  invalidState: 55,
  argumentUnsupported: 74,
  noMetadata: 80,
  agentUnresponsive: 86,
  deviceMissing: 99,
} as const;

export class DriverFixture {
  daemon = new FakeDaemon();
  clock = new ManualClock();
  hypervisor = this.#make();

  /** Registers the hooks; call it at the top of a test file. */
  static use(): DriverFixture {
    const fixture = new DriverFixture();
    beforeEach(async () => {
      fixture.daemon = new FakeDaemon();
      fixture.clock = new ManualClock();
      fixture.hypervisor = fixture.#make();
      await fixture.daemon.start();
      await fixture.hypervisor.start(new AbortController().signal);
    });
    afterEach(async () => {
      await fixture.hypervisor.stop();
      assert.equal(fixture.clock.pendingTimers, 0);
      await fixture.daemon.dispose();
    });
    return fixture;
  }

  /** The daemon fails calls of a procedure that have these flags, and answers others with nothing. */
  fail(name: ProcedureName, codeOfFlags: Readonly<Record<number, number>>): void {
    this.daemon.answer(name, (args) => {
      const { flags = 0 } = (args ?? {}) as { readonly flags?: number };
      const failure = codeOfFlags[flags];
      if (failure !== undefined) throw new DaemonFault(failure, `no: ${failure}`);
      return undefined;
    });
  }

  /** Flags of the calls of a procedure so far. */
  flagsOf(name: ProcedureName): unknown[] {
    return this.daemon.calls(name).map(({ args }) => (args as { readonly flags?: number }).flags);
  }

  #make(): LibvirtHypervisor {
    const { clock, daemon } = this;
    return new LibvirtHypervisor({
      target: daemon.target,
      clock,
      log: silentLogger,
      metrics: createMetrics(),
    });
  }
}
