import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../src/domain/hypervisor.js';
import { errorPayload, kindOfCode, LibvirtError } from '../../../src/libvirt/errors.js';
import { readHeader } from '../../../src/libvirt/wire.js';
import { XdrReader, XdrWriter } from '../../../src/libvirt/xdr.js';
import * as golden from './golden-packets.js';

describe('libvirt errors', () => {
  it('read the recorded payload in full', () => {
    const reader = new XdrReader(golden.noDomainReply);
    const payload = errorPayload.read(reader);
    assert.equal(reader.remaining, 0);
    assert.deepEqual(payload, {
      code: 42,
      domain: 10,
      message: "Domain not found: no domain with matching name 'nosuch'",
      level: 2,
      dom: undefined,
      str1: 'Domain not found: %s',
      str2: "no domain with matching name 'nosuch'",
      str3: undefined,
      int1: -1,
      int2: -1,
      network: undefined,
    });
    const writer = new XdrWriter();
    errorPayload.write(writer, payload);
    assert.deepEqual(writer.finish(readHeader(golden.noDomainReply)), golden.noDomainReply);
  });

  it('are hypervisor errors with code, subsystem, level and what the call was', () => {
    const error = new LibvirtError(errorPayload.read(new XdrReader(golden.noDomainReply)), 'lookup');
    assert.ok(error instanceof HypervisorError);
    assert.deepEqual(
      [error.kind, error.code, error.codeName, error.domain, error.level, error.name],
      ['no-domain', 42, 'noDomain', 10, 2, 'LibvirtError'],
    );
    assert.equal(error.message, `lookup: ${error.detail}`);
    assert.equal(
      error.detail,
      "Domain not found: no domain with matching name 'nosuch'",
      'libvirt’s own words',
    );
    assert.equal(new HypervisorError('failed', 'no').detail, 'no');
  });

  it('mean by their code what the agent can act on', () => {
    const kinds = [42, 99, 55, 28, 68, 78, 86, 97, 112, 29, 88, 45, 3, 84, 74].map(kindOfCode);
    assert.deepEqual(kinds, [
      'no-domain',
      'no-device',
      'invalid-state',
      'exists',
      'timeout',
      'aborted',
      'agent',
      'agent',
      'agent',
      'denied',
      'denied',
      'denied',
      'unsupported',
      'unsupported',
      'unsupported',
    ]);
  });

  it('with several meanings, or not known, are plain failures', () => {
    for (const code of [1, 8, 9, 38, 39, 113, 0, -1, 4711]) assert.equal(kindOfCode(code), 'failed');
  });

  it('say something even without a message', () => {
    const error = new LibvirtError({ code: 38, domain: 0, level: 2 });
    assert.match(error.message, /38/);
  });
});
