/** What every call of the port takes; see hypervisor.ts. */
export interface CallOptions {
  /** Default: the adapter's per-procedure deadline. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}
