/**
 * Comparing readings of something that moves: the other side's reading before, ours, the other side's again. A value
 * is right if it lies between the two others. What may go up and down gets more attempts.
 */
import assert from 'node:assert/strict';

/** Readings by name: numbers are bracketed, texts must be equal. */
export type Readings = Readonly<Record<string, number | string>>;

const ATTEMPTS = 12;

/**
 * Passes when both sides have the same names, and every value was between in at least one attempt.
 *
 * @returns how many values were compared
 */
export async function assertBracketed(
  theirs: () => Promise<Readings>,
  ours: () => Promise<Readings>,
): Promise<number> {
  let wrong = new Map<string, string>();
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const before = await theirs();
    const own = await ours();
    const after = await theirs();
    assert.deepEqual(Object.keys(own).sort(), Object.keys(after).sort());
    const outside = Object.keys(own).filter((name) => !between(before[name], own[name]!, after[name]));
    const still = outside.filter((name) => attempt === 0 || wrong.has(name));
    wrong = new Map(still.map((name) => [name, `${before[name]} .. ${own[name]} .. ${after[name]}`]));
    if (wrong.size === 0) return Object.keys(own).length;
  }
  assert.fail(`never between the readings before and after: ${JSON.stringify([...wrong])}`);
}

function between(
  before: number | string | undefined,
  own: number | string,
  after: number | string | undefined,
): boolean {
  if (typeof own === 'string' || typeof before !== 'number' || typeof after !== 'number')
    return own === after;
  return Math.min(before, after) <= own && own <= Math.max(before, after);
}
