/** A command line without a process: outputs are texts, files are a table. */
import { UsageError } from '../../../../src/client/cli/io.js';
import type { CliIo, TextOutput } from '../../../../src/client/cli/io.js';
import { runCli } from '../../../../src/client/cli/run.js';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface Surroundings {
  readonly terminal?: boolean;
  readonly colours?: boolean;
  readonly files?: Readonly<Record<string, string>>;
  readonly address?: string;
  readonly interrupted?: AbortSignal;
  /** Called with each piece of output. */
  readonly onOutput?: (text: string) => void;
}

export function textOutput(
  options: { terminal?: boolean; colours?: boolean } = {},
): TextOutput & { text: string } {
  const { terminal = false, colours = false } = options;
  return {
    text: '',
    write(text) {
      this.text += text;
    },
    isTerminal: terminal,
    colours,
    columns: terminal ? 100 : undefined,
  };
}

export async function run(argv: readonly string[], surroundings: Surroundings = {}): Promise<Ran> {
  const { files = {}, address = '127.0.0.1:1', onOutput } = surroundings;
  const [out, err] = [textOutput(surroundings), textOutput(surroundings)];
  const watched = (output: TextOutput & { text: string }): TextOutput => ({
    ...output,
    write(text) {
      output.write(text);
      onOutput?.(text);
    },
  });
  const io: CliIo = {
    out: watched(out),
    err: watched(err),
    interrupted: surroundings.interrupted ?? new AbortController().signal,
    readFile: (path) => {
      const text = files[path];
      return text === undefined
        ? Promise.reject(new UsageError(`cannot read ${path}: ENOENT`))
        : Promise.resolve(text);
    },
  };
  const code = await runCli(argv, io, { address });
  return { code, out: out.text, err: err.text };
}
