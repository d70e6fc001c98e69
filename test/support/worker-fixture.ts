/** A worker file for the tests of the worker pool. */
export function task(what: {
  readonly double?: number;
  readonly fail?: string;
  readonly spin?: boolean;
}): number {
  if (what.fail !== undefined) throw new Error(what.fail);
  while (what.spin);
  return (what.double ?? 0) * 2;
}
