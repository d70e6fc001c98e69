/**
 * From a call packet to a reply packet: finds the procedure, decodes, checks what the connection may do,
 * runs the handler.
 *
 * Whatever a client sends, the outcome is a reply or libvirt's error payload; nothing is thrown but
 * programming errors of our own, and even those become error 1.
 */
import { errorPayload } from '../libvirt/errors.js';
import type { Procedure } from '../libvirt/procedure.js';
import { procedures } from '../libvirt/procedures.js';
import type { ProcedureName } from '../libvirt/procedures.js';
import { PacketStatus, PacketType, Program, PROTOCOL_VERSION, WireError } from '../libvirt/wire.js';
import type { PacketHeader } from '../libvirt/wire.js';
import { MAX_STRING_BYTES } from '../libvirt/xdr-codecs.js';
import { XdrReader, XdrWriter } from '../libvirt/xdr.js';
import { RawBody, StreamReply } from './call.js';
import type { Call, Handlers } from './call.js';
import { Fault } from './fault.js';
import { bulkHandlers } from './handle-bulk.js';
import { connectionHandlers } from './handle-connection.js';
import { deviceHandlers } from './handle-devices.js';
import { definitionHandlers, findHandlers } from './handle-domain.js';
import { addressQueries, guestHandlers } from './handle-guest.js';
import { blockJobQueries, imageHandlers } from './handle-images.js';
import { metadataHandlers, metadataQueries } from './handle-metadata.js';
import { powerHandlers } from './handle-power.js';
import { jobQueries, savingHandlers } from './handle-saving.js';
import { screenHandlers } from './handle-screen.js';
import { statsHandlers } from './handle-stats.js';
import { tuningHandlers, tuningQueries } from './handle-tuning.js';

type AnyHandler = (call: Call, args: unknown) => unknown;

/** A connection that may only read is refused all of these. */
const writers = {
  ...definitionHandlers,
  ...powerHandlers,
  ...savingHandlers,
  ...metadataHandlers,
  ...deviceHandlers,
  ...tuningHandlers,
  ...imageHandlers,
  ...guestHandlers,
  ...screenHandlers,
} as const satisfies Handlers;

const handlers: Handlers = {
  ...connectionHandlers,
  ...findHandlers,
  ...metadataQueries,
  ...statsHandlers,
  ...jobQueries,
  ...blockJobQueries,
  ...addressQueries,
  ...tuningQueries,
  ...bulkHandlers,
  ...writers,
};

/** The last procedure of libvirt 9.0. */
const LAST_PROCEDURE = 443;
const byNumber = new Map(
  (Object.entries(procedures) as [ProcedureName, Procedure][]).map(([name, row]) => [
    keyOf(row.program, row.number),
    { name, row },
  ]),
);

function keyOf(program: number, number: number): string {
  return `${program}/${number}`;
}

const beforeOpen = new Set<ProcedureName>([
  'AUTH_LIST',
  'AUTH_POLKIT',
  'CONNECT_OPEN',
  'CONNECT_CLOSE',
  'CONNECT_SUPPORTS_FEATURE',
]);
const writing = new Set<string>(Object.keys(writers));

/** Whether a priority worker may run it. */
export function isPriority(header: PacketHeader): boolean {
  return byNumber.get(keyOf(header.program, header.procedure))?.row.priority ?? true;
}

/** A reply, and what is streamed after it. */
export interface StreamedAnswer {
  readonly reply: Buffer;
  readonly header: PacketHeader;
  readonly data: Uint8Array;
}

/** Undefined: libvirt has no answer to that and closes the connection. */
export type Answer = Buffer | StreamedAnswer | undefined;

/** The reply packet, at once where the handler is quick. The promise never rejects. */
export function dispatch(call: Call, header: PacketHeader, packet: Buffer): Answer | Promise<Answer> {
  try {
    const { name, row, handler } = findHandler(header);
    authorize(call, name);
    const args = decode(row, packet);
    const result = handler(call, args);
    const finish = (value: unknown): Answer => {
      if (!(value instanceof StreamReply)) return replyPacket(header, row, value);
      return { reply: replyPacket(header, row, value.result), header, data: value.data };
    };
    if (!(result instanceof Promise)) return finish(result);
    return result.then(finish).catch((error: unknown) => errorPacket(header, error));
  } catch (error) {
    return errorPacket(header, error);
  }
}

function findHandler(header: PacketHeader): { name: ProcedureName; row: Procedure; handler: AnyHandler } {
  const { program, version, procedure, status, type } = header;
  if (status !== PacketStatus.ok) throw new Fault('rpc', `Unexpected message status ${status}`);
  if ((program !== Program.remote && program !== Program.qemu) || version !== PROTOCOL_VERSION) {
    throw new Fault('rpc', `Cannot find program ${program} version ${version}`);
  }
  if (program === Program.remote && (procedure < 1 || procedure > LAST_PROCEDURE)) {
    throw new Fault('rpc', `unknown procedure: ${procedure}`);
  }
  const entry = byNumber.get(keyOf(program, procedure));
  const handler = entry && handlers[entry.name];
  // No procedure that the simulated host knows takes descriptors.
  if (!entry || !handler || type === PacketType.callWithFds)
    throw new Fault('unsupported', 'not supported by the simulated host');
  return { ...entry, handler: handler as AnyHandler };
}

function authorize(call: Call, name: ProcedureName): void {
  if (call.session.uri === undefined && !beforeOpen.has(name)) {
    throw new Fault('internal', 'hypervisor connection not open');
  }
  if (call.session.readOnly && writing.has(name)) throw new Fault('denied', name.toLowerCase());
}

function decode(row: Procedure, packet: Buffer): unknown {
  try {
    return row.args.read(new XdrReader(packet));
  } catch (error) {
    if (error instanceof WireError || error instanceof RangeError) {
      throw new Fault('rpc', 'Unable to decode message payload');
    }
    throw error;
  }
}

function replyPacket(header: PacketHeader, row: Procedure, value: unknown): Buffer {
  const reply = { ...header, type: PacketType.reply, status: PacketStatus.ok };
  if (value instanceof RawBody) return value.writer.finish(reply);
  const writer = new XdrWriter(expectedBytes(value));
  try {
    row.result.write(writer, value);
  } catch (error) {
    if (error instanceof WireError) throw new Fault('rpc', 'Unable to encode message payload');
    throw error;
  }
  return writer.finish(reply);
}

/** Most replies are small; lists are not. Only a hint, to spare the writer its growing. */
function expectedBytes(value: unknown): number {
  const first: unknown = typeof value === 'object' && value !== null ? Object.values(value)[0] : undefined;
  return 512 + (Array.isArray(first) ? 128 * first.length : 0);
}

function errorPacket(header: PacketHeader, error: unknown): Answer {
  const fault = error instanceof Fault ? error : new Fault('internal', String(error));
  // An error that quotes what the client sent may be too long for one string.
  if (fault.message.length > MAX_STRING_BYTES / 4) return undefined;
  const writer = new XdrWriter(512 + 8 * fault.message.length);
  errorPayload.write(writer, {
    code: fault.kind.code,
    domain: fault.kind.domain,
    message: fault.message,
    level: 2,
    str1: fault.kind.format,
    str2: fault.detail,
    int1: -1,
    int2: -1,
  });
  return writer.finish({ ...header, type: PacketType.reply, status: PacketStatus.error });
}
