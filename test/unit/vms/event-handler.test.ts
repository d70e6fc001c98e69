import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../src/domain/hypervisor.js';
import type { LifecycleEventName } from '../../../src/domain/hypervisor.js';
import { fakeId } from '../../support/fake-domain.js';
import { Harness, withVm } from './harness.js';

const id = fakeId(1);

function lifecycle(harness: Harness, event: LifecycleEventName, detail: string): void {
  harness.hypervisor.emit(id, { kind: 'lifecycle', event, detail });
}

describe('a lifecycle event', () => {
  const rows: readonly (readonly [string, readonly (readonly [LifecycleEventName, string])[], string])[] = [
    ['SUSPENDED/PAUSED stops the CPUs', [['suspended', 'paused']], 'Paused NOERR'],
    ['SUSPENDED/WATCHDOG stops the CPUs', [['suspended', 'watchdog']], 'Paused NOERR'],
    ['SUSPENDED/MIGRATED stops the CPUs', [['suspended', 'migrated']], 'Paused NOERR'],
    ['SUSPENDED/RESTORED stops the CPUs', [['suspended', 'restored']], 'Paused NOERR'],
    ['SUSPENDED/FROM_SNAPSHOT stops the CPUs', [['suspended', 'from-snapshot']], 'Paused NOERR'],
    ['SUSPENDED/API_ERROR stops the CPUs', [['suspended', 'api-error']], 'Paused NOERR'],
    ['SUSPENDED/IOERROR stops the CPUs by an error', [['suspended', 'ioerror']], 'Paused EOTHER'],
    ['SUSPENDED/POSTCOPY shows a source in post-copy', [['suspended', 'postcopy']], 'Paused POSTCOPY'],
    [
      'RESUMED/UNPAUSED lets the CPUs run',
      [
        ['suspended', 'paused'],
        ['resumed', 'unpaused'],
      ],
      'Up',
    ],
    ['SHUTDOWN/GUEST is only remembered', [['shutdown', 'guest']], 'Up'],
    ['SHUTDOWN/HOST is only remembered', [['shutdown', 'host']], 'Up'],
    [
      'STOPPED after SHUTDOWN/GUEST is a shutdown by the user',
      [
        ['shutdown', 'guest'],
        ['stopped', 'shutdown'],
      ],
      'Down 0/7',
    ],
    [
      'STOPPED after SHUTDOWN/HOST is a shutdown of the host',
      [
        ['shutdown', 'host'],
        ['stopped', 'destroyed'],
      ],
      'Down 1/11',
    ],
    ['STOPPED/FAILED without a reason is a lost QEMU', [['stopped', 'failed']], 'Down 1/2'],
    ['STOPPED/MIGRATED is a migration away', [['stopped', 'migrated']], 'Down 0/4'],
    ['STOPPED/SAVED is a save', [['stopped', 'saved']], 'Down 0/5'],
    ['DEFINED changes nothing', [['defined', 'updated']], 'Up'],
    ['UNDEFINED changes nothing', [['undefined', 'removed']], 'Up'],
  ];
  for (const [sentence, events, wanted] of rows) {
    it(sentence, async () => {
      const harness = await withVm();
      for (const [event, detail] of events) lifecycle(harness, event, detail);
      const { status, pauseCode, exit } = harness.vm(id);
      const more = exit ? ` ${exit.code}/${exit.reason}` : status === 'Paused' ? ` ${pauseCode}` : '';
      assert.equal(status + more, wanted);
      assert.equal(harness.statuses().at(-1) ?? 'Up', status);
    });
  }

  it('SHUTDOWN/GUEST while the host goes down was the host, known before or found out in time', async () => {
    for (const known of ['underWay', 'isFound'] as const) {
      const harness = await withVm();
      harness.hostShutdown[known] = true;
      lifecycle(harness, 'shutdown', 'guest');
      await harness.rest();
      lifecycle(harness, 'stopped', 'shutdown');
      assert.deepEqual([harness.vm(id).exit?.code, harness.vm(id).exit?.reason], [1, 11], known);
      assert.deepEqual(harness.statuses(), ['Down']);
    }
  });

  it('SHUTDOWN/GUEST while the host goes down stays what was ordered before', async () => {
    const harness = await withVm();
    harness.hostShutdown.underWay = true;
    await harness.run('VM.shutdown', id);
    harness.hypervisor.act(id, 'powerOff');
    assert.deepEqual([harness.vm(id).exit?.code, harness.vm(id).exit?.reason], [0, 6]);
  });

  it('that does not say what became of the VM has its state read', async () => {
    const harness = await withVm();
    const domain = harness.hypervisor.domains.get(id)!;
    for (const event of ['started', 'pmsuspended', 'crashed', 'stopped'] as const)
      lifecycle(harness, event, 'x');
    domain.state = { state: 'paused', reason: 'user' };
    await harness.rest();
    assert.equal(harness.status(id), 'Paused');
  });

  it('SUSPENDED/IOERROR has the disk errors read, and the code is announced', async () => {
    const harness = await withVm();
    harness.hypervisor.domains.get(id)!.diskErrors = [{ disk: 'vda', error: 'unspecified' }];
    harness.hypervisor.act(id, 'ioError');
    await harness.rest();
    assert.deepEqual(harness.payloads(), [
      { status: 'Paused', pauseCode: 'EOTHER' },
      {
        status: 'Paused',
        pauseCode: 'EIO',
        ioerror: { alias: 'ua-disk', name: 'vda', path: '/images/vda' },
      },
    ]);
  });

  it('SUSPENDED/POSTCOPY_FAILED of a migration target destroys it with 1/12', async () => {
    const harness = new Harness();
    const domain = harness.hypervisor.addDomain(1, { state: 'running', reason: 'postcopy' });
    domain.job = 'migration-in';
    await harness.start();
    assert.equal(harness.status(id), 'Migration Destination');
    lifecycle(harness, 'suspended', 'postcopy-failed');
    await harness.rest();
    assert.deepEqual([harness.vm(id).exit?.code, harness.vm(id).exit?.reason], [1, 12]);
    assert.equal(domain.state.state, 'shutoff');
  });

  it('RESUMED/MIGRATED ends an incoming migration with the whole running block', async () => {
    const harness = new Harness();
    harness.hypervisor.addDomain(1, { state: 'paused', reason: 'migration' });
    harness.hypervisor.failNext('activeJob', new HypervisorError('invalid-state', 'only on the source host'));
    await harness.start();
    lifecycle(harness, 'resumed', 'migrated');
    const [payload] = harness.payloads();
    assert.equal(payload?.['status'], 'Up');
    assert.ok('elapsedTime' in payload);
  });

  it('STARTED of a VM that is Down makes a new VM of it, in the same record', async () => {
    const harness = await withVm({ startTime: 1000 });
    assert.equal(harness.vm(id).startedAtMs, 1_000_000);
    harness.hypervisor.act(id, 'kill');
    harness.hypervisor.act(id, 'start');
    await harness.rest();
    assert.deepEqual(harness.statuses(), ['Down', 'Up']);
    assert.equal(harness.vm(id).exit, undefined);
    assert.equal(
      harness.vm(id).startedAtMs,
      harness.clock.wallMs(),
      'the time in the metadata is the run before',
    );
    assert.equal(harness.registry.size, 1);
  });
});

describe('other events', () => {
  it('a reboot restarts the age of the guest and shows RebootInProgress for 60 s', async () => {
    const harness = await withVm({ startTime: 1000 });
    assert.equal(harness.vm(id).startedAtMs, 1_000_000);
    harness.hypervisor.emit(id, { kind: 'reboot' });
    assert.equal(harness.vm(id).startedAtMs, harness.clock.wallMs());
    await harness.clock.advance(60_000);
    assert.deepEqual(harness.statuses(), ['RebootInProgress', 'Up']);
  });

  it('a reboot ends a VM that is to be destroyed then, with 0/13', async () => {
    const harness = await withVm({ destroyOnReboot: true });
    harness.hypervisor.emit(id, { kind: 'reboot' });
    await harness.rest();
    assert.deepEqual([harness.vm(id).exit?.code, harness.vm(id).exit?.reason], [0, 13]);
    assert.deepEqual(harness.statuses(), ['Down']);
  });

  it('a reboot whose destroy fails leaves the VM running', async () => {
    const harness = await withVm({ destroyOnReboot: true });
    harness.hypervisor.failNext('destroy');
    harness.hypervisor.emit(id, { kind: 'reboot' });
    await harness.rest();
    assert.equal(harness.status(id), 'Up');
    harness.hypervisor.act(id, 'kill');
    assert.equal(harness.vm(id).exit?.reason, 2, 'its end has nothing to do with that reboot');
  });

  it('RTC change, graphics and watchdog become facts of the VM without an event', async () => {
    const harness = await withVm();
    const { hypervisor } = harness;
    const client = { kind: 'graphics', clientAddress: '10.0.0.9', clientPort: '4711' } as const;
    hypervisor.emit(id, { kind: 'rtc-change', offsetSec: -3600 });
    hypervisor.emit(id, { ...client, phase: 'initialize' });
    hypervisor.emit(id, { kind: 'watchdog', action: 'poweroff' });
    assert.equal(harness.vm(id).timeOffsetSec, -3600);
    assert.equal(harness.vm(id).clientIp, '10.0.0.9');
    assert.deepEqual(harness.vm(id).watchdogEvent, {
      timeSec: harness.clock.wallMs() / 1000,
      action: 'destroy',
    });
    hypervisor.emit(id, { ...client, phase: 'disconnect', clientPort: '1' });
    assert.equal(harness.vm(id).clientIp, '10.0.0.9');
    hypervisor.emit(id, { ...client, phase: 'disconnect' });
    assert.equal(harness.vm(id).clientIp, '');
    assert.deepEqual(harness.published, []);
  });

  it('an I/O error that pauses is told with its disk; libvirt saying SUSPENDED after it adds nothing', async () => {
    const harness = await withVm();
    const error = { kind: 'io-error', path: '/images/vda', alias: 'ua-disk', action: 'pause' } as const;
    harness.hypervisor.domains.get(id)!.diskErrors = [{ disk: 'vda', error: 'no-space' }];
    harness.hypervisor.emit(id, { ...error, reason: 'enospc' });
    harness.hypervisor.act(id, 'ioError');
    await harness.rest();
    assert.deepEqual(harness.payloads(), [
      {
        status: 'Paused',
        pauseCode: 'ENOSPC',
        ioerror: { alias: 'ua-disk', name: 'vda', path: '/images/vda' },
      },
    ]);
  });

  it('an I/O error that is only reported to the guest changes nothing', async () => {
    const harness = await withVm();
    const error = { kind: 'io-error', path: '', alias: 'x', reason: '' } as const;
    harness.hypervisor.emit(id, { ...error, action: 'report' });
    assert.equal(harness.status(id), 'Up');
    harness.hypervisor.emit(id, { ...error, action: 'pause' });
    assert.deepEqual(harness.payloads(), [
      { status: 'Paused', pauseCode: 'EOTHER', ioerror: { alias: 'x' } },
    ]);
  });

  it('changes of devices and metadata have the XML read again, once for many events', async () => {
    const harness = await withVm();
    const before = harness.hypervisor.countCalls('describe');
    for (const alias of ['a', 'b', 'c']) harness.hypervisor.emit(id, { kind: 'device-added', alias });
    harness.hypervisor.emit(id, { kind: 'metadata-change', uri: 'http://ovirt.org/vm/1.0' });
    await harness.rest();
    const reads = harness.hypervisor.countCalls('describe') - before;
    assert.ok(reads === 1 || reads === 2, `${reads} reads`);
  });

  const ofDevices = [
    { kind: 'device-added', alias: 'a' },
    { kind: 'device-removed', alias: 'a' },
    { kind: 'disk-change', alias: 'a' },
    { kind: 'tray-change', alias: 'a' },
    { kind: 'metadata-change', uri: 'http://ovirt.org/vm/1.0' },
    { kind: 'block-job', disk: 'vda', type: 'commit', status: 'completed' },
    { kind: 'tunable', values: {} },
    { kind: 'agent-lifecycle', state: 'connected' },
    { kind: 'agent-lifecycle', state: 'disconnected' },
  ] as const;
  for (const event of ofDevices) {
    it(`${event.kind} has the XML read again`, async () => {
      const harness = await withVm();
      const before = harness.hypervisor.countCalls('describe');
      harness.hypervisor.emit(id, event);
      await harness.rest();
      assert.equal(harness.hypervisor.countCalls('describe') - before, 1);
    });
  }

  it('of a tuned scheduler have it read', async () => {
    const harness = await withVm();
    harness.hypervisor.domains.get(id)!.vcpuQuota = 25_000;
    harness.hypervisor.emit(id, { kind: 'tunable', values: {} });
    await harness.rest();
    assert.equal(harness.vm(id).vcpuQuota, 25_000);
  });
});

describe('an event of an unknown domain', () => {
  it('has it looked up and adopted as external if it runs', async () => {
    const harness = await new Harness().start();
    harness.hypervisor.addDomain(1, undefined, { managed: false });
    lifecycle(harness, 'started', 'booted');
    lifecycle(harness, 'resumed', 'unpaused');
    await harness.rest();
    assert.equal(harness.vm(id).external, true);
    assert.equal(harness.published.length, 1);
    assert.equal(await harness.counted('vm_events_unknown_total'), 2);
  });

  it('that has ended or was only defined is left alone', async () => {
    const harness = await new Harness().start();
    harness.hypervisor.addDomain(1, { state: 'shutoff', reason: 'unknown' });
    lifecycle(harness, 'defined', 'added');
    lifecycle(harness, 'stopped', 'failed');
    await harness.rest();
    assert.equal(harness.registry.size, 0);
  });

  it('survives a hypervisor that cannot answer', async () => {
    const harness = await new Harness().start();
    harness.hypervisor.addDomain(1);
    harness.hypervisor.failNext('domainState', new HypervisorError('timeout', 'late'));
    lifecycle(harness, 'started', 'booted');
    await harness.rest();
    assert.equal(harness.registry.size, 0);
    await harness.clock.advance(60_000);
    await harness.rest();
    assert.equal(harness.status(id), 'Up');
  });
});
