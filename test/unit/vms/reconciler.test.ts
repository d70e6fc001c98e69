import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../src/domain/hypervisor.js';
import { StatsGroup } from '../../../src/domain/stats.js';
import { fakeId } from '../../support/fake-domain.js';
import { Harness } from './harness.js';

const id = fakeId(1);

describe('the first pass', () => {
  it('adopts what runs, announces each with the running block, and only then is ready', async () => {
    const harness = new Harness();
    harness.hypervisor.addDomain(1);
    harness.hypervisor.addDomain(2, { state: 'paused', reason: 'user' }, { managed: false });
    const release = harness.hypervisor.holdAnswer('listDomains');
    await harness.start(true);
    assert.equal(harness.reconciler.ready, false);
    assert.throws(() => harness.operations.create({ xml: '<domain/>' }), { code: 99 });
    release();
    await harness.rest();
    assert.equal(harness.reconciler.ready, true);
    assert.deepEqual(harness.statuses(), ['Up', 'Paused']);
    assert.ok(harness.payloads().every((payload) => 'elapsedTime' in payload));
    assert.deepEqual(
      [...harness.registry.all()].map(({ external }) => external),
      [false, true],
    );
    assert.equal(await harness.counted('reconcile_corrections_total'), 0);
  });

  it('lists managed shut-off domains as Down, by the kept exit record or the reason; never external ones', async () => {
    const harness = new Harness();
    harness.hypervisor.addDomain(1, { state: 'shutoff', reason: 'shutdown' });
    harness.hypervisor.addDomain(2, { state: 'shutoff', reason: 'crashed' }, { exitReason: 6 });
    harness.hypervisor.addDomain(3, { state: 'shutoff', reason: 'shutdown' }, { managed: false });
    harness.hypervisor.addDomain(4, { state: 'shutoff', reason: 'destroyed' }, { exitReason: 2 ** 40 });
    await harness.start();
    const exits = [...harness.registry.all()].map(({ exit }) => `${exit?.code}/${exit?.reason}`);
    assert.deepEqual(exits, ['0/7', '0/6', '0/6']);
    assert.equal(harness.vm(fakeId(2)).exit?.message, 'as the metadata says');
  });

  it('leaves out libguestfs appliances and external domains that are being started', async () => {
    const harness = new Harness();
    harness.hypervisor.addDomain(1, undefined, { channel: 'org.libguestfs.channel.0' });
    const state = { state: 'paused', reason: 'starting-up' } as const;
    const starting = harness.hypervisor.addDomain(2, state, { managed: false });
    await harness.start();
    assert.equal(harness.registry.size, 0);
    starting.state = { state: 'running', reason: 'booted' };
    await harness.clock.advance(60_000);
    await harness.rest();
    assert.deepEqual(
      [...harness.registry.all()].map((vm) => vm.id),
      [fakeId(2)],
    );
  });

  it('reads the reason of an I/O pause', async () => {
    const harness = new Harness();
    harness.hypervisor.addDomain(1, { state: 'paused', reason: 'ioerror' }).diskErrors = [
      { disk: 'vda', error: 'no-space' },
    ];
    await harness.start();
    assert.equal(harness.vm(id).pauseCode, 'ENOSPC');
  });

  it('reads scheduler and sets balloon statistics where there is a balloon without', async () => {
    const harness = new Harness();
    harness.hypervisor.addDomain(1, undefined, { balloon: true });
    const set = harness.hypervisor.addDomain(2, undefined, { balloon: true });
    set.balloonPeriodSec = 3;
    const none = harness.hypervisor.addDomain(3);
    const off = harness.hypervisor.addDomain(4, { state: 'shutoff', reason: 'shutdown' }, { balloon: true });
    await harness.start();
    assert.equal(harness.hypervisor.domains.get(id)?.balloonPeriodSec, 10);
    assert.equal(set.balloonPeriodSec, 3);
    assert.equal(none.balloonPeriodSec, undefined);
    assert.equal(off.balloonPeriodSec, undefined);
    assert.equal(harness.vm(id).vcpuPeriod, 100_000);
    await harness.clock.advance(60_000);
    assert.equal(harness.hypervisor.countCalls('setMemoryStatsPeriod'), 1);
  });

  it('believes neither list nor state of a domain that an event touched meanwhile', async () => {
    const harness = new Harness();
    harness.hypervisor.addDomain(1);
    harness.hypervisor.addDomain(2);
    harness.hypervisor.addDomain(3, { state: 'shutoff', reason: 'shutdown' }, { managed: false });
    const release = harness.hypervisor.holdAnswer('stats');
    await harness.start(true);
    harness.hypervisor.act(fakeId(1), 'kill');
    harness.hypervisor.act(fakeId(2), 'suspend');
    harness.hypervisor.act(fakeId(3), 'start');
    release();
    await harness.rest();
    assert.equal(harness.status(fakeId(1)), 'Down');
    assert.equal(harness.status(fakeId(2)), 'Paused');
    assert.equal(harness.status(fakeId(3)), 'Up');
    assert.deepEqual(harness.statuses(fakeId(2)), ['Paused']);
  });

  it('keeps early events of domains that it has not reached yet', async () => {
    const harness = new Harness();
    harness.hypervisor.addDomain(1);
    const release = harness.hypervisor.hold('describeMany');
    await harness.start();
    harness.hypervisor.emit(id, { kind: 'rtc-change', offsetSec: 42 });
    release();
    await harness.rest();
    assert.equal(harness.vm(id).timeOffsetSec, 42);
  });

  it('is tried again after a failure, and waits for the connection where there is none', async () => {
    const harness = new Harness();
    harness.hypervisor.addDomain(1);
    harness.hypervisor.failNext('listDomains');
    await harness.start();
    assert.equal(harness.reconciler.ready, false);
    harness.hypervisor.disconnect();
    await harness.clock.advance(120_000);
    assert.equal(harness.hypervisor.countCalls('listDomains'), 1);
    harness.hypervisor.connect();
    await harness.rest();
    assert.equal(harness.reconciler.ready, true);
  });

  it('does without bulk statistics and without jobs', async () => {
    const harness = new Harness();
    harness.hypervisor.addDomain(1);
    harness.hypervisor.addDomain(2, { state: 'paused', reason: 'user' });
    harness.hypervisor.failNext('stats', new HypervisorError('unsupported', 'no bulk statistics'));
    harness.hypervisor.failNext('activeJob', new HypervisorError('unsupported', 'no jobs'), 2);
    await harness.start();
    assert.deepEqual(
      [...harness.registry.all()].map(({ status }) => status),
      ['Up', 'Paused'],
    );
  });

  it('is not held up by one VM that cannot be read', async () => {
    const harness = new Harness();
    harness.hypervisor.addDomain(1, { state: 'paused', reason: 'user' });
    harness.hypervisor.addDomain(2);
    harness.hypervisor.failNext('domainState', new HypervisorError('timeout', 'late'));
    await harness.start();
    assert.equal(harness.reconciler.ready, true);
    assert.deepEqual(
      [...harness.registry.all()].map((vm) => vm.id),
      [fakeId(2)],
    );
  });

  it('takes thousands of domains with a handful of calls under way', async () => {
    const harness = new Harness();
    for (let n = 1; n <= 2000; n++) harness.hypervisor.addDomain(n);
    await harness.reconciler.start();
    while (!harness.reconciler.ready) await harness.rest();
    assert.equal(harness.registry.size, 2000);
    assert.ok(harness.hypervisor.peakCalls <= 8, String(harness.hypervisor.peakCalls));
  });
});

describe('the periodic compare', () => {
  it('repairs, announces and counts what changed without an event, by one bulk call of the free lane', async () => {
    const harness = new Harness();
    for (let n = 1; n <= 4; n++) harness.hypervisor.addDomain(n);
    await harness.start();
    harness.hypervisor.events = 'lost';
    harness.hypervisor.act(fakeId(1), 'suspend');
    harness.hypervisor.act(fakeId(2), 'powerOff');
    harness.hypervisor.domains.delete(fakeId(3));
    harness.hypervisor.addDomain(5, undefined, { managed: false });
    const requests: unknown[] = [];
    const stats = harness.hypervisor.stats.bind(harness.hypervisor);
    harness.hypervisor.stats = (request) => {
      requests.push(request);
      return stats(request);
    };
    await harness.clock.advance(60_000);
    await harness.rest();
    assert.deepEqual(requests, [{ groups: StatsGroup.state, lane: 'free' }]);
    assert.deepEqual(harness.statuses().sort(), ['Down', 'Down', 'Paused', 'Up']);
    assert.equal(harness.vm(fakeId(2)).exit?.reason, 7);
    assert.equal(harness.vm(fakeId(3)).exit?.reason, 9);
    assert.equal(await harness.counted('reconcile_corrections_total'), 4);
    await harness.clock.advance(60_000);
    await harness.rest();
    assert.equal(harness.published.length, 4);
  });

  it('does not take a domain that was merely defined for a VM that is Down', async () => {
    const harness = await new Harness().start();
    harness.hypervisor.addDomain(1, { state: 'shutoff', reason: 'unknown' });
    await harness.clock.advance(60_000);
    await harness.rest();
    assert.equal(harness.registry.size, 0);
  });

  it('asks for the XML of domains that are not to be listed only once', async () => {
    const harness = new Harness();
    harness.hypervisor.addDomain(1, { state: 'shutoff', reason: 'shutdown' }, { managed: false });
    await harness.start();
    await harness.clock.advance(180_000);
    await harness.rest();
    assert.equal(harness.hypervisor.countCalls('describeMany'), 1);
  });

  it('makes a VM of a Down record whose domain runs again', async () => {
    const harness = new Harness();
    harness.hypervisor.addDomain(1, { state: 'shutoff', reason: 'shutdown' });
    await harness.start();
    harness.hypervisor.events = 'lost';
    harness.hypervisor.act(id, 'start');
    await harness.clock.advance(60_000);
    await harness.rest();
    assert.equal(harness.status(id), 'Up');
  });

  it('takes a domain that was restored and left paused for Paused, not for the target of a migration', async () => {
    const harness = new Harness();
    harness.hypervisor.addDomain(1, { state: 'paused', reason: 'migration' });
    await harness.start(true);
    assert.deepEqual(harness.statuses(), ['Paused']);
    harness.hypervisor.act(id, 'resume');
    assert.deepEqual(harness.statuses(), ['Paused', 'Up']);
  });

  it('leaves the target of a migration what it is, however often it compares', async () => {
    const harness = new Harness();
    harness.hypervisor.addDomain(1, { state: 'paused', reason: 'migration' });
    const refusal = new HypervisorError('invalid-state', 'only on the source host');
    harness.hypervisor.failNext('activeJob', refusal, 4);
    await harness.start();
    await harness.clock.advance(180_000);
    await harness.rest();
    assert.deepEqual([harness.status(id), harness.statuses()], ['Migration Destination', []]);
  });

  it('finds the end of a migration that nobody here ran', async () => {
    const harness = new Harness();
    const domain = harness.hypervisor.addDomain(1);
    domain.job = 'migration-out';
    await harness.start();
    assert.equal(harness.status(id), 'Migration Source');
    delete domain.job;
    await harness.clock.advance(60_000);
    await harness.rest();
    assert.equal(harness.status(id), 'Up');
  });
});
