/** Text of XML to values. What is not a value of its kind is undefined, never a guess. */

/** A whole number that is not negative, within what a double holds exactly. */
export function integer(text: string | undefined): number | undefined {
  const trimmed = text?.trim() ?? '';
  if (!/^\d{1,16}$/.test(trimmed)) return undefined;
  const value = Number(trimmed);
  return Number.isSafeInteger(value) ? value : undefined;
}

export function decimal(text: string | undefined): number | undefined {
  const trimmed = text?.trim() ?? '';
  return /^[-+]?\d{1,20}(\.\d{0,20})?(e[-+]?\d{1,2})?$/i.test(trimmed) ? Number(trimmed) : undefined;
}

/** Python writers say True, libvirt true. */
export function boolean(text: string | undefined): boolean | undefined {
  const lower = text?.trim().toLowerCase();
  if (lower === 'true' || lower === '1') return true;
  if (lower === 'false' || lower === '0') return false;
  return undefined;
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** The members that are not undefined. */
export function defined<T extends object>(members: T): Defined<T> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Defined<T>;
}
