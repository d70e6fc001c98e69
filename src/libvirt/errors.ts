/**
 * libvirt's errors: the payload of a reply with status 1, the class it becomes, and what each code means to the
 * agent. Decided by code alone: message texts change, and the domain number says who raised it, not what happened.
 */
import { HypervisorError } from '../domain/hypervisor.js';
import type { HypervisorErrorKind } from '../domain/hypervisor.js';
import { dom, network } from './objects.js';
import { i32, optional, str, struct } from './xdr-codecs.js';
import type { CodecType } from './xdr-codecs.js';

export const errorPayload = struct({
  code: i32,
  domain: i32,
  /** Full text; present in every reply seen so far. */
  message: optional(str),
  level: i32,
  /** Always absent in practice: remember which domain the call was for. */
  dom: optional(dom),
  str1: optional(str),
  /** The detail without prefix. */
  str2: optional(str),
  str3: optional(str),
  int1: i32,
  int2: i32,
  network: optional(network),
});
export type ErrorPayload = CodecType<typeof errorPayload>;

/** virErrorNumber, as far as the domain driver raises them. */
export const ErrorCode = {
  internalError: 1,
  noMemory: 2,
  noSupport: 3,
  noConnect: 5,
  invalidConn: 6,
  invalidDomain: 7,
  invalidArg: 8,
  operationFailed: 9,
  xmlError: 27,
  domExist: 28,
  operationDenied: 29,
  openFailed: 30,
  xmlDetail: 35,
  systemError: 38,
  rpc: 39,
  noDomain: 42,
  noNetwork: 43,
  authFailed: 45,
  noStoragePool: 49,
  noNodeDevice: 53,
  operationInvalid: 55,
  noSecret: 66,
  configUnsupported: 67,
  operationTimeout: 68,
  migratePersistFailed: 69,
  hookScriptFailed: 70,
  invalidDomainSnapshot: 71,
  noDomainSnapshot: 72,
  argumentUnsupported: 74,
  snapshotRevertRisky: 77,
  operationAborted: 78,
  authCancelled: 79,
  noDomainMetadata: 80,
  migrateUnsafe: 81,
  overflow: 82,
  blockCopyActive: 83,
  operationUnsupported: 84,
  agentUnresponsive: 86,
  resourceBusy: 87,
  accessDenied: 88,
  dbusService: 89,
  cpuIncompatible: 91,
  xmlInvalidSchema: 92,
  migrateFinishOk: 93,
  authUnavailable: 94,
  agentUnsynced: 97,
  deviceMissing: 99,
  noHostname: 108,
  multipleDomains: 110,
  agentCommandTimeout: 112,
  agentCommandFailed: 113,
} as const;
export type ErrorCodeName = keyof typeof ErrorCode;

/**
 * Everything else is 'failed'. Not here on purpose: 9, which means "exists" only sometimes, and 1, 8 and 39, which
 * mean too much; nor 113, an error that the guest agent answered, for which libvirt 9.0 has 1.
 */
const kinds: Partial<Record<ErrorCodeName, HypervisorErrorKind>> = {
  noDomain: 'no-domain',
  invalidDomain: 'no-domain',
  deviceMissing: 'no-device',
  operationAborted: 'aborted',
  operationInvalid: 'invalid-state',
  domExist: 'exists',
  operationTimeout: 'timeout',
  agentUnresponsive: 'agent',
  agentUnsynced: 'agent',
  agentCommandTimeout: 'agent',
  operationDenied: 'denied',
  accessDenied: 'denied',
  authFailed: 'denied',
  authCancelled: 'denied',
  authUnavailable: 'denied',
  noSupport: 'unsupported',
  argumentUnsupported: 'unsupported',
  configUnsupported: 'unsupported',
  operationUnsupported: 'unsupported',
  noConnect: 'unavailable',
};
const byCode = new Map<number, { readonly name: ErrorCodeName; readonly kind: HypervisorErrorKind }>(
  (Object.keys(ErrorCode) as ErrorCodeName[]).map((name) => [
    ErrorCode[name],
    { name, kind: kinds[name] ?? 'failed' },
  ]),
);

export function kindOfCode(code: number): HypervisorErrorKind {
  return byCode.get(code)?.kind ?? 'failed';
}

/** An error that the daemon answered. Failures of the connection itself are plain HypervisorErrors. */
export class LibvirtError extends HypervisorError {
  override readonly name = 'LibvirtError';
  /** virErrorNumber. */
  readonly code: number;
  /** The code's name, undefined where this table does not know it. */
  readonly codeName: ErrorCodeName | undefined;
  /** virErrorDomain: the subsystem that raised it, not the VM. */
  readonly domain: number;
  /** virErrorLevel; 2 is an error. */
  readonly level: number;

  constructor(payload: Pick<ErrorPayload, 'code' | 'domain' | 'level' | 'message'>, context?: string) {
    const text = payload.message ?? `libvirt error ${payload.code}`;
    super(kindOfCode(payload.code), context === undefined ? text : `${context}: ${text}`, { detail: text });
    this.code = payload.code;
    this.codeName = byCode.get(payload.code)?.name;
    this.domain = payload.domain;
    this.level = payload.level;
  }
}
