import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseSavedVm, savedVmText } from '../../../src/vms/saved-vm.js';
import type { SavedVm } from '../../../src/vms/saved-vm.js';
import { fakeId } from '../../support/fake-domain.js';

const saved: SavedVm = {
  format: 'vdsm-agent saved VM',
  version: 1,
  vmId: fakeId(1),
  name: 'web',
  savedAt: '2026-01-01T00:00:00.000Z',
  elapsedSec: 10,
  guest: { username: 'root', guestIPs: '10.0.0.1', guestFQDN: 'web.example' },
  xml: '<domain/>',
};

const parse = (value: unknown): SavedVm => parseSavedVm(Buffer.from(JSON.stringify(value)));

describe('the configuration of a saved VM', () => {
  it('is read as it was written', () => {
    const text = fc.string({ minLength: 1, unit: 'binary' });
    const anySaved = fc.record(
      {
        format: fc.constant('vdsm-agent saved VM' as const),
        version: fc.constant(1 as const),
        vmId: fc.nat().map(fakeId),
        name: text,
        savedAt: text,
        elapsedSec: fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
        timeOffsetSec: fc.integer(),
        balloonTargetKiB: fc.nat(),
        guest: fc.record({ username: text, guestIPs: text, guestFQDN: text }),
        xml: text,
      },
      { requiredKeys: ['format', 'version', 'vmId', 'name', 'savedAt', 'elapsedSec', 'guest', 'xml'] },
    );
    fc.assert(
      fc.property(anySaved, (value) => {
        // JSON knows no -0.
        const plain = JSON.parse(JSON.stringify(value)) as SavedVm;
        assert.deepEqual(parseSavedVm(Buffer.from(savedVmText(value))), plain);
      }),
    );
  });

  it('is refused with a sentence, whatever it is', () => {
    const mutated = fc
      .tuple(fc.constantFrom(...(Object.keys(saved) as (keyof SavedVm)[])), fc.jsonValue())
      .map(([key, value]) => ({ ...saved, [key]: value }));
    const anything = fc.oneof(
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      fc.json().map((text) => Buffer.from(text)),
      mutated.map((value) => Buffer.from(JSON.stringify(value))),
    );
    fc.assert(
      fc.property(anything, (content) => {
        try {
          const { format, version, vmId } = parseSavedVm(content);
          assert.deepEqual([format, version, vmId.length], ['vdsm-agent saved VM', 1, 36]);
        } catch (error) {
          assert.ok(error instanceof Error && /^(is|has) /.test(error.message), String(error));
        }
      }),
    );
  });

  it('of VDSM, a pickle, is never loaded', () => {
    const pickle = Buffer.from('\x80\x04\x95\x10\x00\x00\x00cos\nsystem\n', 'latin1');
    assert.throws(() => parseSavedVm(pickle), /is a Python pickle/);
    // Protocol 0 is text.
    assert.throws(() => parseSavedVm(Buffer.from("cos\nsystem\n(S'true'\ntR.")), /is not JSON/);
  });

  const faults: readonly (readonly [string, unknown, RegExp])[] = [
    ['null', null, /no file that VM.hibernate/],
    ['of another format', { ...saved, format: 'x' }, /no file that VM.hibernate/],
    ['of a later version', { ...saved, version: 2 }, /version 2 .* reads version 1/],
    ['of an odd version', { ...saved, version: '1' }, /version unknown/],
    ['without XML', { ...saved, xml: undefined }, /is damaged: it must have required property 'xml'/],
    ['with an id that is none', { ...saved, vmId: '../etc' }, /is damaged: \/vmId must match/],
    ['with a negative age', { ...saved, elapsedSec: -1 }, /is damaged: \/elapsedSec/],
    ['with members of its own', { ...saved, more: 1 }, /is damaged: it must NOT have additional/],
  ];
  for (const [what, value, message] of faults) {
    it(`${what} is refused`, () => {
      assert.throws(() => parse(value), message);
    });
  }
});
