/**
 * JSON-RPC 2.0 envelopes: bytes of a message -> requests and faults, exactly as the specification has it.
 *
 * It runs nothing. The library json-rpc-2.0 dispatches one request that was found valid here; what that library
 * takes for granted (batches, ids, the kind of `params`) is decided in this file. A fault is an error object without
 * a request: the caller answers it, with the id where there was one and null where there was none.
 */
import { VerbError } from '../domain/errors.js';

export type RequestId = string | number | null;

export interface JsonRpcRequest {
  readonly jsonrpc: '2.0';
  readonly method: string;
  readonly params?: Readonly<Record<string, unknown>> | readonly unknown[];
  /** Absent: a notification, which is never answered. */
  readonly id?: RequestId;
}

export interface JsonRpcError {
  readonly jsonrpc: '2.0';
  readonly id: RequestId;
  readonly error: { readonly code: number; readonly message: string };
}

export interface JsonRpcSuccess {
  readonly jsonrpc: '2.0';
  readonly id: RequestId;
  readonly result: unknown;
}

export type JsonRpcResponse = JsonRpcSuccess | JsonRpcError;

/** What stands for one request in a message. `reply` is absent for a notification at fault. */
export type Incoming =
  { readonly request: JsonRpcRequest } | { readonly fault: VerbError; readonly reply?: JsonRpcError };

export interface IncomingMessage {
  /** True: the answers go into an array, however few they are. */
  readonly batch: boolean;
  readonly items: readonly Incoming[];
}

/** Deeper values come from no client of ours; recursion over them would exhaust the stack. */
const MAX_DEPTH = 100;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** @param maxBatch most requests in one message; a larger batch is refused as a whole, by one error */
export function parseMessage(message: Buffer, maxBatch: number): IncomingMessage {
  let value: unknown;
  try {
    if (depthOf(message) > MAX_DEPTH) throw new RangeError(`nested more than ${MAX_DEPTH} deep`);
    value = JSON.parse(utf8.decode(message));
  } catch {
    return single(faultOf(new VerbError('parseError'), null));
  }
  if (!Array.isArray(value)) return single(parseRequest(value));
  if (value.length === 0) return single(faultOf(new VerbError('invalidRequest', 'the batch is empty'), null));
  if (value.length > maxBatch) {
    const detail = `a batch may have ${maxBatch} requests, not ${value.length}`;
    return single(faultOf(new VerbError('invalidRequest', detail), null));
  }
  return { batch: true, items: value.map(parseRequest) };
}

function single(item: Incoming): IncomingMessage {
  return { batch: false, items: [item] };
}

function parseRequest(value: unknown): Incoming {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return faultOf(new VerbError('invalidRequest', 'it is no object'), null);
  }
  const { jsonrpc, method, params, id } = value as Record<string, unknown>;
  if (id !== undefined && !isId(id)) {
    return faultOf(new VerbError('invalidRequest', 'id must be a string, null or a number below 2^53'), null);
  }
  if (jsonrpc !== '2.0') return faultOf(new VerbError('invalidRequest', 'jsonrpc must be "2.0"'), id ?? null);
  if (typeof method !== 'string')
    return faultOf(new VerbError('invalidRequest', 'method must be a string'), id ?? null);
  if (params !== undefined && (typeof params !== 'object' || params === null)) {
    return faultOf(new VerbError('invalidParams', 'params must be an object or an array'), id);
  }
  return {
    request: {
      jsonrpc,
      method,
      ...(params !== undefined && { params: params as NonNullable<JsonRpcRequest['params']> }),
      ...(id !== undefined && { id }),
    },
  };
}

/** A number that does not survive JSON.parse cannot be echoed, so its caller would wait forever. */
function isId(id: unknown): id is RequestId {
  if (typeof id === 'number') return Number.isInteger(id) ? Number.isSafeInteger(id) : Number.isFinite(id);
  return typeof id === 'string' || id === null;
}

/** @param id of the request at fault; absent: it is a notification, and not answered */
export function faultOf(fault: VerbError, id: RequestId | undefined): Incoming {
  return id === undefined ? { fault } : { fault, reply: errorResponse(id, fault) };
}

export function errorResponse(id: RequestId, error: VerbError): JsonRpcError {
  return { jsonrpc: '2.0', id, error: { code: error.code, message: error.message } };
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Deepest nesting of arrays and objects in JSON text; any number for what is no JSON. */
function depthOf(message: Buffer): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let at = 0; at < message.length; at++) {
    const byte = message[at];
    if (inString) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) inString = true;
    else if (byte === 0x5b || byte === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (byte === 0x5d || byte === 0x7d) depth--;
  }
  return deepest;
}
