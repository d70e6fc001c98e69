/**
 * The ONE mapping from what a handler throws to what the caller is told. Codes are VDSM's (domain/errors.ts).
 *
 * An engine takes 1100 for a network failure of the whole host, so nothing here leads to it. The text of an unknown
 * error stays in the log: it may hold anything.
 */
import { VerbError, type ErrorKey } from '../domain/errors.js';
import { keyOfFailure } from '../domain/hypervisor-failure.js';
import { HypervisorError } from '../domain/hypervisor.js';

/** Verbs with a code of their own for a failure that has no name: an engine reacts to it. */
const failureKeys: Readonly<Partial<Record<string, ErrorKey>>> = {
  'VM.create': 'createErr',
  'VM.destroy': 'destroyErr',
};

const MAX_DETAIL = 500;

/** @param method as the request has it; it may be no verb of ours */
export function toVerbError(error: unknown, method: string): VerbError {
  if (error instanceof VerbError) return error;
  if (error instanceof HypervisorError) {
    return new VerbError(keyOfFailure(error.kind, failureKey(method)), oneLine(error.message), {
      cause: error,
    });
  }
  const detail = `${method} met a fault of the agent; its log tells more`;
  return new VerbError(fallbackKey(method), detail, { cause: error });
}

/** The verb did not answer in time; what it began may still take effect. */
export function deadlineError(method: string, afterMs: number): VerbError {
  const detail = `${method} did not finish within ${afterMs / 1000} s; what it began may still take effect`;
  return new VerbError(fallbackKey(method), detail);
}

function failureKey(method: string): ErrorKey {
  return failureKeys[method] ?? fallbackKey(method);
}

/** VDSM: 100 from a VM verb, -32603 from any other. */
function fallbackKey(method: string): ErrorKey {
  return method.startsWith('VM.') ? 'general' : 'internal';
}

function oneLine(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > MAX_DETAIL ? `${line.slice(0, MAX_DETAIL)}...` : line;
}
