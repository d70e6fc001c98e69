import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { VmMonitor } from '../../../src/client/vm-monitor.js';
import { ManualClock } from '../../support/manual-clock.js';
import { FakeAgent, FakeError, silence, statusEvent } from './fake-agent.js';

interface Resume {
  readonly epoch: string;
  readonly seq: number;
}

describe('VmMonitor', () => {
  let agent: FakeAgent;
  let clock: ManualClock;
  let monitor: VmMonitor;
  let told: string[];
  let records: object[];
  let vms: object[];

  beforeEach(async () => {
    clock = new ManualClock();
    agent = await new FakeAgent().start();
    records = [{ vmId: 'a', status: 'Up', statusTime: '1000' }];
    vms = [{ vmId: 'a', status: 'Up', statusTime: '1000' }];
    agent.handlers.set('Agent.subscribe', () => ({ epoch: 'e', seq: 0, vms }));
    agent.handlers.set('Host.getAllVmStats', () => records);
    monitor = new VmMonitor(agent.address, { clock });
    told = [];
    monitor.addListener({
      change: ({ vmId, from, to, source }) => told.push(`${source} ${vmId} ${from ?? '-'}>${to ?? '-'}`),
      synchronised: ({ resumed, missed }) =>
        told.push(`synchronised ${resumed ? `resumed ${missed}` : 'anew'}`),
      disconnected: ({ retryInMs }) => told.push(`disconnected, again in ${retryInMs}`),
      pollFailed: (error) => told.push(`poll failed: ${error.message}`),
    });
    monitor.start();
  });
  afterEach(async () => {
    await monitor.stop();
    await agent.stop();
    assert.equal(clock.pendingTimers, 0, 'no timer is left');
  });

  /** Runs the event loop, without moving the clock, until the condition holds. */
  async function until(condition: () => boolean): Promise<void> {
    const giveUpAt = performance.now() + 10_000;
    while (!condition()) {
      assert.ok(performance.now() < giveUpAt, `never came true: ${condition.toString()}\n${told.join('\n')}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  const polls = (): number => agent.requests.filter(({ method }) => method === 'Host.getAllVmStats').length;
  const resumes = (): (Resume | undefined)[] =>
    agent.requests
      .filter(({ method }) => method === 'Agent.subscribe')
      .map(({ params }) => params['resume'] as Resume | undefined);
  const polled = async (count: number): Promise<void> => {
    await until(() => polls() === count);
    await clock.advance(0);
  };

  it('subscribes, takes over the snapshot, polls at once and again 15 s after each answer', async () => {
    await polled(1);
    assert.ok(monitor.synchronised);
    assert.deepEqual(told, ['snapshot a ->Up', 'synchronised anew']);
    await until(() => clock.pendingTimers === 1);
    await clock.advance(14_999);
    assert.equal(polls(), 1);
    await clock.advance(1);
    await polled(2);
  });

  it('applies events in order and tells each change once', async () => {
    await polled(1);
    agent.send(statusEvent('a', 'Paused', 1));
    agent.send(statusEvent('a', 'Up', 2));
    agent.send(statusEvent('a', 'Up', 2));
    agent.send(statusEvent('b', 'WaitForLaunch', 3));
    await until(() => monitor.position?.seq === 3);
    assert.deepEqual(told.slice(2), ['event a Up>Paused', 'event a Paused>Up', 'event b ->WaitForLaunch']);
  });

  it('forgets a VM that a poll lacks', async () => {
    records = [];
    await until(() => monitor.vms.size === 0 && told.length > 2);
    assert.deepEqual(told.slice(2), ['poll a Up>-']);
  });

  it('subscribes anew from a snapshot when a number is missing', async () => {
    await polled(1);
    vms = [{ vmId: 'a', status: 'Down', statusTime: '1005' }];
    agent.handlers.set('Agent.subscribe', () => ({ epoch: 'e', seq: 5, vms }));
    agent.send(statusEvent('a', 'Paused', 4));
    agent.send(statusEvent('a', 'Down', 5));
    agent.send(statusEvent('a', 'Up', 6));
    await until(() => monitor.position?.seq === 6);
    assert.deepEqual(resumes(), [undefined, undefined]);
    assert.equal(monitor.gaps, 1);
    assert.deepEqual(told.slice(2), ['snapshot a Up>Down', 'synchronised anew', 'event a Down>Up']);
  });

  it('resumes after a lost connection and replays what was missed', async () => {
    await polled(1);
    agent.send(statusEvent('a', 'Paused', 1));
    await until(() => monitor.position?.seq === 1);
    const missed = [statusEvent('a', 'Up', 2), statusEvent('a', 'Down', 3)];
    agent.handlers.set('Agent.subscribe', () => ({ epoch: 'e', seq: 3, missed }));
    for (const socket of agent.sockets) socket.terminate();
    await until(() => told.includes('disconnected, again in 250'));
    assert.ok(!monitor.synchronised);
    assert.equal(monitor.vms.get('a')?.status, 'Paused', 'the table outlives the connection');
    await clock.advance(250);
    await until(() => monitor.position?.seq === 3);
    assert.deepEqual(resumes(), [undefined, { epoch: 'e', seq: 1 }]);
    assert.deepEqual(told.slice(-3), ['synchronised resumed 2', 'event a Paused>Up', 'event a Up>Down']);
  });

  it('takes the snapshot of a restarted agent', async () => {
    await polled(1);
    await agent.stop();
    await until(() => told.includes('disconnected, again in 250'));
    vms = [{ vmId: 'b', status: 'Up', statusTime: '2000' }];
    records = [{ vmId: 'b', status: 'Up', statusTime: '2000' }];
    agent.handlers.set('Agent.subscribe', () => ({ epoch: 'second', seq: 0, vms }));
    await agent.start();
    await clock.advance(250);
    await until(() => monitor.synchronised);
    assert.deepEqual([...monitor.vms.keys()], ['b']);
    assert.deepEqual(monitor.position, { epoch: 'second', seq: 0 });
  });

  it('waits twice as long after each failure, up to 15 s, and starts afresh after a success', async () => {
    await polled(1);
    await agent.stop();
    for (const delayMs of [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000]) {
      await until(() => told.at(-1) === `disconnected, again in ${delayMs}` && clock.pendingTimers === 1);
      told.length = 0;
      await clock.advance(delayMs);
    }
    await until(() => told.length === 1 && clock.pendingTimers === 1);
    await agent.start();
    await clock.advance(15_000);
    await until(() => monitor.synchronised);
    await agent.stop();
    await until(() => told.includes('disconnected, again in 250'));
  });

  it('stays connected when a poll is answered with an error or with nonsense', async () => {
    agent.handlers.set('Host.getAllVmStats', () => {
      throw new FakeError(99, 'Recovering');
    });
    await until(() => told.includes('poll failed: Recovering'));
    agent.handlers.set('Host.getAllVmStats', () => [{ status: 'Up' }]);
    await until(() => clock.pendingTimers === 1);
    await clock.advance(15_000);
    await until(() => told.includes('poll failed: a VM record without vmId'));
    assert.ok(monitor.synchronised);
    assert.equal(monitor.vms.get('a')?.status, 'Up');
  });

  it('takes an agent that does not answer the poll in time for lost', async () => {
    await polled(1);
    agent.handlers.set('Host.getAllVmStats', () => silence);
    await until(() => clock.pendingTimers === 1);
    await clock.advance(15_000);
    await polled(2);
    await clock.advance(30_000);
    await until(() => told.includes('disconnected, again in 250'));
  });

  it('tries again when the agent is not ready to subscribe', async () => {
    await polled(1);
    agent.handlers.set('Agent.subscribe', () => {
      throw new FakeError(99, 'Recovering');
    });
    for (const socket of agent.sockets) socket.terminate();
    await until(() => told.includes('disconnected, again in 250'));
    await clock.advance(250);
    await until(() => told.includes('disconnected, again in 500'));
    agent.handlers.set('Agent.subscribe', () => ({ epoch: 'e', seq: 9, vms }));
    await clock.advance(500);
    await until(() => monitor.position?.seq === 9);
  });

  it('stops at any moment, twice if need be', async () => {
    await Promise.all([monitor.stop(), monitor.stop()]);
    assert.ok(!monitor.synchronised);
    assert.equal(monitor.client, undefined);
  });
});
