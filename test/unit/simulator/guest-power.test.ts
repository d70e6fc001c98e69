import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { State } from '../../../src/simulator/domain.js';
import type { SimulatedDomain } from '../../../src/simulator/domain.js';
import type { HostEvent } from '../../../src/simulator/events.js';
import { Fault } from '../../../src/simulator/fault.js';
import type { GuestBehaviour } from '../../../src/simulator/guest-behaviour.js';
import { SimulatedHost } from '../../../src/simulator/simulated-host.js';
import { ManualClock } from '../../support/manual-clock.js';

function makeHost(guest: Partial<GuestBehaviour> = {}) {
  const clock = new ManualClock();
  const host = new SimulatedHost({ clock, domains: 2, guest });
  const events: HostEvent[] = [];
  host.onEvent((event) => events.push(event));
  /** Events since the last look: lifecycle ones as 'event/detail', others by kind and their number. */
  const told = () =>
    events.splice(0).map((event) => {
      if (event.kind === 'lifecycle') return `${event.event}/${event.detail}`;
      if (event.kind === 'agentLifecycle') return `agent ${event.state}/${event.reason}`;
      return 'action' in event ? `${event.kind} ${event.action}` : event.kind;
    });
  return { clock, host, events, told, first: host.require('vm-0001') };
}

const stateOf = ({ state, reason }: SimulatedDomain) => [state, reason];
const hasFault = (name: string) => (error: unknown) => error instanceof Fault && error.fault === name;

/** The domain with another element in place of on_reboot or on_crash, started. */
function startedWith(host: SimulatedHost, name: 'on_reboot' | 'on_crash', action: string): SimulatedDomain {
  const domain = host.require('vm-0002');
  if (domain.active) host.lifecycle.destroy(domain, false);
  const xml = host.xml(domain, true).replace(new RegExp(`<${name}>\\w+`), `<${name}>${action}`);
  host.define(xml);
  host.lifecycle.start(domain, false);
  return domain;
}

describe('the power of a simulated guest', () => {
  it('goes off when the guest has answered the button', async () => {
    const { clock, host, first, told } = makeHost();
    host.guests.shutdown(first);
    host.guests.shutdown(first);
    await clock.advance(1999);
    assert.equal(first.state, State.running);
    await clock.advance(1);
    assert.deepEqual(told(), ['6/1', '5/0']);
    assert.deepEqual(stateOf(first), [State.shutoff, 1]);
    assert.equal(clock.pendingTimers, 0);
  });

  it('goes off in the guest’s own time, which stands still while it is paused', async () => {
    const { clock, host, first, told } = makeHost();
    host.guests.shutdown(first);
    await clock.advance(1500);
    host.lifecycle.suspend(first);
    await clock.advance(60_000);
    assert.equal(first.state, State.paused);
    assert.throws(() => host.guests.shutdown(first), hasFault('invalid-state'));
    host.lifecycle.resume(first);
    await clock.advance(499);
    assert.equal(first.state, State.running);
    await clock.advance(1);
    assert.deepEqual(told(), ['3/0', '4/0', '6/1', '5/0']);
  });

  it('stays on where the guest ignores its buttons', async () => {
    const { clock, host, first, told } = makeHost({ power: 'ignores' });
    host.guests.shutdown(first);
    host.guests.rebootByButton(first);
    host.guests.rebootByAgent(first);
    await clock.advance(3_600_000);
    assert.deepEqual(told(), []);
    assert.deepEqual(stateOf(first), [State.running, 1]);
  });

  it('goes off by itself', () => {
    const { host, first, told } = makeHost();
    host.guests.guestPowersOff(first);
    assert.deepEqual(told(), ['6/1', '5/0']);
  });

  it('comes back after a reboot by the button, without any lifecycle event', async () => {
    const { clock, host, first, told } = makeHost();
    host.guests.rebootByButton(first);
    await clock.advance(2000);
    assert.deepEqual(told(), ['reboot', 'reboot', 'agent 2/2']);
    assert.deepEqual(stateOf(first), [State.running, 1]);
    await clock.advance(1000);
    assert.deepEqual(told(), ['agent 1/2']);
    host.guests.shutdown(first);
    await clock.advance(2000);
    assert.deepEqual(told(), ['6/1', '5/0'], 'the next power-off is one');
  });

  it('goes off after a button for a reboot where the last button was for a power-off', async () => {
    const { clock, host, first, told } = makeHost();
    host.guests.rebootByButton(first);
    host.guests.shutdown(first);
    await clock.advance(2000);
    assert.deepEqual(told(), ['6/1', '5/0']);
  });

  it('turns a guest’s reboot into what on_reboot says', async () => {
    const { clock, host, first, told } = makeHost();
    host.guests.guestReboots(first);
    assert.deepEqual(told(), ['reboot', 'reboot', 'reboot', 'agent 2/2']);
    const other = startedWith(host, 'on_reboot', 'destroy');
    told();
    host.guests.guestReboots(other);
    assert.deepEqual(told(), ['6/1', '5/0']);
    host.lifecycle.start(other, false);
    host.guests.rebootByButton(other);
    await clock.advance(2000);
    assert.deepEqual(told().slice(-2), ['6/1', '5/0']);
  });

  it('is reset at once, and forgets what the guest was about to do', async () => {
    const { clock, host, first, told } = makeHost();
    host.guests.shutdown(first);
    host.guests.reset(first);
    assert.deepEqual(told(), ['reboot', 'reboot', 'agent 2/2']);
    await clock.advance(5000);
    assert.deepEqual(told(), ['agent 1/2']);
    host.lifecycle.suspend(first);
    told();
    host.guests.reset(first);
    assert.deepEqual(told(), ['reboot', 'agent 2/2']);
    assert.equal(first.state, State.paused);
  });
});

describe('what befalls a simulated guest', () => {
  it('ends a QEMU that is killed as failed, its state crashed', () => {
    const { host, first, told } = makeHost();
    host.lifecycle.crash(first);
    assert.deepEqual(told(), ['5/5']);
    assert.deepEqual(stateOf(first), [State.shutoff, 3]);
  });

  it('panics into what on_crash says', () => {
    const { host, first, told } = makeHost();
    host.guests.panic(first);
    assert.deepEqual(told(), ['8/0', '5/2']);
    assert.deepEqual(stateOf(first), [State.shutoff, 3]);

    const kept = startedWith(host, 'on_crash', 'preserve');
    told();
    host.guests.panic(kept);
    assert.deepEqual(told(), ['8/0']);
    assert.deepEqual([...stateOf(kept), kept.active], [State.crashed, 1, true]);

    const restarted = startedWith(host, 'on_crash', 'restart');
    told();
    host.guests.panic(restarted);
    assert.deepEqual(told(), ['8/0', 'reboot', '4/0']);
    assert.deepEqual(stateOf(restarted), [State.running, 9]);
  });

  it('does what the watchdog is for', async () => {
    const { clock, host, first, told } = makeHost();
    host.guests.watchdog(first, 'none');
    assert.deepEqual(told(), ['watchdog 0']);
    host.guests.watchdog(first, 'pause');
    assert.deepEqual(told(), ['watchdog 1', '3/3']);
    assert.deepEqual(stateOf(first), [State.paused, 6]);
    host.lifecycle.resume(first);
    told();
    host.guests.watchdog(first, 'reset');
    assert.deepEqual(told(), ['watchdog 2', 'reboot', 'reboot', 'agent 2/2']);
    host.guests.watchdog(first, 'shutdown');
    await clock.advance(2000);
    assert.deepEqual(told(), ['watchdog 4', 'agent 1/2', '6/1', '5/0']);
    host.guests.watchdog(host.require('vm-0002'), 'poweroff');
    assert.deepEqual(told(), ['watchdog 3', '5/5']);
  });

  it('pauses a guest whose disk fails, says which disk and why, and forgets it when it goes on', () => {
    const { host, first, events, told } = makeHost();
    const trouble = { reason: 'enospc', action: 'pause', lasting: false } as const;
    host.guests.diskFails(first, 'vdb', trouble);
    const [plain, withReason] = events;
    assert.ok(plain?.kind === 'ioError' && withReason?.kind === 'ioErrorReason');
    assert.deepEqual(
      [plain.path, plain.alias, withReason.path, withReason.reason],
      [first.config.disks[1]!.path, 'virtio-disk1', plain.path, 'enospc'],
    );
    assert.deepEqual(told(), ['ioError 1', 'ioErrorReason 1', '3/2']);
    assert.deepEqual(stateOf(first), [State.paused, 5]);
    assert.deepEqual([...first.diskErrors], [['vdb', 2]]);
    host.lifecycle.resume(first);
    assert.deepEqual([...first.diskErrors], []);
    host.guests.diskFails(first, first.config.disks[0]!.path, { ...trouble, reason: 'other' });
    assert.deepEqual([...first.diskErrors], [['vda', 1]]);
  });

  it('reports a disk’s failure to a guest that runs on', () => {
    const { host, first, told } = makeHost();
    host.guests.diskFails(first, 'vda', { reason: 'other', action: 'report', lasting: false });
    assert.deepEqual(told(), ['ioError 2', 'ioErrorReason 2']);
    assert.equal(first.running, true);
    assert.throws(
      () => host.guests.diskFails(first, 'vdz', { reason: 'other', action: 'report', lasting: false }),
      hasFault('invalid-argument'),
    );
  });

  it('meets a lasting trouble again until it is mended', async () => {
    const { clock, host, first, told } = makeHost();
    host.guests.diskFails(first, 'vda', { reason: 'enospc', action: 'pause', lasting: true });
    host.lifecycle.resume(first);
    await clock.advance(50);
    assert.deepEqual(told(), [
      'ioError 1',
      'ioErrorReason 1',
      '3/2',
      '4/0',
      'ioError 1',
      'ioErrorReason 1',
      '3/2',
    ]);
    host.guests.healDisk(first, 'vda');
    host.lifecycle.resume(first);
    await clock.advance(1000);
    assert.deepEqual(told(), ['4/0']);
    assert.equal(first.running, true);
  });

  it('forgets the trouble of a disk that was taken away', async () => {
    const { clock, host, first, told } = makeHost();
    host.guests.diskFails(first, 'vdb', { reason: 'enospc', action: 'pause', lasting: true });
    first.changeLive({ ...first.config, disks: first.config.disks.slice(0, 1) });
    host.lifecycle.resume(first);
    told();
    await clock.advance(1000);
    assert.deepEqual(told(), []);
  });

  it('loses and gets back its agent', () => {
    const { host, first, told } = makeHost();
    host.guests.setBehaviour(first, { agent: 'absent' });
    host.guests.setBehaviour(first, { agent: 'silent' });
    assert.deepEqual(told(), ['agent 2/2', 'agent 1/2']);
    assert.equal(first.guest.powerMs, 2000);
  });

  it('befalls only guests that run', () => {
    const { host, first } = makeHost();
    host.lifecycle.suspend(first);
    for (const befall of [
      () => host.guests.panic(first),
      () => host.guests.watchdog(first, 'pause'),
      () => host.guests.guestPowersOff(first),
      () => host.guests.guestReboots(first),
    ]) {
      assert.throws(befall, hasFault('invalid-state'));
    }
  });
});
