/**
 * JSON text as bytes, written in place: labels that were encoded once, and digits. No string is made for a number, and
 * none is encoded: at thousands of VMs that is what costs.
 *
 * Numbers come out as the engine can read them. It knows no exponents, takes integers only without a fraction and
 * doubles only as strings or with one, and one text that it cannot read voids the answer for the whole host. Every
 * function gives valid text for every double; what is no sane quantity becomes zero.
 *
 * There is memory for one text at a time: it is copied to where it stays before the next one is begun.
 */

const FIRST_BYTES = 16 * 1024;
/** Room that is kept free for a number. */
const NUMBER_BYTES = 64;
/** Longer ones are copied by the engine's own routine, which pays off from about here. */
const SHORT_LABEL = 48;
/** From here on JavaScript writes an exponent; no counter or rate of a real machine gets there. */
const EXPONENT_FROM = 1e21;
const POWERS = Array.from({ length: 10 }, (_, decimals) => 10 ** decimals);
const ZERO = 0x30;
const POINT = 0x2e;

/** The first bytes of a Buffer. */
export interface Span {
  readonly bytes: Buffer;
  readonly length: number;
}

export function label(text: string): Uint8Array {
  return Buffer.from(text);
}

export class RecordBytes {
  #bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #at = 0;

  /** Returns the text written since the last end(). It is valid until the next one is begun. */
  end(): Span {
    const length = this.#at;
    this.#at = 0;
    return { bytes: this.#bytes, length };
  }

  label(bytes: Uint8Array): this {
    const { length } = bytes;
    this.#reserve(length);
    const target = this.#bytes;
    const at = this.#at;
    if (length > SHORT_LABEL) target.set(bytes, at);
    else for (let index = 0; index < length; index++) target[at + index] = bytes[index]!;
    this.#at = at + length;
    return this;
  }

  /** Decimal digits of a count, size or time; 0 for what is none. */
  integer(value: number): this {
    this.#reserve(NUMBER_BYTES);
    this.#whole(isQuantity(value) ? Math.trunc(value) : 0);
    return this;
  }

  /** With exactly `decimals` digits (1 to 9) after the point, rounded. */
  fixed(value: number, decimals: number): this {
    this.#reserve(NUMBER_BYTES);
    this.#rounded(value, decimals);
    return this;
  }

  /** Decimal text that has a fraction of one to three digits, as 2000 is '2000.0'. */
  float(value: number): this {
    this.#reserve(NUMBER_BYTES);
    this.#rounded(value, 3);
    for (let digit = 0; digit < 2 && this.#bytes[this.#at - 1] === ZERO; digit++) this.#at--;
    return this;
  }

  #rounded(value: number, decimals: number): void {
    const unit = POWERS[decimals]!;
    const scaled = isQuantity(value) ? Math.round(value * unit) : 0;
    // Beyond, a double has no digits left for the fraction.
    const exact = scaled <= Number.MAX_SAFE_INTEGER;
    const whole = exact ? Math.floor(scaled / unit) : Math.trunc(value);
    this.#whole(whole);
    this.#bytes[this.#at++] = POINT;
    this.#padded(exact ? scaled - whole * unit : 0, decimals);
  }

  #whole(value: number): void {
    if (value < 1e9) this.#padded(value, digitCount(value));
    else if (value <= Number.MAX_SAFE_INTEGER) {
      const billions = Math.floor(value / 1e9);
      this.#padded(billions, digitCount(billions));
      this.#padded(value - billions * 1e9, 9);
    } else this.#at += this.#bytes.write(String(value), this.#at, 'latin1');
  }

  /** `count` digits of a number below 10^9, so that all is done in 32 bits. */
  #padded(value: number, count: number): void {
    const target = this.#bytes;
    const start = this.#at;
    let rest = value | 0;
    for (let at = start + count - 1; at >= start; at--) {
      const next = (rest / 10) | 0;
      target[at] = ZERO + rest - next * 10;
      rest = next;
    }
    this.#at = start + count;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const begun = this.#bytes.subarray(0, this.#at);
    this.#bytes = Buffer.allocUnsafeSlow(2 * (begun.length + bytes));
    this.#bytes.set(begun);
  }
}

function isQuantity(value: number): boolean {
  return value >= 0 && value < EXPONENT_FROM;
}

/** Of a number below 10^9. */
function digitCount(value: number): number {
  let count = 1;
  for (let limit = 10; value >= limit && count < 9; limit *= 10) count++;
  return count;
}
