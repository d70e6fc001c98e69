/**
 * Calls about one domain whose failure costs their own values only, and the columns that they fill: what the files
 * per-domain-*.ts share.
 */
import { HypervisorError } from '../domain/hypervisor.js';
import type { CallOptions, HypervisorErrorKind } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import type { DomainHandle } from './objects.js';
import type { TypedCall } from './procedures.js';

/**
 * Makes one call about the domain. Resolves to undefined where it failed for a reason that concerns its values only;
 * rejects where no further call can succeed.
 */
export type Ask = <T>(
  answer: (call: TypedCall, dom: DomainHandle, options?: CallOptions) => Promise<T>,
) => Promise<T | undefined>;

/** No further call about this domain, or about any, can succeed. */
const FATAL: ReadonlySet<HypervisorErrorKind> = new Set(['unavailable', 'busy', 'aborted', 'no-domain']);

export function asking(call: TypedCall, id: VmId, options?: CallOptions): Ask {
  const dom: DomainHandle = { name: '', uuid: id, id: -1 };
  return async (answer) => {
    try {
      return await answer(call, dom, options);
    } catch (error) {
      if (error instanceof HypervisorError && !FATAL.has(error.kind)) return undefined;
      throw error;
    }
  };
}

/** A row in which nothing is known yet. */
export function unknowns(columns: number): Float64Array {
  return new Float64Array(columns).fill(NaN);
}

/** libvirt says -1 for a counter that the driver does not have. */
export function setKnown(row: Float64Array, column: number | undefined, value: number): void {
  if (column !== undefined && value >= 0) row[column] = value;
}
