/** fast-check generators of bulk statistics records: known and unknown fields, every type, sparse indices. */
import fc from 'fast-check';
import type { VmId } from '../../src/domain/ids.js';
import { blockFieldNames, netFieldNames, scalarFieldNames } from './bulk-model.js';
import type { ReplyParam, ReplyRecord } from './bulk-reply.js';

const index = fc.oneof(fc.nat({ max: 3 }), fc.constantFrom(9, 10, 100, 999_999_999, 1_000_000_000));

const fieldName = fc.oneof(
  { arbitrary: fc.constantFrom(...scalarFieldNames), weight: 3 },
  {
    arbitrary: fc.tuple(index, fc.constantFrom(...netFieldNames, 'name')).map(([n, f]) => `net.${n}.${f}`),
    weight: 3,
  },
  {
    arbitrary: fc
      .tuple(index, fc.constantFrom(...blockFieldNames, 'name', 'path'))
      .map(([n, f]) => `block.${n}.${f}`),
    weight: 4,
  },
  fc.constantFrom('net.count', 'block.count', 'net.01.rx.bytes', 'block..name', 'net.1', 'block.-1.name', ''),
  fc.tuple(index, fc.constantFrom('exits.sum', 'state', 'time')).map(([n, f]) => `vcpu.${n}.${f}`),
  fc.string({ maxLength: 100 }).filter((text) => !/^(net|block)\./.test(text)),
);

const typedValue = fc.oneof(
  fc.record({ type: fc.constant('int' as const), value: fc.integer() }),
  fc.record({ type: fc.constant('uint' as const), value: fc.nat({ max: 0xffff_ffff }) }),
  fc.record({
    type: fc.constant('llong' as const),
    value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  }),
  fc.record({ type: fc.constant('ullong' as const), value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
  fc.record({ type: fc.constant('double' as const), value: fc.double({ noNaN: true }) }),
  fc.record({ type: fc.constant('boolean' as const), value: fc.boolean() }),
  fc.record({ type: fc.constant('string' as const), value: fc.string({ unit: 'grapheme', maxLength: 12 }) }),
);

/** Names and paths are texts as a rule, but not always. */
const deviceText = fc
  .tuple(
    fc.constantFrom('net', 'block'),
    index,
    fc.constantFrom('name', 'name', 'path'),
    fc.constantFrom('vda', 'vdb', 'vnet0', ''),
  )
  .map(([kind, n, field, value]): ReplyParam => ({ field: `${kind}.${n}.${field}`, type: 'string', value }));

export const replyParam: fc.Arbitrary<ReplyParam> = fc.oneof(
  { arbitrary: fc.tuple(fieldName, typedValue).map(([field, value]) => ({ field, ...value })), weight: 3 },
  { arbitrary: deviceText, weight: 1 },
);

const vmId = fc
  .oneof(fc.nat({ max: 3 }), fc.nat())
  .map((n) => `3a1c1f4e-0d5b-4c57-9a55-${n.toString(16).padStart(12, '0')}` as VmId);

const replyRecord: fc.Arbitrary<ReplyRecord> = fc.record({
  name: fc.string({ unit: 'grapheme', maxLength: 9 }),
  id: vmId,
  domainId: fc.integer({ min: -1, max: 100 }),
  params: fc.array(replyParam, { maxLength: 25 }),
});

export const replyRecords: fc.Arbitrary<ReplyRecord[]> = fc.array(replyRecord, { maxLength: 5 });
