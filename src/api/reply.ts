/**
 * Responses -> the bytes of one message. An EncodedResult's bytes are put between the envelope's, never copied: an
 * answer of many megabytes costs a few small buffers.
 */
import { VerbError } from '../domain/errors.js';
import { errorResponse, type JsonRpcResponse, type RequestId } from '../protocol/jsonrpc.js';
import { EncodedResult } from './call.js';

const comma = Buffer.from(',');
const open = Buffer.from('[');
const close = Buffer.from(']');
const endOfEnvelope = Buffer.from('}');

/** Puts encoded responses into an array. */
export function joinBatch(encoded: readonly (readonly Buffer[])[]): Buffer[] {
  return [open, ...encoded.flatMap((pieces, index) => (index === 0 ? pieces : [comma, ...pieces])), close];
}

/** @param onFault told of a result that is no JSON (a fault of ours); its caller gets an error */
export function encodeResponse(
  response: JsonRpcResponse,
  onFault: (error: unknown) => void,
): readonly Buffer[] {
  if ('result' in response && response.result instanceof EncodedResult) {
    return [envelopeBefore(response.id), ...response.result.pieces, endOfEnvelope];
  }
  try {
    // What has no JSON at all would just be left out, and the response be none.
    const type = 'result' in response ? typeof response.result : 'object';
    if (type === 'undefined' || type === 'function' || type === 'symbol')
      throw new TypeError(`a result of type ${type}`);
    return [Buffer.from(JSON.stringify(response))];
  } catch (error) {
    onFault(error);
    const fault = new VerbError('internal', 'the result could not be written as JSON');
    return [Buffer.from(JSON.stringify(errorResponse(response.id, fault)))];
  }
}

function envelopeBefore(id: RequestId): Buffer {
  return Buffer.from(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":`);
}
