import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { VerbError } from '../../../src/domain/errors.js';
import { ParamsValidator } from '../../../src/protocol/validation.js';
import { verbNames } from '../../../src/protocol/verbs.js';

const validator = new ParamsValidator();

function faultOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof VerbError);
    assert.equal(error.code, -32602);
    return error.message;
  }
  return assert.fail('was expected to be refused');
}

describe('ParamsValidator', () => {
  it('fills in defaults', () => {
    assert.deepEqual(validator.validate('VM.destroy', { vmID: 'x' }), { vmID: 'x', gracefulAttempts: 1 });
    assert.deepEqual(validator.validate('Host.getVMList', undefined), {
      fullStatus: false,
      vmList: [],
      onlyUUID: false,
    });
  });

  it('takes texts for numbers and booleans', () => {
    assert.deepEqual(validator.validate('VM.destroy', { vmID: 'x', gracefulAttempts: '30' }), {
      vmID: 'x',
      gracefulAttempts: 30,
    });
    const { fullStatus, onlyUUID } = validator.validate('Host.getVMList', {
      fullStatus: 'true',
      onlyUUID: 'false',
    });
    assert.deepEqual([fullStatus, onlyUUID], [true, false]);
  });

  it('takes numbers for texts', () => {
    assert.deepEqual(validator.validate('Host.echo', { message: 5 }), { message: '5' });
  });

  it('takes null for an optional parameter as its absence', () => {
    assert.deepEqual(validator.validate('VM.destroy', { vmID: 'x', gracefulAttempts: null }), {
      vmID: 'x',
      gracefulAttempts: 1,
    });
    assert.deepEqual(validator.validate('VM.destroy', ['x', null]), { vmID: 'x', gracefulAttempts: 1 });
  });

  it('ignores members that nobody knows', () => {
    const params = JSON.parse('{"vmID":"x","_X_secret":1,"__proto__":{"gracefulAttempts":9}}') as unknown;
    assert.deepEqual(validator.validate('VM.destroy', params), { vmID: 'x', gracefulAttempts: 1 });
    const { vmParams } = validator.validate('VM.create', { vmParams: { xml: '<x/>', memSize: 1 } });
    assert.equal(vmParams.xml, '<x/>');
  });

  it('maps an array in the order of the schema', () => {
    assert.deepEqual(validator.validate('VM.destroy', ['x', '2']), { vmID: 'x', gracefulAttempts: 2 });
  });

  it('does not share a default between calls', () => {
    validator.validate('Host.getVMList', {}).vmList.push('x');
    assert.deepEqual(validator.validate('Host.getVMList', {}).vmList, []);
  });

  it('does not change what was passed in', () => {
    const params = Object.freeze({ vmID: 'x', gracefulAttempts: '2' });
    assert.equal(validator.validate('VM.destroy', params).gracefulAttempts, 2);
  });

  const refused: readonly [name: string, run: () => unknown, message: string][] = [
    [
      'a missing required parameter',
      () => validator.validate('VM.getStats', {}),
      'VM.getStats: the parameter vmID is missing',
    ],
    [
      'null for a required parameter',
      () => validator.validate('VM.getStats', { vmID: null }),
      'VM.getStats: the parameter vmID is missing',
    ],
    [
      'a missing member of a parameter',
      () => validator.validate('VM.create', { vmParams: {} }),
      'VM.create: the parameter vmParams.xml is missing',
    ],
    [
      'a text that is no number',
      () => validator.validate('VM.destroy', { vmID: 'x', gracefulAttempts: 'many' }),
      'VM.destroy: the parameter gracefulAttempts must be integer, and is "many"',
    ],
    [
      'a number out of range',
      () => validator.validate('VM.destroy', { vmID: 'x', gracefulAttempts: -1 }),
      'VM.destroy: the parameter gracefulAttempts must be >= 0, and is -1',
    ],
    [
      'an object where a text is meant',
      () => validator.validate('VM.getStats', { vmID: {} }),
      'VM.getStats: the parameter vmID must be string, and is an object',
    ],
    [
      'a text where an object is meant',
      () => validator.validate('VM.create', ['', 'y'.repeat(100)]),
      `VM.create: the parameter vmParams must be object, and is "${'y'.repeat(59)}...`,
    ],
    [
      'more positional parameters than there are',
      () => validator.validate('VM.getStats', ['x', 1]),
      'VM.getStats: takes at most 1 parameter, not 2',
    ],
  ];
  for (const [name, run, message] of refused) {
    it(`refuses ${name} by a sentence that names verb and parameter`, () => {
      assert.equal(faultOf(run), `Invalid method parameter(s): ${message}`);
    });
  }

  it('accepts or refuses anything, and never fails otherwise', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...verbNames),
        fc.oneof(fc.array(fc.jsonValue()), fc.dictionary(fc.string(), fc.jsonValue())),
        (verb, params) => {
          try {
            assert.equal(typeof validator.validate(verb, params), 'object');
          } catch (error) {
            assert.ok(error instanceof VerbError);
            assert.equal(error.key, 'invalidParams');
          }
        },
      ),
    );
  });
});
