import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deviceHarness, ID, rejectsWith } from './device-fixture.js';
import type { Harness } from '../harness.js';

const MINUTE_MS = 60_000;

async function withOrder(disconnectAction: string, consoleDisconnectActionDelay?: number): Promise<Harness> {
  const harness = await deviceHarness();
  const more = consoleDisconnectActionDelay === undefined ? {} : { consoleDisconnectActionDelay };
  await harness.run('VM.updateDevice', ID, {
    params: {
      deviceType: 'graphics',
      graphicsType: 'vnc',
      password: 'x',
      ttl: 60,
      disconnectAction,
      ...more,
    },
  });
  return harness;
}

async function console(harness: Harness, phase: 'initialize' | 'disconnect'): Promise<void> {
  harness.hypervisor.emit(ID, { kind: 'graphics', phase, clientAddress: '10.0.0.1', clientPort: '4711' });
  await harness.rest();
}

const asked = (harness: Harness): string[] =>
  harness.hypervisor.calls.filter(({ method }) => method.startsWith('power.')).map(({ method }) => method);

describe('when the last user of a console leaves', () => {
  it('the VM is shut down or rebooted, as the ticket says', async () => {
    for (const action of ['SHUTDOWN', 'REBOOT']) {
      const harness = await withOrder(action);
      await console(harness, 'initialize');
      assert.deepEqual(asked(harness), []);
      await console(harness, 'disconnect');
      assert.deepEqual(asked(harness), [`power.${action.toLowerCase()}`]);
    }
  });

  it('nothing happens to it for the other actions', async () => {
    for (const action of ['NONE', 'LOCK_SCREEN', 'lock', 'LOGOUT']) {
      const harness = await withOrder(action);
      await console(harness, 'initialize');
      await console(harness, 'disconnect');
      await harness.clock.advance(MINUTE_MS);
      assert.deepEqual(asked(harness), [], action);
    }
  });

  it('a delay is waited for, and a user who comes back ends it', async () => {
    const harness = await withOrder('SHUTDOWN', 5);
    await console(harness, 'initialize');
    await console(harness, 'disconnect');
    await harness.clock.advance(4 * MINUTE_MS);
    await console(harness, 'initialize');
    await harness.clock.advance(10 * MINUTE_MS);
    assert.deepEqual(asked(harness), []);
    await console(harness, 'disconnect');
    await harness.clock.advance(5 * MINUTE_MS);
    assert.deepEqual(asked(harness), ['power.shutdown']);
  });

  it('the latest ticket counts, and none counts beyond the end of the VM', async () => {
    const harness = await withOrder('SHUTDOWN', 1);
    await console(harness, 'initialize');
    await console(harness, 'disconnect');
    await harness.run('VM.updateDevice', ID, {
      params: {
        deviceType: 'graphics',
        graphicsType: 'vnc',
        password: 'x',
        ttl: 60,
        disconnectAction: 'none',
      },
    });
    await harness.clock.advance(MINUTE_MS);
    assert.deepEqual(asked(harness), []);

    const other = await withOrder('SHUTDOWN', 1);
    await console(other, 'initialize');
    await console(other, 'disconnect');
    other.hypervisor.act(ID, 'destroy');
    await other.clock.advance(MINUTE_MS);
    assert.deepEqual(asked(other), []);
  });

  it('an action or a delay that there is not is refused with the ticket', async () => {
    const harness = await deviceHarness();
    const params = { deviceType: 'graphics', graphicsType: 'vnc', password: 'x', ttl: 60 };
    await rejectsWith(
      harness.run('VM.updateDevice', ID, { params: { ...params, disconnectAction: 'EXPLODE' } }),
      91,
      /none, lock_screen, logout, shutdown, reboot/,
    );
    await rejectsWith(
      harness.run('VM.updateDevice', ID, {
        params: { ...params, disconnectAction: 'SHUTDOWN', consoleDisconnectActionDelay: 10 ** 9 },
      }),
      91,
      /minutes/,
    );
    assert.equal(harness.hypervisor.countCalls('devices.update'), 0);
  });
});
