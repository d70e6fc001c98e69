/** The contract of metadata elements. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { parseXmlTree } from '../../src/util/xml-tree.js';
import type { XmlElement } from '../../src/util/xml-tree.js';
import { rejectsWith } from './contract-bench.js';
import { unknownId } from './contract-subject.js';
import type { Bench } from './contract-bench.js';

const uri = 'http://example.org/contract/1.0';
const prefix = 'own';
const element = (text: string) => ({ uri, prefix, xml: `<thing><part name='a'>${text}</part></thing>` });
const none = { uri, prefix, xml: undefined };

/** The text in the element, whose names must have no prefixes; undefined where there is none. */
function partOf(xml: string | undefined): string | undefined {
  if (xml === undefined) return undefined;
  const thing: XmlElement = parseXmlTree(xml);
  assert.equal(thing.name, 'thing');
  assert.equal(thing.child('part')?.attribute('name'), 'a');
  return thing.child('part')?.text();
}

export function metadataContract(started: () => Promise<Bench>): void {
  it('keeps an element per namespace, of the running domain and of its definition', async () => {
    const bench = await started();
    const { metadata } = bench.hypervisor;
    const id = await bench.run(1);
    const parts = async (): Promise<(string | undefined)[]> => [
      partOf(await metadata.get(id, uri, 'live')),
      partOf(await metadata.get(id, uri, 'definition')),
    ];
    assert.deepEqual(await parts(), [undefined, undefined]);
    await metadata.set(id, element('1 & 2'.replace('&', '&amp;')), 'both');
    assert.equal((await bench.next(id, 'metadata-change', 0)).uri, uri);
    assert.deepEqual(await parts(), ['1 & 2', '1 & 2']);
    await metadata.set(id, { uri: `${uri}/other`, prefix: 'other', xml: '<thing/>' }, 'both');
    await metadata.set(id, element('3'), 'definition');
    assert.deepEqual(await parts(), ['1 & 2', '3']);
    assert.match((await bench.hypervisor.describe(id)).xml, /<own:part name=.a.>1 &amp; 2<\/own:part>/);
    await metadata.set(id, none, 'both');
    assert.deepEqual(await parts(), [undefined, undefined]);
    assert.ok((await metadata.get(id, `${uri}/other`, 'live')) !== undefined);
    await metadata.set(id, none, 'both');
  });

  it('has of a stopped domain the definition, and of a transient one the running domain', async () => {
    const bench = await started();
    const { hypervisor } = bench;
    const id = await bench.define(1);
    await hypervisor.metadata.set(id, element('1'), 'both');
    assert.equal(partOf(await hypervisor.metadata.get(id, uri, 'definition')), '1');
    await rejectsWith('invalid-state', hypervisor.metadata.get(id, uri, 'live'));
    await bench.does(id, 'launch', { state: 'running', reason: 'booted' });
    assert.equal(partOf(await hypervisor.metadata.get(id, uri, 'live')), '1');
    await hypervisor.undefine(id);
    await hypervisor.metadata.set(id, element('2'), 'both');
    assert.equal(partOf(await hypervisor.metadata.get(id, uri, 'live')), '2');
    await rejectsWith('invalid-state', hypervisor.metadata.get(id, uri, 'definition'));
    await rejectsWith('invalid-state', hypervisor.metadata.set(id, element('3'), 'definition'));
  });

  it('refuses what is no XML, and has nothing of domains that are not there', async () => {
    const bench = await started();
    const { metadata } = bench.hypervisor;
    const id = await bench.run(1);
    const broken = { uri, prefix, xml: '<thing><part></thing>' };
    await rejectsWith('failed', metadata.set(id, broken, 'both'));
    assert.equal(await metadata.get(id, uri, 'live'), undefined);
    for (const from of ['live', 'definition'] as const) {
      await rejectsWith('no-domain', metadata.get(unknownId, uri, from));
    }
    for (const into of ['both', 'definition'] as const) {
      await rejectsWith('no-domain', metadata.set(unknownId, none, into));
    }
  });
}
