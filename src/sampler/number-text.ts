/**
 * Numbers as the engine can read them. It knows no exponents, takes integers only without a fraction and doubles only
 * as strings or with one, and one text that it cannot read voids the answer for the whole host.
 *
 * Every function here gives valid text for every double; what is not a sane quantity becomes the default.
 */

/** From here on JavaScript writes an exponent; no counter or rate of a real machine gets there. */
const EXPONENT_FROM = 1e21;

function isQuantity(value: number): boolean {
  return value >= 0 && value < EXPONENT_FROM;
}

/** Decimal digits of a count, size or time; '0' for what is none. */
export function integerText(value: number): string {
  return isQuantity(value) ? String(Number.isInteger(value) ? value : Math.trunc(value)) : '0';
}

/** Two decimals, as VDSM writes percentages. */
export function fixed2Text(value: number): string {
  return isQuantity(value) ? value.toFixed(2) : '0.00';
}

/**
 * Decimal text that always has a fraction, as Python writes a float: 2000 is '2000.0'.
 *
 * @param fallback for what is not finite or negative
 */
export function floatText(value: number, fallback = '0.0'): string {
  if (!isQuantity(value)) return fallback;
  if (Number.isInteger(value)) return `${value}.0`;
  return value < 1e-6 ? '0.0' : String(value);
}
