import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AgentEvent, Vm } from '../../../src/domain/vm.js';
import { silentLogger } from '../../../src/util/log.js';
import { createMetrics } from '../../../src/util/metrics.js';
import { Registry } from '../../../src/vms/registry.js';
import { fakeId } from '../../support/fake-domain.js';
import { ManualClock } from '../../support/manual-clock.js';
import { payloadOf } from './harness.js';

const id = fakeId(1);
const managed = { id, name: 'one', external: false, internal: 'WaitForLaunch' } as const;
const external = { ...managed, external: true };

function setUp(publish?: (event: AgentEvent) => void) {
  const clock = new ManualClock(5000.5);
  const metrics = createMetrics();
  const events: (AgentEvent & { readonly payload: Readonly<Record<string, unknown>> })[] = [];
  const registry = new Registry({
    clock,
    metrics,
    log: silentLogger,
    publish: publish ?? ((event) => events.push({ ...event, payload: payloadOf(event) })),
  });
  const gauge = async (status: string): Promise<number> =>
    (await metrics.vms.get()).values.find(({ labels }) => labels['status'] === status)?.value ?? 0;
  return { clock, registry, events, gauge };
}

describe('Registry', () => {
  it('publishes one event per status change, on the topic of the VM and the clock of the engine', () => {
    const { registry, events } = setUp();
    registry.add(managed);
    registry.move(id, 'launched');
    assert.deepEqual(
      events.map(({ payload }) => payload['status']),
      ['WaitForLaunch', 'Powering up'],
    );
    assert.equal(events[1]?.topic, `|virt|VM_status|${id}`);
    assert.equal(events[1].notifyTime, 2 ** 31 - 1 + 5000);
  });

  it('sends the whole running block when a start or an adoption is completed, and only then', () => {
    const { registry, events } = setUp();
    registry.add(managed);
    registry.move(id, 'launched');
    registry.move(id, 'agent-connected');
    assert.deepEqual(Object.keys(events[0]?.payload ?? {}), ['status']);
    for (const key of ['elapsedTime', 'displayInfo', 'monitorResponse', 'clientIp', 'pauseCode', 'status']) {
      assert.ok(key in (events[1]?.payload ?? {}), key);
    }
    assert.deepEqual(events[2]?.payload, { status: 'Up' });
  });

  it('gives every Paused event its pause code, and announces a code that becomes known later', () => {
    const { registry, events } = setUp();
    registry.add(managed, { causes: ['found-running'] });
    events.length = 0;
    registry.move(id, 'suspended-io-error');
    registry.move(id, 'suspended-io-error');
    registry.move(id, 'disk-errors-read', { pauseCode: 'EIO' });
    assert.deepEqual(
      events.map(({ payload }) => payload),
      [
        { status: 'Paused', pauseCode: 'EOTHER' },
        { status: 'Paused', pauseCode: 'EIO' },
      ],
    );
  });

  it('gives a Down event the Down record, once', () => {
    const { registry, events } = setUp();
    registry.add(managed, { causes: ['found-running'] });
    events.length = 0;
    registry.move(id, 'stopped-failed');
    registry.move(id, 'vanished');
    assert.equal(events.length, 1);
    const { status, vmId, exitCode, exitReason, exitMessage } = events[0]?.payload ?? {};
    assert.deepEqual([status, vmId, exitCode, exitReason], ['Down', id, 1, 2]);
    assert.equal(typeof exitMessage, 'string');
    assert.equal(registry.size, 1);
  });

  it('announces the refinements of Up that time alone ends, and leaves no timer behind', async () => {
    const { registry, events, clock } = setUp();
    registry.add(managed);
    registry.move(id, 'launched');
    events.length = 0;
    await clock.advance(59_999);
    assert.equal(events.length, 0);
    await clock.advance(1);
    assert.deepEqual(
      events.map(({ payload }) => payload),
      [{ status: 'Up' }],
    );
    registry.move(id, 'shutdown-ordered');
    assert.equal(clock.pendingTimers, 1);
    await clock.advance(300_000);
    assert.deepEqual(
      events.slice(1).map(({ payload }) => payload['status']),
      ['Powering down', 'Up'],
    );
    registry.move(id, 'rebooted');
    registry.stop();
    assert.equal(clock.pendingTimers, 0);
  });

  it('sets no timer for a VM that is gone', () => {
    const { registry, clock } = setUp();
    registry.add(managed);
    registry.move(id, 'launched');
    registry.move(id, 'stopped-failed');
    assert.equal(clock.pendingTimers, 0);
    registry.forget(id);
    registry.add(managed);
    registry.move(id, 'launched');
    registry.forget(id);
    assert.equal(clock.pendingTimers, 0);
  });

  it('announces a monitor that stops answering and one that answers again', () => {
    const { registry, events } = setUp();
    registry.add(managed, { causes: ['found-running'] });
    events.length = 0;
    registry.setMonitorResponsive(id, false);
    registry.setMonitorResponsive(id, false);
    registry.setMonitorResponsive(id, true);
    assert.deepEqual(
      events.map(({ payload }) => payload),
      [
        { status: 'Up', monitorResponse: '-1' },
        { status: 'Up', monitorResponse: '0' },
      ],
    );
  });

  it('forgets an external VM when it goes Down, after telling', () => {
    const { registry, events } = setUp();
    registry.add(external, { causes: ['found-running'] });
    events.length = 0;
    const told: (string | undefined)[] = [];
    registry.onChange((_id, after) => told.push(after?.status));
    registry.move(id, 'stopped-destroyed');
    assert.deepEqual(told, [undefined]);
    assert.equal(events[0]?.payload['status'], 'Down');
    assert.equal(registry.size, 0);
  });

  it('replaces records instead of changing them, and keeps the object where nothing changes', () => {
    const { registry } = setUp();
    const first = registry.add(managed, { causes: ['found-running'] });
    const changes: [Vm | undefined, Vm | undefined][] = [];
    const remove = registry.onChange((_id, after, before) => changes.push([after, before]));
    assert.equal(registry.change(id, { causes: ['found-running'], facts: { clientIp: '' } }), first);
    const second = registry.change(id, { facts: { timeOffsetSec: 7 } });
    remove();
    registry.move(id, 'suspended');
    assert.deepEqual(changes, [[second, first]]);
    assert.equal(first.timeOffsetSec, undefined);
    assert.equal(first.status, 'Up');
  });

  it('drops what a cause clears', () => {
    const { registry } = setUp();
    registry.add(managed, { causes: ['found-paused'] });
    assert.equal(registry.get(id)?.pauseCode, 'NOERR');
    registry.move(id, 'resumed');
    assert.ok(!('pauseCode' in (registry.get(id) ?? {})));
  });

  it('counts VMs by status', async () => {
    const { registry, gauge } = setUp();
    registry.add(managed, { causes: ['found-running'] });
    registry.add({ ...external, id: fakeId(2) }, { causes: ['found-running'] });
    assert.equal(await gauge('Up'), 2);
    registry.move(id, 'stopped-failed');
    registry.move(fakeId(2), 'stopped-failed');
    assert.deepEqual([await gauge('Up'), await gauge('Down')], [0, 1]);
    registry.forget(id);
    assert.equal(await gauge('Down'), 0);
  });

  it('survives a listener and a sink that throw', () => {
    const { registry } = setUp(() => {
      throw new Error('sink');
    });
    registry.onChange(() => {
      throw new Error('listener');
    });
    registry.add(managed, { causes: ['found-running'] });
    assert.equal(registry.get(id)?.status, 'Up');
  });

  it('lets one operation at a time have a VM', () => {
    const { registry } = setUp();
    const release = registry.locks.take(id, 'one', 'VM.pause');
    assert.throws(() => registry.locks.take(id, 'one', 'VM.cont'), {
      code: 40,
      message: new RegExp(`VM one \\(${id}\\) is busy: running VM.pause; try again when it has ended`),
    });
    release();
    const again = registry.locks.take(id, 'one', 'VM.cont');
    release();
    assert.equal(registry.locks.running(id), 'VM.cont');
    again();
  });
});
