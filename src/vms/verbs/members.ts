/**
 * Members of parameters that the schema leaves open, since a verb takes one of several forms. Engines write numbers and
 * truth values as text too, so both are taken; what is neither is the caller's mistake and named. Pure.
 */
import { VerbError } from '../../domain/errors.js';

export type OpenObject = Readonly<Record<string, unknown>>;

/** Undefined where it is absent or null. @throws VerbError invalidParameter */
export function textMember(holder: OpenObject, name: string): string | undefined {
  const value = memberOf(holder, name);
  if (value === undefined || typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  throw wrong(name, 'a text');
}

/** A text that must be there and say something. @throws VerbError missParam, invalidParameter */
export function requireText(holder: OpenObject, name: string): string {
  const text = textMember(holder, name);
  if (text === undefined || text === '') throw new VerbError('missParam', name);
  return text;
}

/** A whole number from 0 on. @throws VerbError invalidParameter */
export function countMember(holder: OpenObject, name: string): number | undefined {
  const value = memberOf(holder, name);
  if (value === undefined) return undefined;
  const number = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : value;
  if (typeof number === 'number' && Number.isSafeInteger(number) && number >= 0) return number;
  throw wrong(name, 'a whole number from 0 on');
}

/** @throws VerbError invalidParameter */
export function flagMember(holder: OpenObject, name: string): boolean | undefined {
  const value = memberOf(holder, name);
  if (value === undefined || typeof value === 'boolean') return value;
  if (value === 1 || value === '1') return true;
  if (value === 0 || value === '0') return false;
  const word = typeof value === 'string' ? value.toLowerCase() : '';
  if (word === 'true' || word === 'false') return word === 'true';
  throw wrong(name, 'true or false');
}

/** @throws VerbError invalidParameter */
export function objectMember(holder: OpenObject, name: string): OpenObject | undefined {
  const value = memberOf(holder, name);
  if (value === undefined || isObject(value)) return value;
  throw wrong(name, 'an object');
}

/** Its items are objects. @throws VerbError invalidParameter */
export function listMember(holder: OpenObject, name: string): readonly OpenObject[] | undefined {
  const value = memberOf(holder, name);
  if (value === undefined) return undefined;
  if (Array.isArray(value) && value.every(isObject)) return value;
  throw wrong(name, 'a list of objects');
}

export function isObject(value: unknown): value is OpenObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function memberOf(holder: OpenObject, name: string): unknown {
  return Object.hasOwn(holder, name) ? (holder[name] ?? undefined) : undefined;
}

/** Without the value, which may be a secret that stands in the wrong place. */
function wrong(name: string, wanted: string): VerbError {
  return new VerbError('invalidParameter', `${name} must be ${wanted}`);
}
