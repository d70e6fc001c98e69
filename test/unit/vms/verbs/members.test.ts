import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VerbError } from '../../../../src/domain/errors.js';
import {
  countMember,
  flagMember,
  listMember,
  objectMember,
  requireText,
  textMember,
} from '../../../../src/vms/verbs/members.js';

const refused =
  (code: number) =>
  (error: unknown): boolean =>
    error instanceof VerbError && error.code === code;

describe('open members of parameters', () => {
  it('take numbers and truth values as text too', () => {
    const holder = { a: '12', b: 12, c: 'True', d: false, e: '1', f: 0 };
    assert.equal(countMember(holder, 'a'), 12);
    assert.equal(countMember(holder, 'b'), 12);
    assert.equal(textMember(holder, 'b'), '12');
    assert.equal(flagMember(holder, 'c'), true);
    assert.equal(flagMember(holder, 'd'), false);
    assert.equal(flagMember(holder, 'e'), true);
    assert.equal(flagMember(holder, 'f'), false);
  });

  it('are not there where they are null, or only inherited', () => {
    const holder = { a: null };
    for (const read of [countMember, textMember, flagMember, objectMember, listMember]) {
      assert.equal(read(holder, 'a'), undefined);
      assert.equal(read(holder, 'toString'), undefined);
    }
  });

  it('say which is wrong, but not its value', () => {
    const secret = ['hunter2'];
    for (const read of [countMember, textMember, flagMember, objectMember, listMember, requireText]) {
      assert.throws(
        () => read({ password: secret }, 'password'),
        (error) =>
          refused(91)(error) &&
          String(error).includes('password must be') &&
          !String(error).includes('hunter'),
      );
    }
    for (const value of [-1, 1.5, '-1', 'x', 2 ** 60]) {
      assert.throws(() => countMember({ value }, 'value'), refused(91));
    }
  });

  it('are asked for where they must be there', () => {
    assert.throws(() => requireText({}, 'alias'), refused(11));
    assert.throws(() => requireText({ alias: '' }, 'alias'), refused(11));
  });
});
