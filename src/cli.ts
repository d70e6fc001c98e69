#!/usr/bin/env node
/**
 * vdsm-client: the process around runCli. Output to a pipe that the reader has closed ends the program without a
 * word, as other tools do; Ctrl-C ends `events` in good order and everything else at once.
 */
import { readFile } from 'node:fs/promises';
import { addAbortSignal } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { WriteStream } from 'node:tty';
import { runCli } from './client/cli/run.js';
import { ExitCode, UsageError } from './client/cli/io.js';
import type { CliIo, TextOutput } from './client/cli/io.js';
import { cliEnvironment } from './config.js';

const { noColor, address = '127.0.0.1:54321' } = cliEnvironment();
const interrupted = new AbortController();
process.once('SIGINT', () => interrupted.abort());
process.once('SIGTERM', () => interrupted.abort());

function output(stream: WriteStream): TextOutput {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') {
      process.exitCode = ExitCode.output;
      if (stream !== process.stderr) io.err.write(`vdsm-client: cannot write: ${error.message}\n`);
    }
    interrupted.abort();
  });
  const isTerminal = stream.isTTY;
  return {
    write(line) {
      if (stream.writable) stream.write(line);
    },
    isTerminal,
    colours: isTerminal && !noColor,
    columns: isTerminal ? stream.columns : undefined,
  };
}

const io: CliIo = {
  out: output(process.stdout),
  err: output(process.stderr),
  interrupted: interrupted.signal,
  async readFile(path) {
    if (path === '-') return text(addAbortSignal(interrupted.signal, process.stdin));
    try {
      return await readFile(path, 'utf8');
    } catch (error) {
      throw new UsageError(
        `cannot read ${path}: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}`,
      );
    }
  },
};

const exitCode = await runCli(process.argv.slice(2), io, { address });
process.exitCode ??= exitCode;
