/**
 * What a handler gets with each call and may answer with, and the parts it works on, as interfaces: the API calls
 * them, and neither implements nor starts any.
 */
import type { VmId } from '../domain/ids.js';
import type { StatsSnapshot, VmSource, VmStatus } from '../domain/vm.js';
import type {
  VerbHandlers,
  VerbInput,
  VerbName,
  VerbResult,
  VmVerbName,
  VmVerbTable,
} from '../protocol/verbs.js';
import type { Clock } from '../util/time.js';
import type { Peer } from './peer.js';

/** A result that is JSON text already; it is sent as it is, without a copy. */
export class EncodedResult {
  constructor(readonly pieces: readonly Buffer[]) {}
}

/** One running request. */
export interface Call {
  readonly peer: Peer;
  /** Holds back the VM's events until the reply is queued. For verbs with `changesVm` that is done already. */
  hold(id: VmId): void;
}

export type Handlers<Names extends VerbName = VerbName> = VerbHandlers<Call, EncodedResult, Names>;

/** VM.create's result. */
export interface CreatedVm {
  readonly vmId: VmId;
  readonly status: VmStatus;
  readonly statusTime: string;
  readonly xml: string;
}

/** Verbs on one VM that are not just read from its record. */
export type OperationVerb = Exclude<VmVerbName, 'VM.getStats' | 'VM.getInfo'>;

/** The verbs' way to change a VM. Each fails with a VerbError or a HypervisorError. */
export interface VmOperations {
  /** Answers when the VM is accepted, before it runs. */
  create(vmParams: VerbInput<'VM.create'>['vmParams']): CreatedVm;
  readonly verbs: VmVerbTable<OperationVerb>;
  /** Host.getAllVmIoTunePolicies. */
  ioTunePolicies(): Promise<VerbResult<'Host.getAllVmIoTunePolicies'>>;
}

export interface JobSource {
  /** @param ids empty: all */
  list(type: string | undefined, ids: readonly string[]): VerbResult<'Host.getJobs'>;
}

export interface HostFacts {
  capabilities(): Promise<Record<string, unknown>>;
  stats(): Promise<Record<string, unknown>>;
}

export interface HealthSource {
  health(): VerbResult<'Agent.getHealth'>;
}

/** What the handlers work on. */
export interface ApiParts {
  readonly vms: VmSource;
  readonly snapshot: StatsSnapshot;
  readonly operations: VmOperations;
  readonly jobs: JobSource;
  readonly hostFacts: HostFacts;
  readonly health: HealthSource;
  readonly clock: Clock;
}
