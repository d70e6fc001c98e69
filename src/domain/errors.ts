/**
 * The one catalogue of errors that a verb can answer: VDSM's key, code and base text (lib/vdsm/common/exception.py
 * and lib/yajsonrpc/exception.py). Codes are never reused. `expected` errors are the caller's and logged at info.
 *
 * Never answer 1100 for a problem of one VM: an engine takes it for a network failure of the host.
 */
export interface ErrorSpec {
  readonly code: number;
  readonly message: string;
  /** True: the caller's fault or the normal course of things. */
  readonly expected: boolean;
}

const caller = (code: number, message: string): ErrorSpec => ({ code, message, expected: true });
const ours = (code: number, message: string): ErrorSpec => ({ code, message, expected: false });

export const errorCatalogue = {
  parseError: caller(
    -32700,
    'Invalid JSON was received by the server. An error occurred on the server while parsing the JSON text.',
  ),
  invalidRequest: caller(-32600, 'Invalid request'),
  methodNotFound: caller(-32601, 'The method does not exist or is not available'),
  invalidParams: caller(-32602, 'Invalid method parameter(s)'),
  internal: ours(-32603, 'Internal JSON-RPC error'),
  noVM: caller(1, 'Virtual machine does not exist'),
  exist: caller(4, 'Virtual machine already exists'),
  down: caller(6, 'Virtual machine is down'),
  createErr: ours(9, 'Error creating the requested VM'),
  missParam: caller(11, 'Missing required parameter'),
  imageErr: caller(13, 'Drive image file could not be found'),
  unexpected: ours(16, 'Unexpected exception'),
  ticketErr: ours(18, 'Error while setting spice ticket'),
  nonresp: ours(19, 'Guest agent non-responsive'),
  resourceUnavailable: ours(40, 'Resource unavailable'),
  changeDisk: ours(41, 'Failed to change disk image'),
  destroyErr: ours(42, 'Virtual machine destroy error'),
  noimpl: caller(44, 'Not implemented'),
  hotplugDisk: ours(45, 'Failed to hotplug disk'),
  hotunplugDisk: ours(46, 'Failed to hotunplug disk'),
  migCancelErr: caller(47, 'Migration not in progress'),
  snapshotErr: ours(48, 'Snapshot failed'),
  hotplugNic: ours(49, 'Failed to hotplug NIC'),
  hotunplugNic: ours(50, 'Failed to hotunplug NIC'),
  migrationActive: caller(51, 'Command not supported during migration'),
  mergeErr: ours(52, 'Merge failed'),
  balloonErr: ours(53, 'Balloon operation is not available'),
  updateDevice: ours(56, 'Failed to update device'),
  hwInfoErr: ours(57, 'Failed to read hardware information'),
  resizeErr: caller(58, 'Wrong resize disk parameter'),
  setNumberOfCpusErr: ours(60, 'Failed to set the number of cpus'),
  cpuTuneErr: ours(62, 'CpuTune operation is not available'),
  updateVmPolicyErr: ours(63, 'Failed to update VM SLA policy'),
  updateIoTuneErr: ours(64, 'Failed to update ioTune values'),
  jobExists: caller(69, 'Job id already exists'),
  hotplugMem: ours(70, 'Failed to hotplug memory'),
  operationNotSupported: caller(75, 'Operation not supported'),
  freezeErr: ours(76, 'Unable to freeze guest filesystems'),
  thawErr: ours(77, 'Unable to thaw guest filesystems'),
  destVolumeTooSmall: ours(79, 'Destination volume is too small'),
  migNotInProgress: caller(81, 'Migration not in progress'),
  hotunplugMem: ours(85, 'Failed to hotunplug memory'),
  resetErr: ours(90, 'Failed to reset VM.'),
  invalidParameter: caller(91, 'Invalid parameter'),
  recovery: caller(99, 'Recovering from crash or Initializing'),
  general: ours(100, 'General Exception'),
  noResources: ours(1100, 'Not enough resources'),
} as const satisfies Record<string, ErrorSpec>;

export type ErrorKey = keyof typeof errorCatalogue;

/** A verb's failure. Thrown by handlers and operations; the dispatcher alone maps it to the wire. */
export class VerbError extends Error {
  override readonly name = 'VerbError';
  readonly code: number;
  readonly expected: boolean;

  /**
   * @param detail said after the base text: an object in VDSM's form `{'vmId': '...'}`, or a sentence that names
   *   the VM and the way out
   */
  constructor(
    readonly key: ErrorKey,
    detail?: string | Readonly<Record<string, string | number>>,
    options?: ErrorOptions,
  ) {
    const spec = errorCatalogue[key];
    super(detail === undefined ? spec.message : `${spec.message}: ${pythonRepr(detail)}`, options);
    this.code = spec.code;
    this.expected = spec.expected;
  }
}

/** VDSM appends Python's repr of a dict; clients show it to people and compare only the code. */
function pythonRepr(detail: string | Readonly<Record<string, string | number>>): string {
  if (typeof detail === 'string') return detail;
  const quote = (value: string | number): string =>
    typeof value === 'number' ? String(value) : `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  return `{${Object.entries(detail)
    .map(([key, value]) => `${quote(key)}: ${quote(value)}`)
    .join(', ')}}`;
}
