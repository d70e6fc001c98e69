import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DomainDescription } from '../../../src/domain/devices.js';
import { parseDomainXml } from '../../../src/libvirt/domain-xml.js';
import { domainXmlWorkers, MANY, parseDomainXmlMany } from '../../../src/libvirt/domain-xml-many.js';
import { engineVmXml } from '../../support/domain-xml-samples.js';

function documents(count: number): string[] {
  return Array.from({ length: count }, (_, i) => engineVmXml.replace('web &amp; db 007', `vm-${i}`));
}

function names(parsed: readonly (DomainDescription | Error)[]): string[] {
  return parsed.map((each) => (each instanceof Error ? each.message : each.name));
}

describe('parseDomainXmlMany', () => {
  it('answers nothing for nothing', async () => {
    assert.deepEqual(await parseDomainXmlMany([]), []);
  });

  it('gives the event loop a turn between documents', async () => {
    let turns = 0;
    const tick = (): void => {
      turns++;
      pending = setImmediate(tick);
    };
    let pending = setImmediate(tick);
    const parsed = await parseDomainXmlMany(documents(10));
    clearImmediate(pending);
    assert.equal(parsed.length, 10);
    assert.ok(turns >= 9, `${turns} turns`);
  });

  it('gives in threads what it gives inline, in order, with errors in their places', async () => {
    const workers = domainXmlWorkers();
    try {
      const xmls = documents(MANY + 30);
      xmls[77] = '<network/>';
      const parsed = await parseDomainXmlMany(xmls, workers);
      assert.deepEqual(names(parsed), names(await parseDomainXmlMany(xmls)));
      assert.deepEqual(parsed.at(-1), parseDomainXml(xmls.at(-1)!));
      assert.ok(parsed[77] instanceof Error);
    } finally {
      await workers.stop();
    }
  });

  it('keeps a small host’s documents out of threads, and sends a batch of a large host’s there', async () => {
    const workers = domainXmlWorkers();
    await workers.stop();
    assert.equal((await parseDomainXmlMany(documents(70), workers)).length, 70);
    await assert.rejects(parseDomainXmlMany(documents(2), workers, MANY), /stopped/);
  });

  it('sends a single large document to a thread', async () => {
    const workers = domainXmlWorkers();
    try {
      const large = engineVmXml.replace('<emulator>', `<!--${'x'.repeat(40_000)}--><emulator>`);
      const [domain] = await parseDomainXmlMany([large], workers);
      assert.equal((domain as DomainDescription).name, 'web & db 007');
      await workers.stop();
      await assert.rejects(parseDomainXmlMany([large], workers), /stopped/);
      assert.equal((await parseDomainXmlMany(documents(1), workers)).length, 1);
    } finally {
      await workers.stop();
    }
  });
});
