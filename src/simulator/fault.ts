/**
 * The errors of the simulated daemon, with libvirt's numbers and texts.
 *
 * libvirt builds a message from a prefix of its own and a detail; clients print the whole and some use the
 * detail alone, so both travel.
 */
import { ErrorCode } from '../libvirt/errors.js';

interface FaultKind {
  /** virErrorNumber. */
  readonly code: number;
  /** virErrorDomain: the subsystem that raises it. */
  readonly domain: number;
  /** Text with %s for the detail. */
  readonly format: string;
}

const rpc = 7;
const qemu = 10;
const api = 20;

export const faultKinds = {
  internal: { code: ErrorCode.internalError, domain: qemu, format: 'internal error: %s' },
  unsupported: {
    code: ErrorCode.noSupport,
    domain: qemu,
    format: 'this function is not supported by the connection driver: %s',
  },
  'no-connect': { code: ErrorCode.noConnect, domain: api, format: 'no connection driver available for %s' },
  'invalid-argument': { code: ErrorCode.invalidArg, domain: qemu, format: 'invalid argument: %s' },
  'operation-failed': { code: ErrorCode.operationFailed, domain: qemu, format: 'operation failed: %s' },
  'xml-error': { code: ErrorCode.xmlError, domain: api, format: 'XML error: %s' },
  'xml-detail': { code: ErrorCode.xmlDetail, domain: api, format: 'XML document failed to parse: %s' },
  'config-unsupported': {
    code: ErrorCode.configUnsupported,
    domain: qemu,
    format: 'unsupported configuration: %s',
  },
  denied: {
    code: ErrorCode.operationDenied,
    domain: api,
    format: 'operation %s forbidden for read only access',
  },
  rpc: { code: ErrorCode.rpc, domain: rpc, format: '%s' },
  'no-domain': { code: ErrorCode.noDomain, domain: qemu, format: 'Domain not found: %s' },
  'invalid-state': {
    code: ErrorCode.operationInvalid,
    domain: qemu,
    format: 'Requested operation is not valid: %s',
  },
  timeout: { code: ErrorCode.operationTimeout, domain: qemu, format: 'Timed out during operation: %s' },
  'argument-unsupported': {
    code: ErrorCode.argumentUnsupported,
    domain: qemu,
    format: 'argument unsupported: %s',
  },
  'no-metadata': { code: ErrorCode.noDomainMetadata, domain: api, format: 'metadata not found: %s' },
  'operation-unsupported': {
    code: ErrorCode.operationUnsupported,
    domain: qemu,
    format: 'Operation not supported: %s',
  },
  aborted: { code: ErrorCode.operationAborted, domain: qemu, format: 'operation aborted: %s' },
  'job-active': { code: ErrorCode.blockCopyActive, domain: qemu, format: 'block copy still active: %s' },
  'device-missing': { code: ErrorCode.deviceMissing, domain: qemu, format: 'device not found: %s' },
  /** An errno of the host, such as a file that is not there. */
  system: { code: ErrorCode.systemError, domain: qemu, format: '%s' },
  agent: { code: ErrorCode.agentUnresponsive, domain: qemu, format: 'Guest agent is not responding: %s' },
} as const satisfies Record<string, FaultKind>;

export type FaultName = keyof typeof faultKinds;

/** Thrown by the model and by handlers; the server turns it into libvirt's error payload. */
export class Fault extends Error {
  override readonly name = 'Fault';
  readonly kind: FaultKind;

  constructor(
    readonly fault: FaultName,
    readonly detail: string,
  ) {
    super(faultKinds[fault].format.replace('%s', () => detail));
    this.kind = faultKinds[fault];
  }
}
