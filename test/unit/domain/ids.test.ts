import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseVmId, vmIdFromBytes, vmIdToBytes } from '../../../src/domain/ids.js';

describe('the id of a VM', () => {
  it('is the same after its way over the wire', () => {
    fc.assert(
      fc.property(fc.uuid(), (text) => {
        const id = parseVmId(text)!;
        const bytes = vmIdToBytes(id);
        assert.deepEqual(bytes, new Uint8Array(Buffer.from(text.replaceAll('-', ''), 'hex')));
        assert.equal(vmIdFromBytes(bytes), id);
      }),
    );
  });

  it('is written where it is wanted', () => {
    const memory = new Uint8Array(16).fill(0xff);
    const id = parseVmId('01234567-89ab-cdef-0123-456789abcdef')!;
    assert.equal(vmIdToBytes(id, memory), memory);
    assert.equal(Buffer.from(memory).toString('hex'), '0123456789abcdef0123456789abcdef');
  });

  it('is read from a UUID in any case, with hyphens or without, and from nothing else', () => {
    const id = '01234567-89ab-cdef-0123-456789abcdef';
    for (const text of [id, id.toUpperCase(), id.replaceAll('-', ''), ` ${id} `])
      assert.equal(parseVmId(text), id);
    for (const text of ['', 'vm1', `${id}0`, id.replace('-', ''), id.replace('c', 'g'), 7, undefined])
      assert.equal(parseVmId(text), undefined);
  });
});
