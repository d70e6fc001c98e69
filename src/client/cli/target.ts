/** The agent that a command line is for. */
export interface Target {
  readonly address: string;
  /** Deadline of connecting and of each call. */
  readonly timeoutMs: number;
}
