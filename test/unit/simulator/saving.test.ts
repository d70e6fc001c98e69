import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Fault } from '../../../src/simulator/fault.js';
import { readSaved, writeSaved } from '../../../src/simulator/image-file.js';
import { code, onDomain } from './rpc-domain.js';
import type { OnDomain } from './rpc-domain.js';
import { until } from './rpc-client.js';
import { watch } from './server-fixture.js';

const [RUNNING, PAUSED] = [2, 4];

interface Saving extends OnDomain {
  readonly file: string;
  save(flags?: number): Promise<void>;
  restore(flags?: number, xml?: string): Promise<void>;
}

function saving(test: (on: Saving) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'saving-'));
  const file = join(folder, 'memory');
  return onDomain({ saveMs: 1000 }, (on) =>
    test({
      ...on,
      file,
      save: (flags = 0) => on.client.call('DOMAIN_SAVE_FLAGS', { dom: on.dom, to: file, flags }),
      restore: (flags = 0, xml?: string) =>
        on.client.call('DOMAIN_RESTORE_FLAGS', { from: file, flags, ...(xml !== undefined && { xml }) }),
    }),
  ).finally(() => rmSync(folder, { recursive: true }));
}

const stateOf = ({ domain: { state, reason } }: OnDomain) => [state, reason];

describe('saving a simulated domain', () => {
  it('writes a file, ends the domain, and gives it back as it was', () =>
    saving(async (on) => {
      await on.passing(on.save());
      assert.deepEqual(await on.next(4), ['3/0', 'migrationIteration', 'jobCompleted', '5/4']);
      assert.deepEqual(stateOf(on), [5, 5]);
      const image = { file: on.file, flags: 0 };
      const { xml } = await on.client.call('DOMAIN_SAVE_IMAGE_GET_XML_DESC', image);
      assert.match(xml, /<name>vm-0001<\/name>/);
      await on.restore();
      const told = await on.next(4);
      assert.deepEqual(told, ['agentLifecycle 1', '2/2', '4/2', 'agentLifecycle 2']);
      assert.deepEqual(stateOf(on), [1, 3]);
      await assert.rejects(on.restore(), code(55), 'it runs already');
      assert.ok(existsSync(on.file));
    }));

  it('keeps what was changed in the running domain, and the definition apart', () =>
    saving(async (on) => {
      const memory = { dom: on.dom, memory: 262_144, flags: 1 };
      await on.client.call('DOMAIN_SET_MEMORY_FLAGS', memory);
      await on.passing(on.save());
      assert.doesNotMatch(on.xml(), /262144/);
      await on.restore();
      assert.match(on.xml(), /<currentMemory unit='KiB'>262144</);
      assert.doesNotMatch(on.defined(), /262144/);
    }));

  it('restores paused what was paused, and as the flags say', () =>
    saving(async (on) => {
      on.host.lifecycle.suspend(on.domain);
      await on.passing(on.save());
      assert.deepEqual(await on.next(4), ['3/0', 'migrationIteration', 'jobCompleted', '5/4']);
      await on.restore();
      assert.deepEqual(stateOf(on), [3, 2]);
      assert.deepEqual((await on.next(4)).slice(1, 3), ['2/2', '3/4']);
      await on.passing(on.save(RUNNING));
      await on.restore();
      assert.deepEqual(stateOf(on), [1, 3]);
      await on.passing(on.save());
      await on.restore(PAUSED);
      assert.deepEqual(stateOf(on), [3, 2]);
      await assert.rejects(on.save(RUNNING | PAUSED), code(8));
    }));

  it('takes other XML for the restore, if it is the same domain', () =>
    saving(async (on) => {
      await on.passing(on.save());
      const xml = readSaved(on.file).xml;
      await assert.rejects(on.restore(0, xml.replace('vm-0001', 'other')), code(67));
      await on.restore(0, xml.replace('</uuid>', '</uuid><title>restored</title>'));
      assert.match(on.xml(), /<title>restored/);
    }));

  it('makes a transient domain of an unknown one', () =>
    saving(async (on) => {
      await on.client.call('DOMAIN_UNDEFINE', { dom: on.dom });
      await on.passing(on.save());
      assert.equal(on.host.find(on.dom.uuid), undefined);
      await on.restore();
      const domain = on.host.require('vm-0001');
      assert.deepEqual([domain.active, domain.persistent], [true, false]);
    }));

  it('is cancelled: no file is left, and the guest runs on', () =>
    saving(async (on) => {
      await assert.rejects(on.client.call('DOMAIN_ABORT_JOB', { dom: on.dom }), code(55));
      const outcome = watch(on.save());
      await until(() => on.domain.job !== undefined);
      await on.clock.advance(500);
      const info = await on.client.call('DOMAIN_GET_JOB_INFO', { dom: on.dom });
      assert.deepEqual([info.type, info.timeElapsed], [2, 500]);
      assert.equal(info.dataTotal, on.domain.config.memoryKiB * 1024);
      assert.equal(info.dataProcessed, info.dataTotal / 2);
      const { type, params } = await on.client.call('DOMAIN_GET_JOB_STATS', { dom: on.dom, flags: 0 });
      assert.deepEqual([type, params[0]!.value], [2, 2]);
      await on.client.call('DOMAIN_ABORT_JOB', { dom: on.dom });
      await until(() => outcome.settled);
      assert.ok(code(78)(outcome.error));
      assert.deepEqual(await on.next(3), ['3/0', 'migrationIteration', '4/0']);
      assert.deepEqual(stateOf(on), [1, 7]);
      assert.equal(existsSync(on.file), false);
      assert.equal((await on.client.call('DOMAIN_GET_JOB_INFO', { dom: on.dom })).type, 0);
    }));

  it('keeps changes waiting for 30 s, and questions not at all', () =>
    saving(async (on) => {
      const client = await on.open();
      const outcome = watch(on.save());
      await until(() => on.domain.job !== undefined);
      const change = watch(client.call('DOMAIN_RESUME', { dom: on.dom }));
      const stats = await client.call('DOMAIN_MEMORY_STATS', { dom: on.dom, maxStats: 3, flags: 0 });
      assert.equal(stats.stats.length, 3);
      assert.equal(change.settled, false);
      await on.clock.advance(1000);
      await until(() => outcome.settled && change.settled);
      assert.ok(code(55)(change.error), 'the domain has ended meanwhile');
    }));

  it('fails where the file cannot be made, and leaves the guest running', () =>
    saving(async (on) => {
      const to = { dom: on.dom, to: '/no/such/folder/file' };
      await assert.rejects(on.client.call('DOMAIN_SAVE', to), code(38));
      assert.deepEqual(await on.next(2), ['3/0', '4/0']);
      assert.deepEqual(stateOf(on), [1, 7]);
    }));

  it('ends with the domain, or with the daemon, which leaves the guest running', () =>
    saving(async (on) => {
      const outcome = watch(on.save());
      await until(() => on.domain.job !== undefined);
      on.host.lifecycle.destroy(on.domain, false);
      await until(() => outcome.settled);
      assert.ok(code(9)(outcome.error));
      assert.equal(existsSync(on.file), false);
      on.host.lifecycle.start(on.domain, false);
      watch(on.save());
      await until(() => on.domain.job !== undefined);
      await on.server.kill();
      await until(() => on.domain.job === undefined);
      assert.deepEqual(stateOf(on), [1, 7]);
    }));

  it('refuses files that are no saved memory', () =>
    saving(async (on) => {
      const image = { file: on.file, flags: 0 };
      await assert.rejects(on.client.call('DOMAIN_SAVE_IMAGE_GET_XML_DESC', image), code(38));
      writeFileSync(on.file, 'QFI');
      await assert.rejects(on.client.call('DOMAIN_SAVE_IMAGE_GET_XML_DESC', image), code(9));
      await assert.rejects(on.restore(), code(9));
      await assert.rejects(on.client.call('DOMAIN_RESTORE', { from: '/' }), code(38));
    }));

  it('reads back what it wrote, and survives any other file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'saving-'));
    const file = join(folder, 'memory');
    try {
      fc.assert(
        fc.property(fc.string({ unit: 'grapheme' }), fc.boolean(), (xml, running) => {
          writeSaved(file, { xml, running });
          assert.deepEqual(readSaved(file), { xml, running });
        }),
        { numRuns: 30 },
      );
      const magic = readFileSync(file).subarray(0, 15);
      fc.assert(
        fc.property(fc.uint8Array(), fc.boolean(), (bytes, marked) => {
          writeFileSync(file, marked ? Buffer.concat([magic, bytes]) : bytes);
          assert.throws(() => readSaved(file), Fault);
        }),
        { numRuns: 60 },
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
