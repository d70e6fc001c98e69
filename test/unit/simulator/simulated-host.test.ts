import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HostEvent } from '../../../src/simulator/events.js';
import type { SimulatedDomain } from '../../../src/simulator/domain.js';
import { State } from '../../../src/simulator/domain.js';
import { Fault } from '../../../src/simulator/fault.js';
import type { FaultName } from '../../../src/simulator/fault.js';
import { SimulatedHost } from '../../../src/simulator/simulated-host.js';
import { fieldsOf, shapeOf } from '../../../src/simulator/stats-fields.js';
import { ManualClock } from '../../support/manual-clock.js';

const DAY_MS = 86_400_000;

function makeHost(domains = 3, seed = 1) {
  const clock = new ManualClock();
  const host = new SimulatedHost({ clock, domains, seed });
  const events: HostEvent[] = [];
  host.onEvent((event) => events.push(event));
  const lifecycle = () =>
    events.flatMap((event) => (event.kind === 'lifecycle' ? [`${event.event}/${event.detail}`] : []));
  return { clock, host, events, lifecycle, first: host.require('vm-0001') };
}

function values(host: SimulatedHost, domain: SimulatedDomain): Map<string, number> {
  const table = host.stats.of(domain);
  const fields = fieldsOf(shapeOf(domain)).filter(({ type }) => type !== 'string');
  return new Map(fields.map(({ name }) => [name, table.value(domain, name)]));
}

/** Gauges that may fall. */
const FALLING = /^balloon\.(unused|usable)$|\.(state|reason)$/;

function hasFault(name: FaultName) {
  return (error: unknown) => error instanceof Fault && error.fault === name;
}

describe('a simulated host', () => {
  it('is the same for the same seed and another for another seed', () => {
    const print = (host: SimulatedHost) =>
      [...host.domains].map((domain) => host.xml(domain, false)).join('');
    assert.equal(print(makeHost(5, 7).host), print(makeHost(5, 7).host));
    assert.notEqual(print(makeHost(5, 7).host), print(makeHost(5, 8).host));
  });

  it('runs N domains with distinct names, uuids, ids, taps and ports', () => {
    const { host } = makeHost(50);
    const domains = [...host.domains];
    assert.equal(domains[0]!.name, 'vm-0001');
    for (const key of ['name', 'uuid', 'id', 'vncPort'] as const) {
      assert.equal(new Set(domains.map((domain) => domain[key])).size, 50, key);
    }
    assert.equal(new Set(domains.flatMap((domain) => domain.taps)).size, 50);
    assert.ok(domains.every((domain) => domain.state === State.running && domain.config.vcpus === 2));
  });

  it('has a few external domains, without ovirt-vm metadata', () => {
    const { host } = makeHost(30);
    const external = [...host.domains].filter((domain) => domain.config.metadata.size === 0);
    assert.equal(external.length, 3);
  });

  it('lets counters grow monotonically while a domain runs', async () => {
    const { clock, host, first } = makeHost();
    let before = values(host, first);
    for (let step = 0; step < 20; step++) {
      await clock.advance(15_000);
      const after = values(host, first);
      for (const [name, value] of after) {
        if (FALLING.test(name)) continue;
        assert.ok(value >= before.get(name)!, `${name} fell from ${before.get(name)!} to ${value}`);
      }
      assert.ok(after.get('cpu.time')! > before.get('cpu.time')!);
      before = after;
    }
  });

  it('keeps counters exact integers after a year of uptime', async () => {
    const { clock, host, first } = makeHost();
    await clock.advance(365 * DAY_MS);
    for (const [name, value] of values(host, first)) {
      assert.ok(Number.isInteger(value) && value >= 0, `${name} = ${value}`);
    }
  });

  it('grows cpu.time by the load of the domain, less than its vCPUs can do', async () => {
    const { clock, host } = makeHost(40);
    const before = [...host.domains].map((domain) => host.stats.of(domain).value(domain, 'cpu.time'));
    await clock.advance(10_000);
    const loads = [...host.domains].map(
      (domain, index) => (host.stats.of(domain).value(domain, 'cpu.time') - before[index]!) / 10e9,
    );
    assert.ok(loads.every((load) => load > 0.01 && load < 2));
    assert.ok(new Set(loads.map((load) => load.toFixed(3))).size > 20, 'domains differ in their load');
  });

  it('freezes every counter of a paused domain and goes on from there', async () => {
    const { clock, host, first } = makeHost();
    host.lifecycle.suspend(first);
    const frozen = values(host, first);
    await clock.advance(DAY_MS);
    assert.deepEqual(values(host, first), frozen);
    host.lifecycle.resume(first);
    await clock.advance(1000);
    const grown = values(host, first).get('cpu.time')! - frozen.get('cpu.time')!;
    assert.ok(grown > 0 && grown < 2e9);
  });

  it('starts counters at zero with a new process', async () => {
    const { clock, host, first } = makeHost();
    host.lifecycle.destroy(first, false);
    host.lifecycle.start(first, false);
    assert.equal(host.stats.of(first).value(first, 'cpu.time'), 0);
    await clock.advance(1000);
    assert.ok(host.stats.of(first).value(first, 'cpu.time') > 0);
  });
});

describe('lifecycle of a simulated domain', () => {
  it('tells RESUMED before STARTED, as libvirt does', () => {
    const { host, first, lifecycle, events } = makeHost();
    host.lifecycle.destroy(first, false);
    events.length = 0;
    host.lifecycle.start(first, false);
    assert.deepEqual(lifecycle(), ['4/0', '2/0']);
    assert.equal(events[0]!.kind, 'agentLifecycle');
    assert.deepEqual([first.state, first.reason], [State.running, 1]);
  });

  it('starts paused with STARTED and SUSPENDED', () => {
    const { host, first, lifecycle, events } = makeHost();
    host.lifecycle.destroy(first, false);
    events.length = 0;
    host.lifecycle.start(first, true);
    assert.deepEqual(lifecycle(), ['2/0', '3/0']);
    assert.deepEqual([first.state, first.reason], [State.paused, 1]);
  });

  it('tells SHUTDOWN by the host before STOPPED on destroy, and STOPPED alone where QEMU is stuck', () => {
    const { host, first, lifecycle, events } = makeHost();
    host.lifecycle.destroy(first, false);
    assert.deepEqual(lifecycle(), ['6/2', '5/1']);
    assert.deepEqual([first.state, first.reason, first.id], [State.shutoff, 2, -1]);
    assert.equal(events.at(-1)!.domain.id, -1);
    events.length = 0;
    host.lifecycle.destroy(host.require('vm-0002'), true);
    assert.deepEqual(lifecycle(), ['5/1']);
  });

  it('connects the guest agent some time after the start', async () => {
    const { clock, host, first, events } = makeHost();
    host.lifecycle.destroy(first, false);
    host.lifecycle.start(first, false);
    assert.match(host.xml(first, false), /guest_agent.0' state='disconnected'/);
    await clock.advance(1000);
    assert.match(host.xml(first, false), /guest_agent.0' state='connected'/);
    assert.deepEqual(events.filter(({ kind }) => kind === 'agentLifecycle').length, 2);
  });

  it('refuses what the state does not allow', () => {
    const { host, first } = makeHost();
    assert.throws(() => host.lifecycle.resume(first), hasFault('invalid-state'));
    assert.throws(() => host.lifecycle.start(first, false), hasFault('invalid-state'));
    host.lifecycle.destroy(first, false);
    for (const action of ['suspend', 'resume'] as const) {
      assert.throws(() => host.lifecycle[action](first), hasFault('invalid-state'), action);
    }
    for (const action of ['shutdown', 'rebootByButton', 'reset'] as const) {
      assert.throws(() => host.guests[action](first), hasFault('invalid-state'), action);
    }
  });
});

describe('definitions on a simulated host', () => {
  const xml = (name: string, uuid = '') =>
    `<domain type='kvm'><name>${name}</name>${uuid && `<uuid>${uuid}</uuid>`}<memory unit='MiB'>64</memory><os><type>hvm</type></os></domain>`;

  it('defines, changes and undefines a persistent domain', () => {
    const { host, lifecycle } = makeHost();
    const domain = host.define(xml('made'));
    assert.equal(domain.state, State.shutoff);
    assert.equal(domain.config.memoryKiB, 65_536);
    host.define(xml('made', domain.uuid));
    host.undefine(domain);
    assert.deepEqual(lifecycle(), ['0/0', '0/1', '1/0']);
    assert.equal(host.findByName('made'), undefined);
  });

  it('keeps a running domain as transient when it is undefined, and forgets it when it stops', () => {
    const { host, first, lifecycle } = makeHost();
    host.undefine(first);
    assert.equal(host.find(first.uuid), first);
    assert.throws(() => host.undefine(first), hasFault('invalid-state'));
    host.lifecycle.destroy(first, false);
    assert.equal(host.find(first.uuid), undefined);
    assert.deepEqual(lifecycle(), ['1/0', '6/2', '5/1']);
  });

  it('starts a transient domain without DEFINED', () => {
    const { host, lifecycle } = makeHost();
    const domain = host.createXml(xml('passing'), false);
    assert.equal(domain.persistent, false);
    assert.deepEqual(lifecycle(), ['4/0', '2/0']);
    assert.throws(() => host.createXml(xml('passing', domain.uuid), false), hasFault('operation-failed'));
  });

  it('refuses a second domain of the same name or uuid', () => {
    const { host, first } = makeHost();
    assert.throws(() => host.define(xml('vm-0001')), hasFault('operation-failed'));
    assert.throws(() => host.define(xml('other', first.uuid)), hasFault('operation-failed'));
  });

  it('keeps a running domain as it is when it is defined anew, and starts it as it is defined', () => {
    const { host, first } = makeHost();
    const changed = host.xml(first, true).replace('<on_crash>destroy', '<on_crash>restart');
    host.define(changed);
    assert.match(host.xml(first, false), /<on_crash>destroy/);
    assert.match(host.xml(first, true), /<on_crash>restart/);
    host.lifecycle.destroy(first, false);
    host.lifecycle.start(first, false);
    assert.match(host.xml(first, false), /<on_crash>restart/);
  });

  it('runs a known domain from another document, and forgets that when it stops', () => {
    const { host } = makeHost();
    const domain = host.define(xml('made'));
    const other = host.xml(domain, true).replace('<on_crash>destroy', '<on_crash>restart');
    assert.equal(host.createXml(other, false), domain);
    assert.equal(domain.persistent, true);
    assert.match(host.xml(domain, false), /<on_crash>restart/);
    host.lifecycle.destroy(domain, false);
    assert.match(host.xml(domain, false), /<on_crash>destroy/);
  });
});
