import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../src/domain/hypervisor.js';
import type { VmId } from '../../../src/domain/ids.js';
import type { HangingCall } from '../../../src/libvirt/call-window.js';
import { HangAudit } from '../../../src/libvirt/hang-audit.js';
import type { HangAuditParts } from '../../../src/libvirt/hang-audit.js';
import { RateLimiter, silentLogger } from '../../../src/util/log.js';
import { createMetrics } from '../../../src/util/metrics.js';
import { ManualClock } from '../../support/manual-clock.js';
import { wr1 } from './golden-packets.js';

const dom = { name: 'wr1', uuid: wr1 as VmId, id: 7 };
const LOOK_MS = 15_000;

/** An audit of one lane, what it forgot, and how its domain is. */
function fixture(domains = [dom]) {
  const clock = new ManualClock();
  const metrics = createMetrics();
  const forgotten: string[] = [];
  const world = { state: 0, fails: undefined as HypervisorError | undefined };
  let hanging: HangingCall[] = [{ serial: 3, request: { label: 'STATS', domains } }];
  const lane: HangAuditParts['lanes'][number] = {
    hanging: () =>
      hanging.map((call) => ({
        call,
        forget() {
          forgotten.push(call.request.label);
          hanging = [];
        },
      })),
  };
  const call = () => (world.fails ? Promise.reject(world.fails) : Promise.resolve({ state: world.state }));
  const priority = { call } as unknown as HangAuditParts['priority'];
  const limiter = new RateLimiter(clock);
  const audit = new HangAudit({ lanes: [lane], priority, clock, log: silentLogger, limiter, metrics });
  audit.start();
  return { clock, metrics, audit, forgotten, world };
}

describe('the audit of calls that hang', () => {
  it('forgets a call after two looks that found its domain well, and counts it', async () => {
    const { clock, metrics, audit, forgotten } = fixture();
    await clock.advance(LOOK_MS);
    assert.deepEqual(forgotten, []);
    await clock.advance(LOOK_MS);
    assert.deepEqual(forgotten, ['STATS']);
    assert.equal((await metrics.libvirt_lost_replies_total.get()).values[0]?.value, 1);
    audit.stop();
    assert.equal(clock.pendingTimers, 0);
  });

  it('keeps a call for ever whose domain is occupied, at either look', async () => {
    const { clock, audit, forgotten, world } = fixture();
    for (let look = 0; look < 20; look++) {
      world.state = look % 2 === 0 ? 2 : 0;
      await clock.advance(LOOK_MS);
    }
    assert.deepEqual(forgotten, []);
    audit.stop();
  });

  it('keeps it where the daemon cannot be asked, and forgets it where the domain is gone or off', async () => {
    for (const [kind, expected] of [
      ['timeout', []],
      ['unavailable', []],
      ['no-domain', ['STATS']],
      ['invalid-state', ['STATS']],
    ] as const) {
      const { clock, audit, forgotten, world } = fixture();
      world.fails = new HypervisorError(kind, 'no');
      await clock.advance(LOOK_MS);
      await clock.advance(LOOK_MS);
      assert.deepEqual(forgotten, expected, kind);
      audit.stop();
    }
  });

  it('takes a call about no domain for one that cannot hang', async () => {
    const { clock, audit, forgotten } = fixture([]);
    await clock.advance(LOOK_MS);
    await clock.advance(LOOK_MS);
    assert.deepEqual(forgotten, ['STATS']);
    audit.stop();
  });
});
