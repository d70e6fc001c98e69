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
let logProblem: string | undefined;
let sampler: { -readonly [K in keyof HealthParts['sampler']]: HealthParts['sampler'][K] };
let longestWaitSec: number;
let report: HealthReport;

beforeEach(() => {
  clock = new ManualClock();
  hypervisor = { state: 'open', sinceMs: clock.nowMs(), uri: 'qemu:///system', readOnly: false };
  vms = [vm(idA), vm(idB)];
  ready = true;
  logProblem = undefined;
  longestWaitSec = 0;
  sampler = {
    lastCycle: { endedMs: clock.nowMs(), tookMs: 20 },
    oldestSampleAgeMs: () => 2500,
    failure: undefined,
    stuckCalls: { now: 0, max: 8 },
    quarantined: () => [],
    late: () => [],
  };
  report = new HealthReport({
    hypervisor: () => hypervisor,
    vms: {
      get: (id) => vms.find((each) => each.id === id),
      all: () => vms.values(),
      get size() {
        return vms.length;
      },
      onChange: () => () => undefined,
    },
    starts: () => ({ running: 0, waiting: 0, places: 8, longestWaitSec }),
    isReady: () => ready,
    logProblem: () => logProblem,
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

  it('says that log lines are lost, and serves all the same', () => {
    logProblem = 'ENOSPC: no space left on device, write';
    const { status, problems } = health();
    assert.equal(status, 'degraded');
    assert.match(problems[0]?.what ?? '', /the log cannot be written \(ENOSPC/);
    assert.equal(report.serving, true);
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

  it('says why a VM does not answer, since when, and what is done, and goes on serving', async () => {
    const sinceMs = clock.nowMs();
    await clock.advance(30_000);
    const rest = { sinceMs, lastProbeMs: undefined, nextProbeMs: sinceMs };
    const nextProbeMs = clock.nowMs() + 10_000;
    vms = [vm(idA, { monitorResponsive: false }), vm(idB, { monitorResponsive: false })];
    sampler.lastCycle = { endedMs: clock.nowMs(), tookMs: 20 };
    sampler.quarantined = () => [
      { id: idA, why: 'stopped', pid: 123, ...rest },
      { id: idB, why: 'hung', pid: undefined, ...rest, nextProbeMs },
    ];
    const [stopped, hung, ...others] = health().problems;
    assert.deepEqual(stopped, {
      what: `VM vm-a (${idA}) does not answer: its QEMU process (pid 123) is stopped`,
      action:
        'not asked again until it runs; the other VMs are sampled as before. If nobody debugs it: kill -CONT 123',
      since: secondsAgo(30),
    });
    assert.match(
      hung!.what,
      /^VM vm-b .* its monitor is held by a call that its QEMU process does not answer$/,
    );
    assert.ok(hung!.action.includes(new Date(clock.wallMs() + 10_000).toISOString()), hung!.action);
    assert.deepEqual(others, [], 'each VM is named once');
    assert.equal(report.serving, true);
  });

  it('tells a blocked QEMU from a stopped one', () => {
    const at = clock.nowMs();
    const times = { sinceMs: at, lastProbeMs: at, nextProbeMs: at };
    sampler.quarantined = () => [{ id: idA, why: 'blocked', pid: 7, ...times }];
    const [blocked] = health().problems;
    assert.match(blocked!.what, /its QEMU process \(pid 7\) is blocked in the kernel/);
    assert.match(blocked!.action, /Look at the storage of its disks/);
  });

  it('counts late VMs, names the oldest, and goes on serving', () => {
    sampler.late = () => [
      { id: idB, ageMs: 61_000 },
      ...Array.from({ length: 6 }, () => ({ id: idA, ageMs: 40_000 })),
    ];
    const [late] = health().problems;
    assert.equal(late!.what, 'samples of 7 VMs are late');
    assert.match(late!.action, /the oldest: vm-b \S+ 61 s, .* and 2 more$/);
    assert.equal(report.serving, true);
  });

  it('does not serve while sampling fails for an error of its own, or too many calls hang', () => {
    sampler.stuckCalls = { now: 8, max: 8 };
    assert.match(health().problems[0]!.what, /^8 calls hang in libvirt/);
    assert.equal(report.serving, false);
    sampler.stuckCalls = { now: 7, max: 8 };
    assert.equal(report.serving, true);
    sampler.failure = { sinceMs: clock.nowMs(), count: 3, message: 'TypeError: x is undefined' };
    const [failing] = health().problems;
    assert.match(failing!.what, /error of the agent's own: TypeError: x is undefined$/);
    assert.match(failing!.action, /3 times so far/);
    assert.equal(report.serving, false);
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

  it('says so where VMs wait long for their start, which is no reason to take the host out of service', () => {
    longestWaitSec = 60;
    assert.deepEqual(health().problems, []);
    longestWaitSec = 75;
    const { problems, status } = health();
    assert.match(problems[0]?.what ?? '', /waiting for more than 60 s/);
    assert.equal(problems[0]?.since, new Date(clock.wallMs() - 15_000).toISOString());
    assert.equal(status, 'degraded');
    assert.equal(report.serving, true);
  });
});
