/**
 * Folder order is import order: a file imports from its own folder or from folders further down, without cycles.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, sep } from 'node:path';
import { describe, it } from 'node:test';
import { packageRoot } from '../../src/util/package-root.js';

const ORDER = [
  'main.ts',
  'cli.ts',
  'config.ts',
  'transport',
  'api',
  'vms',
  'sampler',
  'host',
  'simulator',
  'libvirt',
  'client',
  'protocol',
  'domain',
  'util',
];
/** Folders that know no libvirt and no one above them but main.ts does. */
const FORBIDDEN: readonly (readonly [string, string])[] = [
  ...['transport', 'api', 'vms', 'sampler', 'host'].flatMap((from) => [
    [from, 'libvirt'] as const,
    [from, 'simulator'] as const,
  ]),
  ['vms', 'sampler'],
];

const source = join(packageRoot, 'src');
const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .sort();
const imports = new Map(files.map((file) => [file, importsOf(file)]));

function importsOf(file: string): string[] {
  const text = readFileSync(join(source, file), 'utf8');
  return [...text.matchAll(/(?:from|import\()\s*'(\.[^']+)\.js'/g)].map(([, path]) =>
    normalize(join(dirname(file), `${path ?? ''}.ts`)),
  );
}

const layerOf = (file: string): string => file.split(sep)[0] ?? file;

describe('architecture', () => {
  it('knows every folder of src', () => {
    assert.ok(files.length > 40, `only ${files.length} files found`);
    assert.deepEqual(
      files.map(layerOf).filter((layer) => !ORDER.includes(layer)),
      [],
    );
  });

  it('imports only downwards', () => {
    const upward = [...imports].flatMap(([file, targets]) =>
      targets
        .filter((target) => ORDER.indexOf(layerOf(target)) < ORDER.indexOf(layerOf(file)))
        .map((target) => `${file} -> ${target}`),
    );
    assert.deepEqual(upward, []);
  });

  it('keeps libvirt behind the port', () => {
    const crossing = [...imports].flatMap(([file, targets]) =>
      targets
        .filter((target) => FORBIDDEN.some(([from, to]) => layerOf(file) === from && layerOf(target) === to))
        .map((target) => `${file} -> ${target}`),
    );
    assert.deepEqual(crossing, []);
  });

  it('has no import cycle', () => {
    const done = new Set<string>();
    const visit = (file: string, path: readonly string[]): void => {
      assert.ok(!path.includes(file), `cycle: ${[...path, file].join(' -> ')}`);
      if (done.has(file)) return;
      for (const target of imports.get(file) ?? []) visit(target, [...path, file]);
      done.add(file);
    };
    for (const file of files) visit(file, []);
  });

  it('has no default exports and no barrels', () => {
    const offenders = files.filter((file) => {
      const text = readFileSync(join(source, file), 'utf8');
      return /^export default/m.test(text) || /^export \* from/m.test(text);
    });
    assert.deepEqual(offenders, []);
  });
});
