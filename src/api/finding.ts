/** Something that is wrong, in words, for people who operate the host. */
export interface Finding {
  readonly what: string;
  /** What is being done about it, and what to do. */
  readonly action: string;
  /** Monotonic ms; absent where only this report knows. */
  readonly sinceMs?: number;
  /** Concerns one VM only: the host goes on serving. */
  readonly oneVm?: boolean;
}
