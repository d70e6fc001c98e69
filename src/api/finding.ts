/** Something that is wrong, in words, for people who operate the host. */
export interface Finding {
  readonly what: string;
  /** What is being done about it, and what to do. */
  readonly action: string;
  /** Monotonic ms; absent where only this report knows. */
  readonly sinceMs?: number;
  /** The host as a whole goes on serving, e.g. where one VM is concerned. */
  readonly tolerable?: boolean;
}
