import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { readQcow2Header } from '../../../../src/vms/verbs/qcow2-header.js';

/** The start of what `qemu-img create -f qcow2 -b ../base.qcow2 -F qcow2 x 3G` of QEMU 7.2 writes. */
function header(backing: string, version = 3): Buffer {
  const head = Buffer.alloc(4096);
  head.write('QFI\xfb', 0, 'latin1');
  head.writeUInt32BE(version, 4);
  if (backing !== '') head.writeBigUInt64BE(0x218n, 8);
  head.writeUInt32BE(Buffer.byteLength(backing), 16);
  head.writeUInt32BE(16, 20);
  head.writeBigUInt64BE(3n << 30n, 24);
  head.write(backing, 0x218);
  return head;
}

describe('the header of a qcow2 image', () => {
  it('tells the size that a guest sees, and the backing file', () => {
    const virtualSize = 3 * 2 ** 30;
    assert.deepEqual(readQcow2Header(header('../base.qcow2')), { virtualSize, backingFile: '../base.qcow2' });
    assert.deepEqual(readQcow2Header(header('', 2)), { virtualSize, backingFile: undefined });
  });

  it('is none in other files, cut ones and unknown versions', () => {
    assert.equal(readQcow2Header(Buffer.alloc(4096)), undefined);
    assert.equal(readQcow2Header(Buffer.alloc(0)), undefined);
    assert.equal(readQcow2Header(header('', 1)), undefined);
    assert.equal(readQcow2Header(header('/base').subarray(0, 20)), undefined);
    assert.equal(readQcow2Header(header('/base').subarray(0, 0x21a)), undefined);
  });

  it('never fails, whatever the bytes', () => {
    const magic = fc
      .uint8Array({ maxLength: 200 })
      .map((rest) => Buffer.from([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3, ...rest]));
    fc.assert(
      fc.property(
        fc.oneof(
          magic,
          fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
        ),
        (head) => {
          const read = readQcow2Header(head);
          assert.ok(read === undefined || read.virtualSize >= 0);
        },
      ),
    );
  });
});
