/** `vdsm-client <Namespace> <method>`: one call, its result as JSON. */
import type { VerbSpec } from '../../protocol/schema.js';
import { VdsmClient } from '../client.js';
import type { CliIo } from './io.js';
import type { Target } from './target.js';
import { waitFor } from './wait.js';
import { waitRules } from './wait-rules.js';
import { parseParameterFile, parseParameters } from './parameters.js';

export interface CallInput {
  readonly words: readonly string[];
  readonly file: string | undefined;
  /** Wait so long for what the verb begins; absent: until its answer only. */
  readonly waitSec?: number | undefined;
}

/** Parameters are checked before anything is connected. */
export async function callVerb(
  io: CliIo,
  target: Target,
  verb: { readonly name: string; readonly spec: VerbSpec },
  input: CallInput,
): Promise<void> {
  const base =
    input.file === undefined ? {} : parseParameterFile(await io.readFile(input.file), fileLabel(input.file));
  const params = await parseParameters(verb.spec, input.words, base, (path) => io.readFile(path));
  const call = async (): Promise<unknown> => {
    const result = await withClient(io, target, (client) =>
      client.call(verb.name, params, { signal: io.interrupted }),
    );
    io.out.write(`${JSON.stringify(result, null, io.out.isTerminal ? 2 : undefined)}\n`);
    return result;
  };
  const rule = waitRules[verb.name];
  if (!rule || input.waitSec === undefined) {
    await call();
    return;
  }
  await waitFor(io, target, { rule, params, limitSec: input.waitSec }, async () => {
    const { vmId } = ((await call()) ?? {}) as { readonly vmId?: unknown };
    return String(vmId ?? params['vmID']);
  });
}

function fileLabel(path: string): string {
  return path === '-' ? 'standard input' : path;
}

export async function withClient<Result>(
  io: CliIo,
  target: Target,
  use: (client: VdsmClient) => Promise<Result>,
): Promise<Result> {
  const client = await VdsmClient.connect(target.address, {
    connectTimeoutMs: Math.min(10_000, target.timeoutMs),
    callTimeoutMs: target.timeoutMs,
    signal: io.interrupted,
  });
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}
