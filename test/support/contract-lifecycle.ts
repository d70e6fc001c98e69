/**
 * The contract of the verbs: states, reasons, and events in their order.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { rejectsWith } from './contract-bench.js';
import type { Bench } from './contract-bench.js';
import type { HypervisorTraits } from './contract-subject.js';

const off = { state: 'shutoff', reason: 'unknown' } as const;
const destroyed = { state: 'shutoff', reason: 'destroyed' } as const;
const running = { state: 'running', reason: 'booted' } as const;
const resumed = { state: 'running', reason: 'unpaused' } as const;
const paused = { state: 'paused', reason: 'user' } as const;

export function lifecycleContract(started: () => Promise<Bench>, traits: HypervisorTraits): void {
  it('leads a domain from its definition to its end, with libvirt’s states, reasons and events', async () => {
    const bench = await started();
    const { hypervisor } = bench;
    const { id, name } = bench.spec(1);
    assert.deepEqual(await hypervisor.define(bench.xml(1)), { id, name, active: false });
    assert.deepEqual(await hypervisor.domainState(id), off);
    await bench.eventsAre(id, ['defined added']);

    await bench.does(id, 'launch', running);
    await bench.does(id, 'suspend', paused);
    await bench.does(id, 'resume', resumed);
    await bench.does(id, 'destroy', destroyed);

    const before = bench.lifecycle(id);
    await hypervisor.undefine(id);
    await rejectsWith('no-domain', hypervisor.domainState(id));
    await bench.eventsAre(id, [...before, 'undefined removed']);
  });

  if (traits.likeQemu) {
    it('launches paused, and ends a paused domain gracefully', async () => {
      const bench = await started();
      const id = await bench.define(1);
      await bench.does(id, 'launchPaused', paused);
      await bench.does(id, 'resume', resumed);
      await bench.does(id, 'suspend', paused);
      const before = bench.lifecycle(id);
      await bench.hypervisor.destroy(id, { graceful: true });
      assert.deepEqual(await bench.hypervisor.domainState(id), destroyed);
      await bench.eventsAre(id, [...before, ...traits.events.destroy]);
    });

    it('suspends what is suspended without a word', async () => {
      const bench = await started();
      const id = await bench.run(1);
      await bench.does(id, 'suspend', paused);
      const before = bench.lifecycle(id);
      await bench.hypervisor.suspend(id);
      await bench.does(id, 'resume', resumed);
      assert.deepEqual(bench.lifecycle(id), [...before, ...traits.events.resume]);
    });

    it('undefines a running domain to a transient one, which is gone when it stops', async () => {
      const bench = await started();
      const { hypervisor } = bench;
      const id = await bench.run(1);
      const before = bench.lifecycle(id);
      await hypervisor.undefine(id);
      assert.deepEqual(await hypervisor.domainState(id), running);
      await bench.eventsAre(id, [...before, 'undefined removed']);
      await rejectsWith('invalid-state', hypervisor.undefine(id));
      await hypervisor.destroy(id, { graceful: false });
      await rejectsWith('no-domain', hypervisor.domainState(id));
      await bench.eventsAre(id, [...before, 'undefined removed', ...traits.events.destroy]);
    });
  }

  it('refuses verbs that the state does not allow, and changes nothing', async () => {
    const bench = await started();
    const id = await bench.define(1);
    await rejectsWith(traits.wrongState, bench.call(id, 'suspend'), 'suspend of a stopped domain');
    await rejectsWith(traits.wrongState, bench.call(id, 'resume'), 'resume of a stopped domain');
    await rejectsWith('invalid-state', bench.call(id, 'destroy'), 'destroy of a stopped domain');
    await bench.does(id, 'launch', running);
    await rejectsWith(traits.wrongState, bench.call(id, 'launch'), 'second launch');
    await rejectsWith(traits.wrongState, bench.call(id, 'resume'), 'resume of a running domain');
    assert.deepEqual(await bench.hypervisor.domainState(id), running);
    assert.deepEqual(bench.lifecycle(id), ['defined added', ...traits.events.launch]);
  });

  it('defines anew what is defined, running or not', async () => {
    const bench = await started();
    const { hypervisor } = bench;
    const { id, name } = bench.spec(1);
    await bench.define(1);
    assert.deepEqual(await hypervisor.define(bench.xml(1)), { id, name, active: false });
    await bench.eventsAre(id, ['defined added', 'defined updated']);
    await bench.does(id, 'launch', running);
    const before = bench.lifecycle(id);
    assert.deepEqual(await hypervisor.define(bench.xml(1)), { id, name, active: true });
    assert.deepEqual(await hypervisor.domainState(id), running);
    await bench.eventsAre(id, [...before, 'defined updated']);
  });

  it('refuses a definition that is broken or takes another domain’s name or id, with a sentence', async () => {
    const bench = await started();
    const { hypervisor } = bench;
    const id = await bench.define(1);
    const { name } = bench.spec(1);
    const other = bench.spec(2);
    const valid = bench.subject.domainXml(other);
    const broken = {
      nothing: '',
      text: 'nonsense',
      'a cut tag': '<domain',
      'another element': '<nonsense/>',
      'an empty domain': '<domain/>',
      'no name': valid.replace(/<name>.*<\/name>/, ''),
      'no id': valid.replace(other.id, 'nonsense'),
      'a tag not closed': valid.replace('</devices>', ''),
      'the name of another': valid.replace(other.name, name),
      'the id of another': valid.replace(other.id, id),
    };
    for (const [what, xml] of Object.entries(broken)) {
      await rejectsWith('failed', hypervisor.define(xml), `definition with ${what}`);
    }
    const names = (await hypervisor.listDomains()).map((ref) => ref.name);
    assert.ok(names.includes(name));
    assert.ok(!names.includes(other.name));
    assert.deepEqual(bench.lifecycle(id), ['defined added']);
  });

  it('keeps the events of domains apart, with their ids and names', async () => {
    const bench = await started();
    const ids = [await bench.define(1), await bench.define(2), await bench.define(3)];
    await Promise.all(ids.map((id) => bench.call(id, 'launch')));
    await Promise.all(ids.map((id) => bench.call(id, 'suspend')));
    for (const id of ids) {
      await bench.eventsAre(id, ['defined added', ...traits.events.launch, ...traits.events.suspend]);
    }
  });
}
