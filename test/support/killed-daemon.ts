/**
 * The story of a libvirt daemon that is killed while verbs and a start are under way, of VMs that change while it is
 * away, and of its return; told of any daemon that can be treated so.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { virshList } from './real-libvirt.js';
import { httpGet, type AgentHealth } from './sampling-watch.js';
import type { VmEvents } from './vm-events.js';

export const PREFIX = 'vdsm-agent-killed-';
export const PERIOD_SEC = 0.5;
/** A busy machine's own. */
const SLACK_MS = 1500;
/** The events lane tries once a second at least. */
const RECONNECT_MS = 1000;

const idOf = (index: number): string => `4b111ed0-0000-4000-8000-${String(index).padStart(12, '0')}`;
export const nameOf = (index: number): string => `${PREFIX}${index}`;
export const disk = (path: string): string =>
  `<devices><disk type='file' device='disk'><source file='${path}'/><target dev='vda' bus='virtio'/></disk></devices>`;
export const xmlOf = (index: number, devices = ''): string => `
<domain type='qemu'><name>${nameOf(index)}</name><uuid>${idOf(index)}</uuid>
  <metadata><ovirt-vm:vm xmlns:ovirt-vm="http://ovirt.org/vm/1.0"></ovirt-vm:vm></metadata>
  <memory unit='MiB'>16</memory><vcpu>1</vcpu><os><type arch='x86_64' machine='pc'>hvm</type></os>${devices}
</domain>`;

/** Its VMs by what becomes of them. */
export const Role = { steady: 1, hung: 2, dies: 3, diesToo: 4, starting: 5, pauses: 6 } as const;
export const RUNNING = [Role.steady, Role.hung, Role.dies, Role.diesToo];

/** A daemon that the story can be told of. */
export interface Daemon {
  readonly uri: string;
  readonly awayMs: number;
  /** Its QEMU answers no more, or again. */
  freeze(role: number, frozen: boolean): Promise<void>;
  kill(): Promise<void>;
  restart(): Promise<void>;
  killQemu(role: number): Promise<void>;
  /** Its guest powers off; a real one cannot be told to by others. */
  powerOff(role: number): Promise<void>;
  /** It pauses itself, where it can be made to. */
  pauseItself?(role: number): Promise<void>;
  /** Pauses or resumes it without the agent. */
  setPaused(role: number, paused: boolean): Promise<void>;
}

interface Story {
  readonly daemon: Daemon;
  readonly socketPath: string;
  readonly events: VmEvents;
}

const health = ({ events }: Story): Promise<AgentHealth & { libvirt: { state: string } }> =>
  events.call('Agent.getHealth', {}) as Promise<unknown> as Promise<
    AgentHealth & { libvirt: { state: string } }
  >;

/** ms until it holds. */
async function until(what: string, limitMs: number, holds: () => Promise<boolean>): Promise<number> {
  const startMs = performance.now();
  while (!(await holds())) {
    assert.ok(performance.now() - startMs < limitMs, `not ${what} within ${limitMs} ms`);
    await delay(20);
  }
  return performance.now() - startMs;
}

/** Rejects with code 40 and a sentence about libvirt. @returns ms from `sinceMs` */
async function endsUnavailable(call: Promise<unknown>, sinceMs: () => number): Promise<number> {
  const error = await call.then(
    () => assert.fail('a verb that libvirt never answered was said to be done'),
    (reason: unknown) => reason as { readonly code: number; readonly message: string },
  );
  assert.equal(error.code, 40, error.message);
  assert.match(error.message, /libvirt/);
  return performance.now() - sinceMs();
}

/** While the daemon is away: answers, honest ages, no changes. @returns the oldest age, s */
async function watchAway(story: Story): Promise<number> {
  const { events, socketPath, daemon } = story;
  let lastAgeSec = 0;
  const endMs = performance.now() + daemon.awayMs;
  while (performance.now() < endMs) {
    const { sampler, problems, status } = await health(story);
    const ageSec = sampler.oldestSampleAgeSec ?? 0;
    assert.ok(ageSec > lastAgeSec, `the oldest sample was ${lastAgeSec} s old, now ${ageSec} s`);
    lastAgeSec = ageSec;
    assert.equal(status, 'degraded');
    assert.ok(
      problems.some(({ what }) => /libvirt .* is not connected/.test(what)),
      JSON.stringify(problems),
    );
    const records = (await events.call('Host.getAllVmStats', {})) as unknown as {
      vmId: string;
      status: string;
    }[];
    const statuses = new Map(records.map(({ vmId, status: told }) => [vmId, told]));
    for (const role of [Role.steady, Role.dies, Role.diesToo])
      assert.match(statuses.get(idOf(role)) ?? 'absent', /^(Up|Powering up)$/);
    assert.equal((await httpGet(socketPath, '/healthz')).status, 503);
    await delay(200);
  }
  assert.ok(
    lastAgeSec > daemon.awayMs / 1000 - 1,
    `after ${daemon.awayMs} ms the oldest sample is ${lastAgeSec} s old`,
  );
  return lastAgeSec;
}

/** A reason that is read later, from the disks, is news of its own. */
function assertToldOnce(events: VmEvents, role: number, status: string): void {
  const told = events
    .of(idOf(role))
    .map((payload) => `${String(payload['status'])} ${String(payload['pauseCode'])}`);
  assert.ok(told.length > 0, `${nameOf(role)} is ${status}, which nobody is told`);
  assert.ok(
    told.every((each) => each.startsWith(status)),
    told.join(),
  );
  assert.equal(new Set(told).size, told.length, `what changed meanwhile is told once: ${told.join()}`);
}

export async function tell(t: TestContext, story: Story): Promise<void> {
  const { daemon, events, socketPath } = story;
  let killedMs = Infinity;
  await daemon.freeze(Role.hung, true);
  const pause = endsUnavailable(events.call('VM.pause', { vmID: idOf(Role.hung) }), () => killedMs);
  await events.call('VM.create', { vmID: idOf(Role.starting), vmParams: { xml: xmlOf(Role.starting) } });
  await until('starting', 5000, async () => {
    const { starts } = (await events.call('Agent.getHealth', {})) as unknown as {
      starts: { running: number };
    };
    return starts.running > 0 || events.statuses(idOf(Role.starting)).length > 1;
  });
  for (const role of [...RUNNING, Role.pauses]) events.clear(idOf(role));
  await daemon.kill();
  killedMs = performance.now();
  const verbMs = await pause;
  assert.ok(verbMs < SLACK_MS, `the pending verb ended ${verbMs} ms after the kill`);
  const noticedMs = await until(
    'missed',
    SLACK_MS,
    async () => (await health(story)).libvirt.state !== 'open',
  );
  const refusedMs = await endsUnavailable(
    events.call('VM.pause', { vmID: idOf(Role.steady) }),
    () => killedMs,
  );
  await daemon.killQemu(Role.dies);
  await daemon.powerOff(Role.diesToo);
  await daemon.pauseItself?.(Role.pauses);
  await daemon.freeze(Role.hung, false);
  const oldestSec = await watchAway(story);
  for (const role of [...RUNNING, Role.pauses])
    assert.deepEqual(events.of(idOf(role)), [], 'nothing is told that is not known');
  await daemon.restart();
  const backMs = await until(
    'connected',
    RECONNECT_MS + SLACK_MS,
    async () => (await health(story)).libvirt.state === 'open',
  );
  for (const role of [Role.dies, Role.diesToo]) await events.untilDown(idOf(role));
  if (daemon.pauseItself) await events.until(idOf(Role.pauses), { status: 'Paused' });
  const toldMs = await until('sampled', 20_000, async () => {
    const { sampler } = await health(story);
    return (sampler.oldestSampleAgeSec ?? Infinity) < 2 * PERIOD_SEC + SLACK_MS / 1000;
  });
  await until('serving', 5000, async () => (await httpGet(socketPath, '/healthz')).status === 200);
  // Events are registered again: the compare, once a minute, is not what finds these.
  await daemon.setPaused(Role.steady, true);
  await events.until(idOf(Role.steady), { status: 'Paused' }, 5000);
  await daemon.setPaused(Role.steady, false);
  await events.until(idOf(Role.steady), { status: 'Up' }, 5000);
  const told = [
    [Role.dies, 'Down'],
    [Role.diesToo, 'Down'],
    ...(daemon.pauseItself ? [[Role.pauses, 'Paused'] as const] : []),
  ] as const;
  for (const [role, status] of told) assertToldOnce(events, role, status);
  assert.deepEqual(
    events.statuses(idOf(Role.steady)).filter((status) => status !== undefined),
    ['Paused', 'Up'],
  );
  // Whatever became of the start, the table says what is.
  await until('settled', 60_000, async () => {
    const list = (await events.call('Host.getVMList', {})) as unknown as { vmId: string; status: string }[];
    const status = list.find(({ vmId }) => vmId === idOf(Role.starting))?.status;
    const state = (await virshList(nameOf(Role.starting), daemon.uri)).get(nameOf(Role.starting));
    return state === 'running' ? status === 'Up' || status === 'Powering up' : status === 'Down';
  });
  t.diagnostic(
    `pending verb ended ${verbMs.toFixed(0)} ms after the kill, the loss was known after ${noticedMs.toFixed(0)} ms, ` +
      `a new verb was refused within ${refusedMs.toFixed(0)} ms; oldest sample ${oldestSec} s; ` +
      `connected ${backMs.toFixed(0)} ms after the return, fresh samples ${toldMs.toFixed(0)} ms later`,
  );
}
