import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { stateFiles } from '../../../src/vms/state-files.js';

const folder = mkdtempSync(join(tmpdir(), 'vdsm-agent-state-'));
after(() => rmSync(folder, { recursive: true }));
const path = (name: string): string => join(folder, name);

describe('files of a saved VM', () => {
  it('are made only where there is none, for nobody else to read', async () => {
    await stateFiles.reserve(path('a'));
    assert.equal(statSync(path('a')).mode & 0o777, 0o600);
    await assert.rejects(stateFiles.reserve(path('a')), { code: 'EEXIST' });
    symlinkSync(path('nowhere'), path('link'));
    await assert.rejects(stateFiles.reserve(path('link')), { code: 'EEXIST' });
    await assert.rejects(stateFiles.reserve(path('absent/a')), { code: 'ENOENT' });
    await assert.rejects(stateFiles.reserve(path('a/b')), { code: 'ENOTDIR' });
  });

  it('are replaced whole, and nothing else is left behind', async () => {
    writeFileSync(path('b'), 'old');
    await stateFiles.replace(path('b'), 'new');
    assert.equal(readFileSync(path('b'), 'utf8'), 'new');
    assert.equal(statSync(path('b')).mode & 0o777, 0o600);
    await assert.rejects(stateFiles.replace(path('absent/b'), 'x'));
    const before = readdirSync(folder).length;
    await assert.rejects(stateFiles.replace(folder, 'a folder stands in its place'));
    assert.equal(readdirSync(folder).length, before);
  });

  it('are read up to a size, and only if they are files', async () => {
    writeFileSync(path('c'), '12345');
    assert.equal(String(await stateFiles.read(path('c'), 5)), '12345');
    await assert.rejects(stateFiles.read(path('c'), 4), /is longer than 4 bytes/);
    await assert.rejects(stateFiles.read(folder, 5), /is not a regular file/);
    await assert.rejects(stateFiles.read('/dev/zero', 5), /is not a regular file/);
    execFileSync('mkfifo', [path('fifo')]);
    await assert.rejects(stateFiles.read(path('fifo'), 5), /is not a regular file/);
  });

  it('may be removed twice', async () => {
    writeFileSync(path('d'), '');
    await stateFiles.remove(path('d'));
    await stateFiles.remove(path('d'));
    await assert.rejects(stateFiles.remove(folder));
  });
});
