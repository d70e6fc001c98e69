import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { HealthReport, type HealthParts } from '../../../src/api/health.js';
import type { HypervisorStatus } from '../../../src/domain/hypervisor.js';
import type { Vm } from '../../../src/domain/vm.js';
import { createValidator } from '../../../src/protocol/validation.js';
import { verbSpecs } from '../../../src/protocol/verbs.js';
import { ManualClock } from '../../support/manual-clock.js';
import { idA, idB, vm } from './fixture.js';

const PERIOD_MS = 15_000;
const isAnswer = createValidator().compile(verbSpecs['Agent.getHealth'].result);

let clock: ManualClock;
let hypervisor: HypervisorStatus;
let vms: Vm[];
let ready: boolean;
let sampler: { lastCycle: HealthParts['sampler']['lastCycle']; oldestSampleAgeMs: () => number };
let report: HealthReport;

beforeEach(() => {
  clock = new ManualClock();
  hypervisor = { state: 'open', sinceMs: clock.nowMs(), uri: 'qemu:///system', readOnly: false };
  vms = [vm(idA), vm(idB)];
  ready = true;
  sampler = { lastCycle: { endedMs: clock.nowMs(), tookMs: 20 }, oldestSampleAgeMs: () => 2500 };
  report = new HealthReport({
    hypervisor: () => hypervisor,
    vms: {
      get: () => undefined,
      all: () => vms.values(),
      get size() {
        return vms.length;
      },
      onChange: () => () => undefined,
    },
    starts: () => ({ running: 0, waiting: 0, places: 8, longestWaitSec: 0 }),
    isReady: () => ready,
    sampler,
    periodMs: PERIOD_MS,
    sessions: () => 3,
    version: '1.2.3',
    epoch: 'e1',
    clock,
  });
});

/** Health as the schema allows it. */
function health(): ReturnType<HealthReport['health']> {
  const answer = report.health();
  assert.ok(isAnswer(answer), JSON.stringify(isAnswer.errors));
  return answer;
}

function lose(reason: string): void {
  hypervisor = { ...hypervisor, state: 'lost', sinceMs: clock.nowMs(), reason };
}

const secondsAgo = (seconds: number): string => new Date(clock.wallMs() - seconds * 1000).toISOString();

describe('the health report', () => {
  it('has the figures of a healthy agent', async () => {
    await clock.advance(5000);
    assert.deepEqual(health(), {
      status: 'ok',
      problems: [],
      libvirt: { state: 'open', sinceSec: 5, uri: 'qemu:///system', readOnly: false },
      sampler: { lastTickAgeSec: 5, lastTickSec: 0.02, oldestSampleAgeSec: 2.5 },
      starts: { running: 0, waiting: 0, places: 8, longestWaitSec: 0 },
      vms: 2,
      sessions: 3,
      version: '1.2.3',
      uptimeSec: 5,
      epoch: 'e1',
    });
    assert.equal(report.serving, true);
  });

  it('is starting until the VMs are known, and stopping at the end; neither serves', () => {
    ready = false;
    sampler.lastCycle = undefined;
    assert.deepEqual([health().status, report.serving], ['starting', false]);
    assert.equal(health().sampler.lastTickAgeSec, null);
    ready = true;
    report.stopping();
    assert.deepEqual([health().status, report.serving], ['stopping', false]);
  });

  it('says since when and why libvirt is away, and what to do', async () => {
    lose('connection refused');
    await clock.advance(4000);
    const { status, problems } = health();
    assert.equal(status, 'degraded');
    assert.equal(report.serving, false);
    assert.equal(problems.length, 1);
    assert.equal(problems[0]!.what, 'libvirt (qemu:///system) is not connected: connection refused');
    assert.match(problems[0]!.action, /libvirtd or virtqemud/);
    assert.equal(problems[0]!.since, secondsAgo(4));
  });

  it('tells the beginning of a second loss, though nobody asked between the two', async () => {
    lose('connection refused');
    health();
    await clock.advance(8000);
    lose('connection refused');
    await clock.advance(1000);
    assert.equal(health().problems[0]!.since, secondsAgo(1));
  });

  it('names a read-only connection', () => {
    hypervisor = { ...hypervisor, readOnly: true };
    assert.match(health().problems[0]!.what, /read-only/);
    assert.equal(report.serving, false);
  });

  it('misses cycles of the sampler, the first one too', async () => {
    await clock.advance(2.5 * PERIOD_MS);
    assert.equal(health().status, 'ok');
    await clock.advance(1);
    assert.match(health().problems[0]!.what, /no sampling cycle has finished within 2\.5 periods of 15 s/);
    assert.equal(report.serving, false);
    sampler.lastCycle = undefined;
    assert.equal(health().status, 'degraded');
  });

  it('names a VM whose monitor does not answer, from when it was seen, and goes on serving', async () => {
    vms = [vm(idA, { monitorResponsive: false }), vm(idB, { monitorResponsive: false, internal: 'Down' })];
    const { what, since } = health().problems[0]!;
    assert.equal(what, `VM vm-a (${idA}) does not answer on its monitor`);
    await clock.advance(3000);
    assert.deepEqual(
      health().problems.map((problem) => problem.since),
      [since],
    );
    assert.deepEqual([health().status, report.serving], ['degraded', true]);
    vms = [vm(idA)];
    assert.equal(health().status, 'ok');
    vms = [vm(idA, { monitorResponsive: false })];
    assert.equal(health().problems[0]!.since, secondsAgo(0));
  });
});
