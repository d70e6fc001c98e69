import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { tellAll } from '../../../src/util/listeners.js';

describe('tellAll', () => {
  it('reaches every listener although one throws, whose error is thrown later', (t) => {
    const later = t.mock.method(globalThis, 'queueMicrotask', () => undefined);
    const told: string[] = [];
    const fault = new Error('a bad listener');
    const listeners = new Set([
      () => {
        throw fault;
      },
      () => told.push('second'),
    ]);
    tellAll(listeners, (listener) => listener());
    assert.deepEqual(told, ['second']);
    const [call] = later.mock.calls as unknown as { readonly arguments: readonly [() => void] }[];
    assert.throws(call!.arguments[0], fault);
  });

  it('does not call a listener that another added meanwhile', () => {
    const told: string[] = [];
    const listeners = new Set<() => void>();
    listeners.add(() => listeners.add(() => told.push('late')));
    tellAll(listeners, (listener) => listener());
    assert.deepEqual([told, listeners.size], [[], 2]);
  });
});
