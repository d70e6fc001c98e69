/**
 * What the command line sees of the world, passed in so that tests need no process: outputs, files, the interrupt key.
 * Also the exit codes, and the one error that means "wrongly called".
 */

export const ExitCode = {
  ok: 0,
  /** The agent answered with an error. */
  verbError: 1,
  /** The command line is wrong; nothing was sent. */
  usage: 2,
  /** No connection, or no answer in time. */
  connection: 3,
  /** The output could not be written: a full disk, not a reader that has seen enough. */
  output: 4,
  /** Ended by Ctrl-C before the answer; 128 + SIGINT as shells have it. */
  interrupted: 130,
} as const;

export interface TextOutput {
  write(text: string): void;
  /** False on a pipe or into a file: output is for programs then. */
  readonly isTerminal: boolean;
  readonly colours: boolean;
  /** Width of the terminal; undefined elsewhere. */
  readonly columns: number | undefined;
}

export interface CliIo {
  readonly out: TextOutput;
  readonly err: TextOutput;
  /** Whole text of a file, or of standard input for '-'. */
  readFile(path: string): Promise<string>;
  readonly interrupted: AbortSignal;
}

export interface CliDefaults {
  /** Used where the command line names no address. */
  readonly address: string;
}

/** The caller's mistake, in one sentence. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const codes = { red: 31, green: 32, yellow: 33, cyan: 36, dim: 2, bold: 1 } as const;
export type Colour = keyof typeof codes;

export function paint(output: TextOutput, colour: Colour | undefined, text: string): string {
  return output.colours && colour !== undefined ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text;
}

export function statusColour(status: string): Colour {
  if (status === 'Up') return 'green';
  if (status === 'Down') return 'red';
  return status === 'Paused' ? 'yellow' : 'cyan';
}
