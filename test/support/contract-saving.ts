/** The contract of memory to and from files. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { rejectsWith } from './contract-bench.js';
import { unknownId } from './contract-subject.js';
import type { Bench } from './contract-bench.js';

const saved = { state: 'shutoff', reason: 'saved' };

export function savingContract(started: () => Promise<Bench>): void {
  it('saves a running domain and restores it, with libvirt’s states, reasons and events', async () => {
    const bench = await started();
    const { hypervisor } = bench;
    const id = await bench.run(1);
    const path = bench.subject.newPath('saved');
    let events = bench.lifecycle(id);
    await hypervisor.saving.save(id, path);
    assert.deepEqual(await hypervisor.domainState(id), saved);
    await bench.eventsAre(id, (events = [...events, 'suspended paused', 'stopped saved']));
    assert.equal(hypervisor.parseXml(await hypervisor.saving.savedXml(path)).id, id);

    await hypervisor.saving.restore(path, { paused: false });
    assert.deepEqual(await hypervisor.domainState(id), { state: 'running', reason: 'restored' });
    await bench.eventsAre(id, [...events, 'started restored', 'resumed from-snapshot']);
    await rejectsWith('invalid-state', hypervisor.saving.restore(path, { paused: false }), 'second restore');
  });

  it('saves a paused domain, and restores it paused with other XML', async () => {
    const bench = await started();
    const { hypervisor } = bench;
    const id = await bench.run(1);
    await bench.does(id, 'suspend', { state: 'paused', reason: 'user' });
    const path = bench.subject.newPath('saved');
    let events = bench.lifecycle(id);
    await hypervisor.saving.save(id, path);
    await bench.eventsAre(id, (events = [...events, 'stopped saved']));
    const xml = (await hypervisor.saving.savedXml(path)).replace('</name>', '</name><title>restored</title>');
    await hypervisor.saving.restore(path, { paused: true, xml });
    assert.deepEqual(await hypervisor.domainState(id), { state: 'paused', reason: 'migration' });
    await bench.eventsAre(id, [...events, 'started restored', 'suspended restored']);
    assert.match((await hypervisor.describe(id)).xml, /<title>restored<\/title>/);
    await bench.does(id, 'resume', { state: 'running', reason: 'unpaused' });
  });

  it('restores the domain that it has saved, under its own name alone', async () => {
    const bench = await started();
    const { saving } = bench.hypervisor;
    const id = await bench.run(1);
    const path = bench.subject.newPath('saved');
    await saving.save(id, path);
    const foreign = (await saving.savedXml(path)).replace(bench.spec(1).name, bench.spec(2).name);
    await rejectsWith('unsupported', saving.restore(path, { paused: false, xml: foreign }));
    assert.deepEqual(await bench.hypervisor.domainState(id), saved);
  });

  it('leaves a domain running that it cannot save', async () => {
    const bench = await started();
    const id = await bench.run(1);
    const events = bench.lifecycle(id);
    await rejectsWith('failed', bench.hypervisor.saving.save(id, '/proc/contract-saved'));
    const state = { state: 'running', reason: 'save-canceled' };
    assert.deepEqual(await bench.hypervisor.domainState(id), state);
    await bench.eventsAre(id, [...events, 'suspended paused', 'resumed unpaused']);
  });

  it('forgets a transient domain that it has saved, and knows it again when it restores it', async () => {
    const bench = await started();
    const { hypervisor } = bench;
    const id = await bench.run(1);
    const path = bench.subject.newPath('saved');
    await hypervisor.undefine(id);
    await hypervisor.saving.save(id, path);
    await rejectsWith('no-domain', hypervisor.domainState(id));
    await hypervisor.saving.restore(path, { paused: false });
    assert.deepEqual(await hypervisor.domainState(id), { state: 'running', reason: 'restored' });
  });

  it('has nothing to save, to restore or to cancel where there is nothing', async () => {
    const bench = await started();
    const { saving } = bench.hypervisor;
    const id = await bench.define(1);
    const path = bench.subject.newPath('absent');
    await rejectsWith('invalid-state', saving.save(id, path));
    await rejectsWith('no-domain', saving.save(unknownId, path));
    await rejectsWith('failed', saving.restore(path, { paused: false }));
    await rejectsWith('failed', saving.savedXml(path));
    await rejectsWith('invalid-state', saving.abortJob(id));
    await bench.does(id, 'launch', { state: 'running', reason: 'booted' });
    await rejectsWith('invalid-state', saving.abortJob(id), 'cancelling where nothing goes on');
    await rejectsWith('no-domain', saving.abortJob(unknownId));
  });
}
