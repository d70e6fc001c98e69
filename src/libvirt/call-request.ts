/** One call before and after its way over the wire: the packets that it needs, and the errors that it ends with. */
import { HypervisorError } from '../domain/hypervisor.js';
import { secondsText } from './deadlines.js';
import type { Download } from './download.js';
import { errorPayload, LibvirtError } from './errors.js';
import type { DomainHandle } from './objects.js';
import type { Procedure } from './procedure.js';
import type { ProcedureName } from './procedures.js';
import { HEADER_BYTES, PacketStatus, PacketType, PROTOCOL_VERSION, writeHeader } from './wire.js';
import { XdrReader } from './xdr.js';
import type { XdrWriter } from './xdr.js';

export interface CallRequest {
  readonly procedure: Procedure;
  /** Arguments, already written; the header follows when the call gets its serial. */
  readonly body: XdrWriter;
  /** For messages: 'DOMAIN_SUSPEND of vm1'. */
  readonly label: string;
  /** Those that the call is about; none: all, or the daemon itself. */
  readonly domains: readonly DomainHandle[];
  /** Infinity: no limit. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Of a procedure whose reply a stream follows. */
  readonly download?: Download | undefined;
}

export function encodeCall({ procedure, body }: CallRequest, serial: number): Buffer {
  return body.finish({
    program: procedure.program,
    version: PROTOCOL_VERSION,
    procedure: procedure.number,
    type: PacketType.call,
    serial,
    status: PacketStatus.ok,
  });
}

/** Ends (status ok) or aborts (error) a stream. */
export function encodeStreamEnd({ procedure }: CallRequest, serial: number, status: number): Buffer {
  const packet = Buffer.allocUnsafeSlow(HEADER_BYTES);
  writeHeader(packet, {
    program: procedure.program,
    version: PROTOCOL_VERSION,
    procedure: procedure.number,
    type: PacketType.stream,
    serial,
    status,
  });
  return packet;
}

/** Undefined for a payload that is none. */
export function decodeError(packet: Buffer, label: string): LibvirtError | undefined {
  try {
    return new LibvirtError(errorPayload.read(new XdrReader(packet)), label);
  } catch {
    return undefined;
  }
}

export function timedOut({ label, deadlineMs }: CallRequest): HypervisorError {
  return new HypervisorError('timeout', `libvirt did not answer ${label} within ${secondsText(deadlineMs)}`);
}

export function aborted({ label, signal }: CallRequest): HypervisorError {
  return new HypervisorError('aborted', `${label} was given up by its caller`, { cause: signal?.reason });
}

export function garbled({ label }: CallRequest): HypervisorError {
  return new HypervisorError('failed', `libvirt's error reply to ${label} is garbled`);
}

/** The domains that a procedure's arguments name. */
export function domainsOf(args: unknown): readonly DomainHandle[] {
  const { dom, doms = dom ? [dom] : [] } = (args ?? {}) as {
    readonly dom?: DomainHandle;
    readonly doms?: readonly DomainHandle[];
  };
  return doms;
}

/** Messages name the domain: libvirt's own texts often do not. */
export function labelOf(name: ProcedureName, args: unknown): string {
  const about = (args as { readonly dom?: { readonly name: string; readonly uuid: string } } | undefined)
    ?.dom;
  return about ? `${name} of ${about.name || about.uuid}` : name;
}
